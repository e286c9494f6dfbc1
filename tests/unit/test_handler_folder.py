"""The handler as a folder for PYTHONPATH: it is found there, costs other processes nothing, and says what it hides."""

import os
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import Distribution
from pathlib import Path

import pytest

from rendezvous_handler import folder

ROOT = Path(__file__).parents[2]
OURS = ("rendezvous_api", "rendezvous_handler", "kube_rendezvous")
LIMIT_BYTES = 1_000_000
FIND = "from importlib.metadata import entry_points as e; print(sorted(p.name for p in e(group='torchrun.handlers')))"
SAY = """
import logging, sys
logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
from rendezvous_handler.folder import log_origin
log_origin()
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, as pip would install it into a folder."""
    made = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target=wheel", f"--directory={made}"]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = made.glob("*.whl")
    target = made / "installed"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    (target / "rendezvous_handler" / "__pycache__").mkdir()
    (target / "rendezvous_handler" / "__pycache__" / "plugin.cpython-311.pyc").touch()
    for file in target.rglob("*.py"):
        file.chmod(0o600)
    return target


@pytest.fixture(scope="module")
def injected(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that a container gets."""
    target = tmp_path_factory.mktemp("injected") / "rdzv"
    (found,) = Distribution.discover(name=folder.DISTRIBUTION, path=[str(installed)])
    folder.copy_to(target, found)
    folder.copy_to(target, found)  # as when a pod starts again
    return target


def python(*arguments: str, path: tuple[Path, ...], program: str = sys.executable) -> str:
    environment = {**os.environ, "PYTHONPATH": ":".join(map(str, path)), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([program, *arguments], env=environment, capture_output=True, text=True, check=True)
    return done.stdout + done.stderr


def test_it_has_the_packages_and_what_says_which(injected: Path, installed: Path) -> None:
    (information,) = injected.glob("*.dist-info")
    assert {path.name for path in injected.iterdir()} == {*OURS, information.name}
    names = {str(path.relative_to(information)) for path in information.rglob("*") if path.is_file()}
    assert names == {"METADATA", "WHEEL", "entry_points.txt", "licenses/LICENSE"}
    copied = {path.relative_to(injected) for path in injected.rglob("*.py")}
    assert copied == {path.relative_to(installed) for path in installed.rglob("*.py")}
    assert not list(injected.rglob("*.pyc"))
    assert sum(path.stat().st_size for path in injected.rglob("*")) < LIMIT_BYTES


def test_every_user_may_read_it(injected: Path) -> None:
    """The user of the init container is not that of the container."""
    assert {path.stat().st_mode & 0o777 for path in injected.rglob("*") if path.is_file()} == {0o644}
    assert {path.stat().st_mode & 0o777 for path in injected.rglob("*") if path.is_dir()} == {0o755}


def test_the_program_copies_to_a_folder_that_is_there(installed: Path, injected: Path, tmp_path: Path) -> None:
    python("-m", "rendezvous_handler.folder", str(tmp_path), path=(installed,))
    files = {path.relative_to(injected): path.read_bytes() for path in injected.rglob("*") if path.is_file()}
    assert {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == files


def test_a_checkout_is_no_package() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "rendezvous_handler.folder", "/nowhere"], capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "kube-rendezvous is installed for development: there is nothing to copy" in done.stderr


def test_every_python_finds_the_handlers_in_it(injected: Path) -> None:
    """Without any other package: -S leaves site-packages out."""
    named = filter(None, (shutil.which(f"python3.{version}") for version in range(10, 15)))
    works = [program for program in named if subprocess.run([program, "-c", ""], check=False).returncode == 0]
    for program in (sys.executable, *works):
        found = python("-S", "-c", FIND, path=(injected,), program=program)
        assert found == "['kube-rendezvous', 'kubernetes', 'kubernetes-dynamic']\n", program


@pytest.mark.parametrize("code", ["pass", "import torch.distributed"])
def test_a_worker_imports_nothing_of_it(injected: Path, code: str) -> None:
    imported = python("-X", "importtime", "-c", code, path=(injected,))
    assert "importlib" in imported or "encodings" in imported
    assert [line for line in imported.splitlines() if line.rpartition("|")[2].strip().startswith(OURS)] == []


def test_a_training_script_may_import_what_is_for_it(injected: Path) -> None:
    """Without any other package."""
    code = "from kube_rendezvous import worker; print(worker.fencing_token(), worker.round())"
    assert python("-S", "-c", code, path=(injected,)) == "None None\n"


def test_where_the_image_has_a_handler_the_one_in_front_says_so(
    injected: Path, installed: Path, tmp_path: Path
) -> None:
    earlier = tmp_path / "site-packages"
    shutil.copytree(installed, earlier)
    (information,) = earlier.glob("*.dist-info")
    renamed = information.with_name("kube_rendezvous-0.0.9.dist-info")
    information.rename(renamed)
    version = information.name.removeprefix("kube_rendezvous-").removesuffix(".dist-info")
    metadata = renamed / "METADATA"
    metadata.write_text(metadata.read_text().replace(f"\nVersion: {version}\n", "\nVersion: 0.0.9\n"))

    def said(*path: Path) -> str:
        return python("-S", "-c", SAY, path=path)

    expected = f"the handler is {version} in {injected}; that of the image is not used: 0.0.9 in {earlier}\n"
    assert said(injected, earlier) == expected
    assert said(injected) == said(injected, injected) == ""
