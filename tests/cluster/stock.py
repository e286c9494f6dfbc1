"""Pods as a user has them before this project: an image whose Python has torch and nothing of ours, plain torchrun.

The image is that of the other tests, and its Python is the checkout's. In the place of the checkout's virtual
environment the pods mount one that has torch, scikit-learn, and what these require, as links: nothing else can be
imported.
"""

import sys
import sysconfig
from collections.abc import Mapping, Sequence
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from testcluster import host_volumes
from tests.cluster.manifests import DATA, TRAIN, Manifest, container

from rendezvous_api import names

ENVIRONMENT = Path("/environment")
"""Where the pods of HOST_IMAGE have their virtual environment; its `bin` is on their PATH."""

_TORCHRUN = """\
#!{environment}/bin/python
import sys
from torch.distributed.run import main
sys.exit(main())
"""


def make_environment(folder: Path) -> Path:
    """A virtual environment with torch, and what examples/digits needs, which works in pods at ENVIRONMENT."""
    site = folder / "lib" / f"python{sysconfig.get_python_version()}" / "site-packages"
    site.mkdir(parents=True)
    home = Path(sys.base_prefix).resolve() / "bin"
    (folder / "pyvenv.cfg").write_text(f"home = {home}\ninclude-system-site-packages = false\n")
    program = folder / "bin"
    program.mkdir()
    interpreter = f"python{sysconfig.get_python_version()}"
    for name in ("python", "python3", interpreter):
        (program / name).symlink_to(home / interpreter)
    (program / "torchrun").write_text(_TORCHRUN.format(environment=ENVIRONMENT))
    (program / "torchrun").chmod(0o755)
    for name in required_by("torch", "numpy", "scikit-learn"):
        found = distribution(name)
        tops = {file.parts[0] for file in found.files or () if file.parts[0] not in ("..", "__pycache__")}
        for top in tops:
            link = site / top
            if not link.exists():
                link.symlink_to(Path(str(found.locate_file(top))).resolve())
    return folder


def required_by(*roots: str) -> set[str]:
    """These distributions and all that they require here, without extras."""
    found: set[str] = set()
    waiting = list(roots)
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name in found:
            continue
        found.add(name)
        for text in distribution(name).requires or ():
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(requirement.name)
    return found


def stock_volumes(volumes: Sequence[Manifest], environment: Path) -> list[Manifest]:
    """The volumes of a pod of HOST_IMAGE, with this environment in the place of the checkout's."""
    stock = {"path": str(environment), "type": "Directory"}
    return [{**volume, "hostPath": stock} if volume["name"] == "environment" else volume for volume in volumes]


def stock_template(
    environment: Path,
    shared: Path,
    command: Sequence[str] = ("torchrun", str(TRAIN), DATA),
    annotations: Mapping[str, str] | None = None,
    **spec: Any,
) -> Manifest:
    """The template of a pod of a user who knows nothing of this project, but for the label and the annotation.

    Args:
        environment: what `make_environment` has made.
        shared: a folder of this machine, which the pod sees as /data.
        command: of its only container.
        annotations: other ones than `rdzv.dev/nnodes`, or another value of it.
        spec: further fields of the pod's spec.
    """
    data = {"name": "data", "hostPath": {"path": str(shared), "type": "Directory"}}
    return {
        "metadata": {
            "labels": {"app": "train", names.LABEL_RENDEZVOUS: "train"},
            "annotations": {"rdzv.dev/nnodes": "2:4", **(annotations or {})},
        },
        "spec": {
            "restartPolicy": "Never",
            "enableServiceLinks": False,
            "containers": [container(command)],
            "volumes": [*stock_volumes(host_volumes(), environment), data],
            **spec,
        },
    }
