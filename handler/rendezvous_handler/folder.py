"""The handler as a folder for PYTHONPATH: for containers whose image has torch and nothing of this project.

``python -m rendezvous_handler.folder TARGET`` copies the installed package there. The init container of the chart does
that, and so does the build of the image ``kube-rendezvous-handler``. A folder with packages and their ``*.dist-info``
is all that ``importlib.metadata.entry_points`` needs, by which torch finds handlers. It is the same for each Python and
each processor, since nothing in it is compiled.
"""

from __future__ import annotations

import logging
import shutil
import sys
from importlib.metadata import Distribution, distributions
from pathlib import Path

DISTRIBUTION = "kube-rendezvous"

_METADATA = ("METADATA", "WHEEL", "entry_points.txt")
"""The files of ``*.dist-info`` that say something of the package; the others say how it was installed here."""

_logger = logging.getLogger(__name__)


def main() -> None:
    """Copy to the folder that the command line names."""
    if len(sys.argv) != 2:
        sys.exit("usage: python -m rendezvous_handler.folder TARGET")
    copy_to(Path(sys.argv[1]), _installed()[0])


def copy_to(target: Path, distribution: Distribution) -> None:
    """Copy what the distribution has installed to a folder, which is made if it is missing. All users may read it.

    Raises:
        ValueError: it was installed for development, and has no files of its own.
    """
    files = [file for file in distribution.files or () if _belongs(file.parts)]
    if not any(file.name == "plugin.py" for file in files):
        raise ValueError(f"{DISTRIBUTION} is installed for development: there is nothing to copy")
    target.mkdir(parents=True, exist_ok=True)
    for file in files:
        copy = target.joinpath(file)
        for folder in reversed(copy.relative_to(target).parents):
            (target / folder).mkdir(exist_ok=True)
            if folder.parts:
                (target / folder).chmod(0o755)
        shutil.copyfile(Path(str(distribution.locate_file(file))), copy)
        copy.chmod(0o644)


def log_origin() -> None:
    """Say which handler runs, where there are several: that of the image, and one that was injected in front of it."""
    own = Path(__file__).resolve().parents[1]
    first, *others = _installed()
    hidden = [other for other in others if _place(other) != _place(first)]
    if _place(first) == own and hidden:
        image = ", ".join(f"{other.version} in {_place(other)}" for other in hidden)
        _logger.info("the handler is %s in %s; that of the image is not used: %s", first.version, own, image)


def _installed() -> list[Distribution]:
    """The distributions of this name, in the order of ``sys.path``."""
    return list(distributions(name=DISTRIBUTION))


def _place(distribution: Distribution) -> Path:
    return Path(str(distribution.locate_file(""))).resolve()


def _belongs(parts: tuple[str, ...]) -> bool:
    if parts[0].endswith(".dist-info"):
        return parts[1] == "licenses" or parts[-1] in _METADATA
    # Programs are outside of the folder, and byte-code is for one version of Python.
    return parts[0] != ".." and "__pycache__" not in parts


if __name__ == "__main__":
    main()
