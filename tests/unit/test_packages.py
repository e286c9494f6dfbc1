"""The four distributions: what is in each, what their pages on a package index show, and what each needs."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from email.message import Message
from email.parser import Parser
from pathlib import Path
from typing import Any

import pytest
import tomllib
from packaging.requirements import Requirement
from tests.support.kubeconfigs import KUBECONFIGS
from tests.support.raw_server import RawServer, answer
from trove_classifiers import classifiers

ROOT = Path(__file__).parents[2]
FOLDERS = {
    "kube-rendezvous": ROOT,
    "kube-rendezvous-operator": ROOT / "operator",
    "kube-rendezvous-controlplane": ROOT / "controlplane",
    "kube-rendezvous-cli": ROOT / "cli",
}
PACKAGES = {
    "kube-rendezvous": {"rendezvous_api", "rendezvous_handler", "kube_rendezvous"},
    "kube-rendezvous-operator": {"rendezvous_operator"},
    "kube-rendezvous-controlplane": {"rendezvous_controlplane"},
    "kube-rendezvous-cli": {"kube_rendezvous_cli"},
}
# .gitignore is there because hatchling adds it always.
SDIST = {"LICENSE", "PKG-INFO", "README.md", "pyproject.toml", ".gitignore"}
SITE = "https://rdzv.dev"

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)|\b(?:src|href)=[\"']([^\"']+)|^\[[^\]]+\]: *(\S+)", re.MULTILINE)
_FENCE = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)

OLD_PYTHON = """
import sys
sys.version_info = (3, 10, 13, "final", 0)
sys.version = "3.10.13 (main)"
import rendezvous_operator.app
"""


pytestmark = pytest.mark.xdist_group("packages")
"""They are built once, by one worker."""


@dataclass(frozen=True)
class Built:
    """The sdist of a distribution, and the wheel that was built from it."""

    sdist: Path
    wheel: Path

    def sdist_files(self) -> set[str]:
        with tarfile.open(self.sdist) as archive:
            assert all(member.isfile() for member in archive), "no link, which may lead out of the archive"
            return {name.partition("/")[2] for name in archive.getnames()}

    def wheel_files(self) -> set[str]:
        with zipfile.ZipFile(self.wheel) as archive:
            return set(archive.namelist())

    def metadata(self) -> Message:
        with zipfile.ZipFile(self.wheel) as archive:
            (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
            return Parser().parsestr(archive.read(name).decode("utf-8"))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Built]:
    """All of them, by name. Built with what is installed here, so that it needs no network."""
    folder = tmp_path_factory.mktemp("dist")
    options = ["--all-packages", "--no-build-isolation", f"--python={sys.executable}", f"--out-dir={folder}"]
    subprocess.run([str(ROOT / "hack" / "uv"), "build", "--quiet", *options], cwd=ROOT, check=True)
    result = {}
    for name in FOLDERS:
        stem = f"{name.replace('-', '_')}-{project(name)['version']}"
        result[name] = Built(folder / f"{stem}.tar.gz", folder / f"{stem}-py3-none-any.whl")
    assert len(list(folder.glob("*.whl"))) == len(list(folder.glob("*.tar.gz"))) == len(FOLDERS)
    return result


def project(name: str) -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads((FOLDERS[name] / "pyproject.toml").read_text())["project"]
    assert found["name"] == name
    return found


@pytest.mark.parametrize("name", ["kube-rendezvous-operator", "kube-rendezvous-cli"])
def test_what_decodes_objects_needs_the_rest_of_the_same_version(name: str) -> None:
    """That all versions agree is seen in test_release.py."""
    requirements = map(Requirement, project(name)["dependencies"])
    (own,) = (requirement for requirement in requirements if requirement.name == "kube-rendezvous")
    assert str(own.specifier) == f"=={project('kube-rendezvous')['version']}"


@pytest.mark.parametrize("name", FOLDERS)
def test_the_licence_is_the_same_everywhere(name: str) -> None:
    """It is a copy: an sdist can hold no file from above its folder."""
    assert (FOLDERS[name] / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


def test_there_is_no_package_named_operator() -> None:
    """It would shadow the standard library's module for whoever has the checkout on the path."""
    assert not (ROOT / "operator" / "__init__.py").exists()


@pytest.mark.parametrize("name", FOLDERS)
def test_an_sdist_holds_its_packages_and_nothing_else(name: str, built: dict[str, Built]) -> None:
    files = built[name].sdist_files()
    packages = {path.rpartition("/")[0] for path in files if path.endswith("/py.typed")}
    assert {package.rpartition("/")[2] for package in packages} == PACKAGES[name], "each is typed"
    others = {path for path in files if not any(path.startswith(f"{package}/") for package in packages)}
    assert others == SDIST | ({"CHANGELOG.md"} if name == "kube-rendezvous" else set())
    assert not {path for path in files if "__pycache__" in path}


@pytest.mark.parametrize("name", FOLDERS)
def test_a_wheel_holds_all_of_its_packages_and_nothing_else(name: str, built: dict[str, Built]) -> None:
    files = built[name].wheel_files()
    info = {path for path in files if ".dist-info/" in path}
    assert {path.partition(".dist-info/")[2] for path in info} == {
        "METADATA",
        "RECORD",
        "WHEEL",
        "entry_points.txt",
        "licenses/LICENSE",
    }
    sources = {
        str(path.relative_to(package.parent))
        for package in (next(FOLDERS[name].glob(f"**/{package}/py.typed")).parent for package in PACKAGES[name])
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert files - info == sources


@pytest.mark.parametrize("name", FOLDERS)
def test_what_is_said_of_it_is_valid(name: str, built: dict[str, Built]) -> None:
    metadata = built[name].metadata()
    said = metadata.get_all("Classifier") or []
    assert set(said) <= classifiers
    assert "Typing :: Typed" in said
    oldest = int((metadata["Requires-Python"] or "").removeprefix(">=3."))
    assert oldest == (11 if name == "kube-rendezvous-operator" else 10)
    versions = [text.rpartition(".")[2] for text in said if re.fullmatch(r"Programming Language :: .*\.\d+", text)]
    assert versions == [str(minor) for minor in range(oldest, 15)]
    assert metadata["Author"] == "The kube-rendezvous authors"
    assert metadata["License-Expression"] == "Apache-2.0"
    assert {"Homepage", "Documentation", "Changelog"} == {
        url.partition(",")[0] for url in metadata.get_all("Project-URL") or []
    }


@pytest.mark.parametrize("name", FOLDERS)
def test_links_lead_somewhere_from_a_package_index_too(name: str, built: dict[str, Built]) -> None:
    metadata = built[name].metadata()
    assert metadata["Description-Content-Type"] == "text/markdown"
    page = metadata.get_payload()
    assert isinstance(page, str)
    targets = ["".join(groups) for groups in _LINK.findall(_FENCE.sub("", page))]
    targets += [url.partition(", ")[2] for url in metadata.get_all("Project-URL") or []]
    assert [target for target in targets if not target.startswith("https://")] == []
    base = f"{SITE}/v{metadata['Version']}/"
    ours = [target.removeprefix(base).partition("#")[0] for target in targets if target.startswith(base)]
    assert len(ours) >= 3
    assert [path for path in ours if not (ROOT / path).is_file()] == []


@pytest.mark.parametrize("name", FOLDERS)
def test_a_readme_links_to_files_that_are_there(name: str) -> None:
    text = (FOLDERS[name] / "README.md").read_text(encoding="utf-8")
    targets = ["".join(groups).partition("#")[0] for groups in _LINK.findall(_FENCE.sub("", text))]
    assert [target for target in targets if "://" not in target and not (FOLDERS[name] / target).exists()] == []


def test_a_training_image_gets_neither_operator_nor_control_plane(built: dict[str, Built], tmp_path: Path) -> None:
    with zipfile.ZipFile(built["kube-rendezvous"].wheel) as archive:
        archive.extractall(tmp_path)
    program = (
        "import sys, pkgutil; sys.path.insert(0, sys.argv[1]); import kube_rendezvous, rendezvous_api.codec;"
        "print(*sorted(module.name for module in pkgutil.iter_modules([sys.argv[1]])))"
    )
    # Isolated, without site-packages: neither the checkout nor anything that is installed here is there.
    command = [sys.executable, "-I", "-S", "-c", program, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == sorted(PACKAGES["kube-rendezvous"])
    (entry_points,) = tmp_path.glob("*.dist-info/entry_points.txt")
    scripts = entry_points.read_text().partition("[console_scripts]\n")[2].partition("\n\n")[0]
    assert [line.partition(" = ")[0] for line in scripts.splitlines()] == ["kube-rendezvous-selftest"]


def test_a_training_image_gets_no_other_package(built: dict[str, Built], tmp_path: Path) -> None:
    """And needs none: what is installed there reads a kubeconfig and makes a request."""
    uv, python = str(ROOT / "hack" / "uv"), tmp_path / "venv" / "bin" / "python"
    subprocess.run([uv, "venv", "--quiet", f"--python={sys.executable}", str(tmp_path / "venv")], check=True)
    # Without an index: what it needed would be missing.
    command = [uv, "pip", "install", "--quiet", "--no-index", f"--python={python}", str(built["kube-rendezvous"].wheel)]
    subprocess.run(command, check=True, timeout=120)
    installed = subprocess.check_output([uv, "pip", "freeze", "--quiet", f"--python={python}"], text=True).split("\n")
    assert [line.partition(" ")[0] for line in installed if line] == ["kube-rendezvous"]
    program = (
        "import sys, kube_rendezvous; import rendezvous_handler.selftest.__main__;"
        "print(kube_rendezvous.connect().get_participant('team', 'a', 5.0));"
        "print(*sorted({name.partition('.')[0] for name in sys.modules} - sys.stdlib_module_names))"
    )
    with RawServer() as server:
        server.scripts.append(server.serve(answer(b'{"found": 1}')))
        (tmp_path / "kubeconfig").write_text(
            KUBECONFIGS["OpenShift"].replace("https://api.train.example.com:6443", f"http://127.0.0.1:{server.port}")
        )
        environment = {"KUBECONFIG": str(tmp_path / "kubeconfig")}
        said = subprocess.check_output([python, "-I", "-c", program], text=True, timeout=60, env=environment)
    found, modules = said.splitlines()
    assert found == "{'found': 1}"
    assert set(modules.split()) - {"__main__", "_virtualenv"} == PACKAGES["kube-rendezvous"]


def test_what_needs_a_package_is_an_extra(built: dict[str, Built]) -> None:
    needed = built["kube-rendezvous"].metadata().get_all("Requires-Dist") or []
    assert {text.partition(";")[2].strip() for text in needed} == {"extra == 'kubeconfig'"}
    assert {Requirement(text).name for text in needed} == {"kubernetes", "pyyaml"}


def test_the_decisions_of_the_operator_are_an_extra_of_the_command_line() -> None:
    (needed,) = map(Requirement, project("kube-rendezvous-cli")["optional-dependencies"]["simulator"])
    assert (needed.name, str(needed.specifier)) == (
        "kube-rendezvous-operator",
        f"=={project('kube-rendezvous-operator')['version']}",
    )
    assert needed.marker is not None
    python = project("kube-rendezvous-operator")["requires-python"]
    assert str(needed.marker) == f'python_version >= "{python.removeprefix(">=")}"'


def test_a_folder_on_the_pythonpath_registers_the_backend(built: dict[str, Built], tmp_path: Path) -> None:
    with zipfile.ZipFile(built["kube-rendezvous"].wheel) as archive:
        archive.extractall(tmp_path)
    program = (
        "from importlib.metadata import entry_points;"
        "print(*sorted(point.name for point in entry_points(group='torchrun.handlers')))"
    )
    command = [sys.executable, "-S", "-c", program]
    said = subprocess.check_output(command, text=True, timeout=60, env={"PYTHONPATH": str(tmp_path)}, cwd=tmp_path)
    assert said.split() == ["kube-rendezvous", "kubernetes", "kubernetes-dynamic"]


# ---- the operator needs a newer Python than the rest


def refusal(*command: str) -> str:
    environment = {"PYTHONPATH": str(ROOT / "operator")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (1, "")
    return done.stderr


def test_the_operator_names_the_python_that_it_needs() -> None:
    said = refusal(sys.executable, "-S", "-c", OLD_PYTHON)
    assert said == "kube-rendezvous-operator needs Python 3.11 or later; this is Python 3.10.13\n"


def test_the_operator_does_not_start_on_python_3_10() -> None:
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    candidates = [ROOT / ".venv-oldest" / "bin" / "python", *pyenv.glob("versions/3.10.*/bin/python3.10")]
    for python in map(str, filter(None, [*candidates, shutil.which("python3.10")])):
        probe = [python, "-S", "-c", "import platform; print(platform.python_version())"]
        try:
            version = subprocess.run(probe, capture_output=True, text=True, check=False, timeout=60).stdout.strip()
        except OSError:
            continue
        if version.startswith("3.10."):
            said = refusal(python, "-S", "-m", "rendezvous_operator.app")
            assert said == f"kube-rendezvous-operator needs Python 3.11 or later; this is Python {version}\n"
            return
    pytest.skip("no Python 3.10 here; `make test-oldest-torch` gets one")
