"""The official archive of test binaries (kube-apiserver, etcd, kubectl) that controller-tools publishes."""

import hashlib
import http.client
import platform
import tarfile
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import IO

from .errors import BinariesError
from .progress_report import Report, duration

ENVTEST_VERSION = "v1.36.2"
_URL = (
    f"https://github.com/kubernetes-sigs/controller-tools/releases/download/envtest-{ENVTEST_VERSION}/"
    f"envtest-{ENVTEST_VERSION}-{{platform}}.tar.gz"
)
# SHA-512 of each archive, from envtest-releases.yaml of controller-tools. Kept here rather than read from there at run
# time, so that only an archive that was once checked is run.
_SHA512 = {
    "linux-amd64": "ea743186c8a799f5cf8faf16969f86189d003cb7d130e0ac4b58789f1e5748dc"
    "f30ebe91c837a10d5ac415383da3e10b9e64d65785c938c23e739781cfb76f08",
    "linux-arm64": "2d72ee985a8e262a3c57dc9f7f0fd891f6a8c7bf7ebaa2db6dc6d8eac8ae2818"
    "1afe51c1f368b67756cdb40b10de9b205609e1726e5f27f7c6d824dd9c6649ac",
}
_MEMBERS = ("kube-apiserver", "etcd", "kubectl")  # in the archive: controller-tools/envtest/NAME

# A machine without a way to the archive shall move on quickly. The first bounds one socket operation; the second all
# until the answer begins, with the look-up of the name, which no socket timeout bounds.
_SOCKET_TIMEOUT_SECONDS = 5.0
_ANSWER_TIMEOUT_SECONDS = 8.0


def fetch_envtest(target: Path, report: Report) -> None:
    """Download the archive, check its SHA-512, and put kube-apiserver, etcd and kubectl into the folder `target`.

    Raises BinariesError, in one line, when there is none for this platform, when it cannot be reached, or when it is
    not the archive it should be.
    """
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    name = f"{platform.system().lower()}-{machine}"
    if name not in _SHA512:
        raise BinariesError(f"there is no envtest archive for {name}")
    with tempfile.TemporaryFile(dir=target.parent) as file:
        try:
            _download(_URL.format(platform=name), file, report)
        except (OSError, http.client.HTTPException) as error:
            # A plain URLError only wraps what happened; its sub-class HTTPError has the status.
            reason = error.reason if type(error) is urllib.error.URLError else error
            raise BinariesError(f"the envtest archive cannot be fetched: {reason}") from error
        unpack_envtest(file, _SHA512[name], target)


def unpack_envtest(file: IO[bytes], sha512: str, target: Path) -> None:
    """Check the archive `file` (a gzipped tar) against its SHA-512 (hexadecimal), then unpack it into `target`."""
    file.seek(0)
    digest = hashlib.sha512()
    while block := file.read(1 << 20):
        digest.update(block)
    if digest.hexdigest() != sha512:
        raise BinariesError("the envtest archive is not the one expected: its SHA-512 differs")
    file.seek(0)
    with tarfile.open(fileobj=file, mode="r:gz") as archive:
        # Only the members that are known, each to a name of our own: nothing in an archive may choose where it goes.
        for name in _MEMBERS:
            try:
                content = archive.extractfile(f"controller-tools/envtest/{name}")
            except KeyError:
                content = None
            if content is None:
                raise BinariesError(f"the envtest archive lacks {name}")
            (target / name).write_bytes(content.read())
            (target / name).chmod(0o755)


def _download(url: str, file: IO[bytes], report: Report) -> None:
    started = time.monotonic()
    with _open(url) as answer:
        total = int(answer.headers.get("Content-Length") or 0)
        size = 0
        while block := answer.read(1 << 18):
            file.write(block)
            size += len(block)
            report.progress(
                f"downloading the envtest archive {ENVTEST_VERSION}: {size >> 20} of {total >> 20} MiB, "
                f"{duration(time.monotonic() - started)}"
            )


def _open(url: str) -> http.client.HTTPResponse:
    """Open a URL, and give up after _ANSWER_TIMEOUT_SECONDS even if the look-up of its name hangs."""
    result: list[http.client.HTTPResponse | Exception] = []

    def run() -> None:
        try:
            result.append(urllib.request.urlopen(url, timeout=_SOCKET_TIMEOUT_SECONDS))
        except (OSError, http.client.HTTPException) as error:
            result.append(error)  # handed to the caller, below

    thread = threading.Thread(target=run, daemon=True)  # a hanging look-up must not keep the process alive either
    thread.start()
    thread.join(_ANSWER_TIMEOUT_SECONDS)
    if not result:
        raise TimeoutError(f"no answer within {_ANSWER_TIMEOUT_SECONDS:.0f} s")
    if isinstance(result[0], Exception):
        raise result[0]
    return result[0]
