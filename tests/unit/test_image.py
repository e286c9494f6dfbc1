"""What the operator's image is made of, without building it: tests/cluster/test_image.py does that."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import tomllib
from packaging.markers import Marker
from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import parse_wheel_filename

ROOT = Path(__file__).parents[2]
PYTHON = (3, 13)
"""Of Debian 13, which Containerfile's bases are."""
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}


@pytest.fixture(scope="module")
def locked() -> list[dict[str, Any]]:
    """The packages that Containerfile installs, with their wheels, for any Python."""
    options = ["--quiet", "--locked", "--no-dev", "--package=kube-rendezvous-operator", "--no-emit-workspace"]
    command = [str(ROOT / "hack" / "uv"), "export", *options, "--format=pylock.toml"]
    exported = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    packages: list[dict[str, Any]] = tomllib.loads(exported)["packages"]
    return packages


def tags(machine: str) -> set[Tag]:
    """All that Debian 13's Python, with glibc 2.41, can install on a machine."""
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in range(41, 16, -1)]
    platforms += [f"manylinux2014_{machine}", f"linux_{machine}"]
    return {*cpython_tags(PYTHON, platforms=platforms), *compatible_tags(PYTHON, platforms=platforms)}


@pytest.mark.parametrize("machine", MACHINES.values(), ids=MACHINES)
def test_there_is_a_wheel_of_every_package_for(machine: str, locked: list[dict[str, Any]]) -> None:
    """Nothing is compiled while the image is built: its build stage has no compiler."""
    environment = {
        "platform_machine": machine,
        "python_full_version": "3.13.5",
        "python_version": "3.13",
        "sys_platform": "linux",
        "implementation_name": "cpython",
    }
    usable = tags(machine)
    without = []
    installed = [item for item in locked if "marker" not in item or Marker(item["marker"]).evaluate(environment)]
    for package in installed:
        names = [wheel["url"].rpartition("/")[2] for wheel in package.get("wheels", [])]
        if not any(parse_wheel_filename(name)[3] & usable for name in names):
            without.append(f"{package['name']} {package['version']}: {names}")
    assert not without
    assert {"kopf", "kubernetes", "aiohttp"} <= {package["name"] for package in installed}
    assert not {"torch", "numpy", "cryptography", "pytest"} & {package["name"] for package in installed}


def test_its_version_is_that_of_the_project() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    text = (ROOT / "Containerfile").read_text()
    assert re.findall(r"^ARG VERSION=(.*)$", text, re.MULTILINE) == [version] * 2
    for image in ("operator", "handler"):
        assert f"-t kube-rendezvous-{image}:{version}" in text


def test_all_that_is_copied_into_it_is_let_through() -> None:
    text = (ROOT / "Containerfile").read_text()
    copied = {name for line in re.findall(r"^COPY (?!--)(.*) \S+$", text, re.MULTILINE) for name in line.split()}
    assert all((ROOT / name).exists() for name in copied)
    ignore = (ROOT / ".dockerignore").read_text().splitlines()
    inside = {name for name in copied if name.rpartition("/")[0] in copied}  # its folder is let through
    assert {line[1:] for line in ignore if line.startswith("!")} == copied - inside


def test_its_user_is_a_number_and_not_root() -> None:
    """The chart sets `runAsNonRoot` alone, and kubelet cannot tell from a name whether a user is root."""
    users = re.findall(r"^USER (.+)$", (ROOT / "Containerfile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", users[-1])
