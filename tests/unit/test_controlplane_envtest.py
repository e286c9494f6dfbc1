"""The official archive: checked before it is unpacked, and given up quickly where it cannot be reached."""

import functools
import hashlib
import http.server
import io
import platform
import socket
import tarfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rendezvous_controlplane import BinariesError, Report, envtest


def archive(names: tuple[str, ...]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name in names:
            member = tarfile.TarInfo(f"controller-tools/envtest/{name}")
            content = f"I am {name}".encode()
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


WHOLE = archive(("kube-apiserver", "etcd", "kubectl"))


@pytest.fixture
def target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(envtest, "_SHA512", {"linux-amd64": hashlib.sha512(WHOLE).hexdigest()})
    (tmp_path / "cache" / "new").mkdir(parents=True)
    return tmp_path / "cache" / "new"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that a local web server serves in place of the release page."""
    folder = tmp_path / "site"
    folder.mkdir()
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(envtest, "_URL", f"http://127.0.0.1:{server.server_port}/{{platform}}.tar.gz")
        yield folder
        server.shutdown()


def test_the_archive_is_fetched_and_unpacked(target: Path, site: Path) -> None:
    (site / "linux-amd64.tar.gz").write_bytes(WHOLE)
    envtest.fetch_envtest(target, Report(io.StringIO()))
    assert {path.name: path.read_text() for path in target.iterdir()} == {
        "kube-apiserver": "I am kube-apiserver",
        "etcd": "I am etcd",
        "kubectl": "I am kubectl",
    }
    assert {path.stat().st_mode & 0o777 for path in target.iterdir()} == {0o755}


def test_another_archive_is_refused_before_it_is_unpacked(target: Path, site: Path) -> None:
    (site / "linux-amd64.tar.gz").write_bytes(archive(("kube-apiserver", "etcd", "kubectl", "more")))
    with pytest.raises(BinariesError, match="SHA-512 differs"):
        envtest.fetch_envtest(target, Report(io.StringIO()))
    assert list(target.iterdir()) == []


def test_an_archive_that_lacks_a_program_is_refused(target: Path, site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = archive(("kube-apiserver", "kubectl"))
    monkeypatch.setattr(envtest, "_SHA512", {"linux-amd64": hashlib.sha512(content).hexdigest()})
    (site / "linux-amd64.tar.gz").write_bytes(content)
    with pytest.raises(BinariesError, match="lacks etcd"):
        envtest.fetch_envtest(target, Report(io.StringIO()))


def test_an_archive_that_is_not_there_is_one_line(target: Path, site: Path) -> None:
    with pytest.raises(BinariesError, match=r"^the envtest archive cannot be fetched: .*404.*$"):
        envtest.fetch_envtest(target, Report(io.StringIO()))


def test_a_server_that_never_answers_is_given_up(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(envtest, "_ANSWER_TIMEOUT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # it accepts, and says nothing
        monkeypatch.setattr(envtest, "_URL", f"http://127.0.0.1:{silent.getsockname()[1]}/")
        started = time.monotonic()
        with pytest.raises(BinariesError, match="cannot be fetched: no answer within"):
            envtest.fetch_envtest(target, Report(io.StringIO()))
        assert time.monotonic() - started < 30


def test_an_unknown_platform_is_not_even_asked_for(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(BinariesError, match="no envtest archive for linux-riscv64"):
        envtest.fetch_envtest(target, Report(io.StringIO()))
