"""docs/torch-names.md has every public name of torch's rendezvous module; it and torch.md name tests that exist."""

import ast
import dataclasses
import importlib
import inspect
import pkgutil
import re
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest
from torch.distributed import Store
from torch.distributed.elastic import rendezvous
from torch.distributed.elastic.rendezvous import RendezvousHandler
from torch.distributed.elastic.rendezvous.dynamic_rendezvous import RendezvousBackend
from torch.distributed.run import get_args_parser

import kube_rendezvous
from kube_rendezvous import health, worker

DOCS = Path(__file__).parents[2] / "docs"
TORCH = DOCS / "torch.md"
NAMES = DOCS / "torch-names.md"
BOTH = TORCH.read_text() + NAMES.read_text()
COMING_FROM = DOCS / "coming-from-c10d-or-etcd.md"

_PACKAGE = rendezvous.__name__
_BASES = {RendezvousHandler, RendezvousBackend, Store}
"""What an implementation inherits from these is in their rows."""
_INTERNALS = {"EtcdRendezvous"}
"""Its row says that there is no counterpart, so there is none of its methods."""

_CODE = re.compile(r"`([^`]+)`")
_TEST = re.compile(r"\[(?P<name>test_\w+)\]\((?P<path>[^)]+)\)")


def rows(text: str) -> list[list[str]]:
    """The cells of all lines of tables; headers among them."""
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]


def listed(page: str, module: str) -> dict[str, set[str]]:
    """Names of a module that its table has, and with each the names of members."""
    section = re.split(r"^#+ ", page.partition(f"\n## {module}\n")[2], flags=re.MULTILINE)[0]
    found: dict[str, set[str]] = {}
    for cells in rows(section):
        if names := _CODE.findall(cells[0]):
            owner, _, member = names[0].partition(".")
            found.setdefault(owner, set()).update({member} if member else names[1:])
    return found


def modules() -> list[ModuleType]:
    """The rendezvous package of torch, and its public submodules."""
    names = [module.name for module in pkgutil.iter_modules(rendezvous.__path__) if not module.name.startswith("_")]
    return [rendezvous, *(importlib.import_module(f"{_PACKAGE}.{name}") for name in names)]


def public_names(module: ModuleType) -> set[str]:
    """What `__all__` has; without one, what is defined there under a public name."""
    if hasattr(module, "__all__"):
        return set(module.__all__)
    defined = {name for name, value in vars(module).items() if getattr(value, "__module__", None) == module.__name__}
    return {name for name in defined if not name.startswith("_")}


def fields_of(owner: object) -> set[str]:
    """The fields of a dataclass, which are no attributes of it."""
    return {field.name for field in dataclasses.fields(owner)} if dataclasses.is_dataclass(owner) else set()


def members(owner: object) -> set[str]:
    """Public members that a class adds to what the base classes prescribe."""
    if not inspect.isclass(owner) or owner.__name__ in _INTERNALS:
        return set()
    own = set(vars(owner)) | fields_of(owner)
    inherited = {name for base in _BASES - {owner} if issubclass(owner, base) for name in dir(base)}
    return {name for name in own - inherited if not name.startswith("_")}


def missing(page: str) -> list[str]:
    """What torch has and the page does not."""
    found = []
    top = public_names(rendezvous)
    for module in modules():
        names = public_names(module)
        if module is not rendezvous and names <= top:  # the same names, from where they are defined
            continue
        table = listed(page, module.__name__)
        for name in sorted(names):
            if name not in table:
                found.append(f"{module.__name__}.{name}")
                continue
            lacks = members(getattr(module, name)) - table[name]
            found += [f"{module.__name__}.{name}.{member}" for member in sorted(lacks)]
    return found


def test_every_public_name_of_torch_has_a_row() -> None:
    assert missing(NAMES.read_text()) == []


@pytest.mark.parametrize(
    ("row", "name"),
    [
        ("| `rendezvous_handler_registry` |", f"{_PACKAGE}.rendezvous_handler_registry"),
        ("| `RendezvousHandler.shutdown` |", f"{_PACKAGE}.RendezvousHandler.shutdown"),
        ("| `find_free_port` |", f"{_PACKAGE}.etcd_server.find_free_port"),
    ],
)
def test_a_missing_row_is_noticed(row: str, name: str) -> None:
    lines = NAMES.read_text().splitlines(keepends=True)
    without = "".join(line for line in lines if not line.startswith(row))
    assert missing(without) == [name]


def test_a_missing_member_and_a_new_module_are_noticed() -> None:
    page = NAMES.read_text()
    assert missing(page.replace("`get_endpoint`, ", "")) == [f"{_PACKAGE}.etcd_server.EtcdServer.get_endpoint"]
    assert missing(page.replace(f"## {_PACKAGE}.utils\n", "## none\n")) == [
        f"{_PACKAGE}.utils.parse_rendezvous_endpoint"
    ]


def test_every_row_names_something_of_torch() -> None:
    page = NAMES.read_text()
    for module in modules():
        for name, of_it in listed(page, module.__name__).items():
            owner = getattr(module, name)
            unknown = {member for member in of_it - fields_of(owner) if not hasattr(owner, member)}
            assert unknown == set(), name


def test_every_counterpart_exists() -> None:
    cells = [cell for row in rows(BOTH) for cell in row]
    qualified = re.compile(r"(kube_rendezvous|rendezvous_\w+)(\.\w+)+")
    named = {name for cell in cells for name in _CODE.findall(cell) if qualified.fullmatch(name)}
    assert {"kube_rendezvous.create_handler", "rendezvous_controlplane.LocalControlPlane"} <= named
    assert {name.partition(".")[0] for name in named} == {"kube_rendezvous", "rendezvous_controlplane"}, "not private"
    for name in named:
        module, _, attribute = name.rpartition(".")
        assert hasattr(importlib.import_module(module), attribute), name


def test_what_may_be_imported_is_what_the_public_modules_have() -> None:
    section = TORCH.read_text().partition("\n## What you may import\n")[2].partition("\n## ")[0]
    listed = [name for cells in rows(section) for name in _CODE.findall(cells[0])]
    public = [f"{module.__name__}.{name}" for module in (kube_rendezvous, health, worker) for name in module.__all__]
    assert sorted(listed) == sorted(public)


@pytest.mark.parametrize("page", [*sorted(DOCS.rglob("*.md")), DOCS.parent / "README.md"], ids=lambda page: page.name)
def test_no_page_teaches_to_import_what_is_private(page: Path) -> None:
    imported = re.findall(r"^ *(?:from|import) (\w+)", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert {*imported} & {"rendezvous_api", "rendezvous_handler", "rendezvous_operator"} == set()


# ---- tests that the pages name


@cache
def functions_in(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_every_test_that_is_named_exists() -> None:
    named = [(match["name"], (DOCS / match["path"]).resolve()) for match in _TEST.finditer(BOTH)]
    assert len(named) > 50
    assert [(name, path.name) for name, path in named if not path.exists() or name not in functions_in(path)] == []


def test_every_row_has_a_test_or_says_that_there_is_no_counterpart() -> None:
    tables = re.findall(r"(?:^\|.*\n)+", BOTH, flags=re.MULTILINE)
    checked = 0
    for header, _, *lines in (rows(table) for table in tables):
        for cells in lines if header[-1] == "Test" else []:
            checked += 1
            assert _TEST.fullmatch(cells[-1]) or cells[1].startswith("none"), cells
    assert checked > 50


# ---- what moves over


def test_every_key_that_torchs_back_ends_read_is_on_the_page() -> None:
    sources = "\n".join(inspect.getsource(module) for module in modules())
    read = set(re.findall(r"(?:params|config)\.get(?:_as_int|_as_bool)?\(\s*\"(\w+)\"", sources))
    read |= {f"{name}_timeout" for name in re.findall(r"_get_timeout\(params, \"(\w+)\"\)", sources)}
    assert {"join_timeout", "heartbeat_timeout", "store_type", "ssl_cert_key", "etcd_prefix", "rank"} <= read
    section = COMING_FROM.read_text().partition("\n### --rdzv-conf\n")[2].partition("\n## ")[0]
    assert read - {name for cells in rows(section) for name in _CODE.findall(cells[0])} == set()


def test_every_flag_of_torchrun_about_the_rendezvous_is_on_the_page() -> None:
    options = {option for action in get_args_parser()._actions for option in action.option_strings if "_" not in option}
    wanted = {option for option in options if re.search(r"rdzv|node|addr|port$|standalone|restarts", option)}
    assert {"--rdzv-conf", "--local-addr", "--max-restarts", "--standalone"} <= wanted
    section = COMING_FROM.read_text().partition("\n## Every flag\n")[2].partition("\n### ")[0]
    mentioned = {name for cells in rows(section) for name in _CODE.findall(cells[0])}
    assert wanted - mentioned == {"--nproc-per-node"}, "which means what it always does"
