"""An image for pods that use this machine's own programs: torch alone is 5 GB, which no test can wait to be copied.

The image is empty but for some folders and links. A pod that uses it mounts, read-only and in the same places as here,
this machine's /usr, its Python, and this repository with its .venv:

    spec:
      containers:
      - image: HOST_IMAGE
        imagePullPolicy: Never
        command: [torchrun, ...]            # of .venv/bin, which is on the PATH
        volumeMounts: host_volume_mounts()
      volumes: host_volumes()

Volumes of this type (hostPath) are refused in namespaces with the pod security level `baseline` or `restricted`.
"""

import sys
from pathlib import Path
from typing import Any

from .images import Layer, write_archive
from .layout import state_dir

HOST_IMAGE = "localhost/kube-rendezvous-host:1"

_ENVIRONMENT = Path("/environment")
"""Where a pod also finds the virtual environment: the PATH of the image must fit any checkout's."""
_REPOSITORY = Path(__file__).resolve().parent.parent
_SYSTEM_FOLDERS = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32")
_CONFIGURATION = ("/etc/alternatives", "/etc/ssl")


def host_archive() -> Path:
    """The archive of HOST_IMAGE."""
    return state_dir() / "images" / "host.tar"


def host_volumes() -> list[dict[str, Any]]:
    """The `volumes` of a pod whose containers use HOST_IMAGE."""
    return [
        {"name": name, "hostPath": {"path": str(here), "type": "Directory"}}
        for name, (here, _) in _mounted_folders().items()
    ]


def host_volume_mounts() -> list[dict[str, Any]]:
    """The `volumeMounts` of a container that uses HOST_IMAGE."""
    return [
        {"name": name, "mountPath": str(there), "readOnly": True} for name, (_, there) in _mounted_folders().items()
    ]


def build_host_image() -> None:
    """Make the archive, if it is missing."""
    if host_archive().exists():
        return
    layer = Layer()
    for folder in ("etc", "root", "home", "proc", "sys", "dev", "run", "var"):
        layer.folder(folder)
    for folder in ("tmp", "var/tmp"):
        layer.folder(folder, mode=0o1777)
    for name in _SYSTEM_FOLDERS:
        here = Path("/", name)
        if here.is_symlink():
            layer.link(name, str(here.readlink()))
        elif here.is_dir():
            layer.folder(name)
    layer.file("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/tmp:/bin/sh\n")
    layer.file("etc/group", b"root:x:0:\nnogroup:x:65534:\n")
    layer.file("etc/nsswitch.conf", b"passwd: files\ngroup: files\nhosts: files dns\n")
    for name in ("etc/ld.so.cache", "etc/ld.so.conf"):
        if (here := Path("/", name)).is_file():
            layer.file(name, here.read_bytes())
    path = f"{_ENVIRONMENT / 'bin'}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    variables = {"PATH": path, "HOME": "/tmp", "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    config = {"Env": [f"{name}={value}" for name, value in variables.items()], "Cmd": ["/bin/sh"]}
    write_archive(host_archive(), HOST_IMAGE, layer, config)


def _mounted_folders() -> dict[str, tuple[Path, Path]]:
    """The folders to mount and where, by the names of their volumes; none is mounted within another."""
    found = {f"host-{name}": Path("/", name) for name in _SYSTEM_FOLDERS if _is_folder(Path("/", name))}
    found |= {f"host-{Path(name).name}": Path(name) for name in _CONFIGURATION if _is_folder(Path(name))}
    # The interpreter of a virtual environment is a link to the Python that it was made with.
    more = {"repository": _REPOSITORY, "prefix": Path(sys.prefix), "python": Path(sys.base_prefix).resolve()}
    for name, path in more.items():
        if not any(path.is_relative_to(other) for other in found.values()):
            found[name] = path
    return {name: (path, path) for name, path in found.items()} | {"environment": (Path(sys.prefix), _ENVIRONMENT)}


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()
