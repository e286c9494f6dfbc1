"""Container images made without a container engine: an archive as `docker save` writes it."""

import hashlib
import io
import json
import os
import platform
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path

from .layout import ClusterError, state_dir

PAUSE_IMAGE = "localhost/kube-rendezvous-pause:1"

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_SOURCE = Path(__file__).parent / "pause.c"


def pause_program() -> Path:
    """The program of pause.c."""
    return state_dir() / "bin" / "pause"


def pause_archive() -> Path:
    """The archive of PAUSE_IMAGE."""
    return state_dir() / "images" / "pause.tar"


def build_pause() -> None:
    """Compile pause.c, and make its image, if they are missing."""
    program = pause_program()
    if not program.exists():
        program.parent.mkdir(parents=True, exist_ok=True)
        new = program.with_suffix(".new")
        command = ["cc", "-static", "-Os", "-s", "-o", str(new), str(_SOURCE)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise ClusterError(f"`{' '.join(command)}` failed (apt-get install gcc libc6-dev): {done.stderr.strip()}")
        new.rename(program)
    if not pause_archive().exists():
        layer = Layer()
        layer.file("pause", program.read_bytes(), mode=0o755)
        write_archive(pause_archive(), PAUSE_IMAGE, layer, {"Entrypoint": ["/pause"], "User": "65535:65535"})


class Layer:
    """The files of an image with one layer. Paths are relative to its root; all belong to root and are dated 1970."""

    def __init__(self) -> None:
        self._buffer = io.BytesIO()
        self._tar = tarfile.open(fileobj=self._buffer, mode="w", format=tarfile.PAX_FORMAT)  # noqa: SIM115

    def folder(self, path: str, mode: int = 0o755) -> None:
        """Add a folder."""
        self._add(path, tarfile.DIRTYPE, mode)

    def link(self, path: str, target: str) -> None:
        """Add a symbolic link."""
        self._add(path, tarfile.SYMTYPE, 0o777, target=target)

    def file(self, path: str, content: bytes, mode: int = 0o644) -> None:
        """Add a file."""
        self._add(path, tarfile.REGTYPE, mode, content=content)

    def finish(self) -> bytes:
        """The layer as a tar; nothing can be added afterwards."""
        self._tar.close()
        return self._buffer.getvalue()

    def _add(self, path: str, kind: bytes, mode: int, content: bytes = b"", target: str = "") -> None:
        entry = tarfile.TarInfo(path)
        entry.type, entry.mode, entry.linkname, entry.size = kind, mode, target, len(content)
        self._tar.addfile(entry, io.BytesIO(content))


def write_archive(path: Path, name: str, layer: Layer, config: Mapping[str, object]) -> None:
    """Write the archive of an image with one layer. config: as in the image's `config`, such as `Entrypoint`."""
    content = layer.finish()
    image = {
        "architecture": _ARCHITECTURES.get(platform.machine(), platform.machine()),
        "os": "linux",
        "config": dict(config),
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(content).hexdigest()}"]},
    }
    image_json = json.dumps(image).encode()
    config_name = f"{hashlib.sha256(image_json).hexdigest()}.json"
    manifest = [{"Config": config_name, "RepoTags": [name], "Layers": ["layer.tar"]}]
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    outer = Layer()
    outer.file("layer.tar", content)
    outer.file(config_name, image_json)
    outer.file("manifest.json", json.dumps(manifest).encode())
    new.write_bytes(outer.finish())
    os.replace(new, path)
