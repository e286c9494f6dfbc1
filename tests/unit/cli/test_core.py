"""How the operator's decisions get into `kubectl rdzv`: they are in the one file, and are an extra of the package."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hack.build_cli import zipapp

ROOT = Path(__file__).parents[3]

DECIDES = """
import sys
sys.path.insert(0, sys.argv[1])
import rendezvous_operator.core.decide, rendezvous_operator.core.relevance, rendezvous_operator.watch.pods
print(rendezvous_operator.core.decide.__file__.startswith(sys.argv[1]))
print(*sorted({name.partition(".")[0] for name in sys.modules} - set(sys.stdlib_module_names) - {"__main__"}))
"""
NEEDS = """
import sys
sys.path[:0] = sys.argv[1:]
sys.version_info = (3, VERSION, 0, "final", 0)
from kube_rendezvous_cli import core
try:
    core.needed("simulate")
except core.CommandError as error:
    print(error)
else:
    print("it is here")
"""
OTHER_COMMANDS = """
import sys
sys.path.insert(0, sys.argv[1])
from kube_rendezvous_cli import arguments, commands
arguments.parser()
print(*(name for name in sys.modules if name.startswith("rendezvous_operator")))
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """The one file."""
    made = tmp_path / "kubectl-rdzv"
    made.write_bytes(zipapp())
    return made


def said(python: str, *command: str) -> list[str]:
    """What an isolated Python prints, without packages that are installed here."""
    called = [python, "-I", "-S", "-c", *command]
    return subprocess.run(called, capture_output=True, text=True, check=True, timeout=60).stdout.splitlines()


def old_python() -> str | None:
    """A Python 3.10, if one is here."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found = [ROOT / ".venv-oldest" / "bin" / "python", *pyenv.glob("versions/3.10.*/bin/python3.10")]
    for python in map(str, filter(None, [*found, shutil.which("python3.10")])):
        try:
            if said(python, "import sys; print(sys.version_info[:2] == (3, 10))") == ["True"]:
                return python
        except (OSError, subprocess.CalledProcessError):
            continue
    return None


@pytest.mark.parametrize("python", [sys.executable, "3.10"], ids=["this Python", "Python 3.10"])
def test_the_one_file_has_the_decisions_of_the_operator_and_needs_nothing_else(program: Path, python: str) -> None:
    found = old_python() if python == "3.10" else python
    if found is None:
        pytest.skip("no Python 3.10 here; `make test-oldest-torch` gets one")
    assert said(found, DECIDES, str(program)) == ["True", "rendezvous_api rendezvous_operator"]


def test_the_one_file_has_nothing_of_the_operator_that_makes_requests(program: Path) -> None:
    with zipfile.ZipFile(program) as made:
        inside = {name for name in made.namelist() if name.startswith("rendezvous_operator/")}
    assert {name for name in inside if not name.startswith("rendezvous_operator/core/")} == {
        "rendezvous_operator/__init__.py",
        "rendezvous_operator/watch/__init__.py",
        "rendezvous_operator/watch/pods.py",
    }


def test_other_commands_load_nothing_of_the_operator(program: Path) -> None:
    assert said(sys.executable, OTHER_COMMANDS, str(program)) == [""]


@pytest.mark.parametrize("version", ["10", "11"])
def test_the_package_without_the_extra_names_it(version: str) -> None:
    (text,) = said(sys.executable, NEEDS.replace("VERSION", version), str(ROOT / "cli"), str(ROOT / "api"))
    assert text.startswith("simulate plays the decisions of the operator, which are not installed here; needed: ")
    assert "pip install 'kube-rendezvous-cli[simulator]'" in text
    assert ("Python 3.11 or later" in text) == (version == "10")


def test_with_the_operator_beside_it_nothing_is_missing() -> None:
    folders = [str(ROOT / name) for name in ("cli", "api", "operator")]
    assert said(sys.executable, NEEDS.replace("VERSION", "11"), *folders) == ["it is here"]
