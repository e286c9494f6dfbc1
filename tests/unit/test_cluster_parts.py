"""The parts of the test cluster that need neither root nor a cluster."""

import contextlib
import hashlib
import io
import json
import ssl
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from cryptography import x509
from testcluster import certificates, host_image, images, machine, waiting
from testcluster.layout import ClusterError, state_dir
from tests.support.waiting import wait_until

from rendezvous_controlplane import Report

FIRST_THREAD_ENDS = """
import ctypes, platform, threading, time
threading.Thread(target=time.sleep, args=(600,)).start()
ctypes.CDLL(None).syscall(60 if platform.machine() == "x86_64" else 93, 0)  # exit(2), which is of a thread
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    state_dir().mkdir(parents=True)


def read(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    assert file is not None
    return file.read()


def test_the_archive_of_an_image_is_consistent(tmp_path: Path) -> None:
    layer = images.Layer()
    layer.folder("tmp", mode=0o1777)
    layer.link("bin", "usr/bin")
    layer.file("pause", b"program", mode=0o755)
    images.write_archive(tmp_path / "image.tar", "localhost/thing:1", layer, {"Entrypoint": ["/pause"]})
    with tarfile.open(tmp_path / "image.tar") as archive:
        (manifest,) = json.loads(read(archive, "manifest.json"))
        assert manifest["RepoTags"] == ["localhost/thing:1"]
        config = read(archive, manifest["Config"])
        assert manifest["Config"] == f"{hashlib.sha256(config).hexdigest()}.json"
        (content,) = (read(archive, name) for name in manifest["Layers"])
    image = json.loads(config)
    assert image["config"] == {"Entrypoint": ["/pause"]}
    assert image["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(content).hexdigest()}"]
    with tarfile.open(fileobj=io.BytesIO(content)) as files:
        assert {entry.name: (entry.isdir(), entry.issym(), entry.mode) for entry in files} == {
            "tmp": (True, False, 0o1777),
            "bin": (False, True, 0o777),
            "pause": (False, False, 0o755),
        }
        assert read(files, "pause") == b"program"


def test_the_host_image_is_the_same_each_time_and_names_the_environment() -> None:
    host_image.build_host_image()
    first = host_image.host_archive().read_bytes()
    host_image.host_archive().unlink()
    host_image.build_host_image()
    assert host_image.host_archive().read_bytes() == first
    with tarfile.open(host_image.host_archive()) as archive:
        (manifest,) = json.loads(read(archive, "manifest.json"))
        variables = json.loads(read(archive, manifest["Config"]))["config"]["Env"]
    assert not any(sys.prefix in variable for variable in variables), "it is good for any checkout"
    (environment,) = (mount["mountPath"] for mount in host_image.host_volume_mounts() if mount["name"] == "environment")
    assert any(variable.startswith(f"PATH={environment}/bin:") for variable in variables)


def test_all_that_python_needs_is_mounted_and_nothing_twice() -> None:
    volumes = {volume["name"]: Path(volume["hostPath"]["path"]) for volume in host_image.host_volumes()}
    mounts = {mount["name"]: Path(mount["mountPath"]) for mount in host_image.host_volume_mounts()}
    assert volumes.pop("environment") == Path(sys.prefix)
    mounts.pop("environment")
    assert volumes == mounts, "all else is where it is here"
    assert all(mount["readOnly"] for mount in host_image.host_volume_mounts())
    for needed in (Path("/usr"), Path(sys.prefix), Path(sys.executable).resolve(), Path(__file__)):
        assert sum(needed.is_relative_to(folder) for folder in mounts.values()) == 1, needed
    assert not any(path.is_symlink() for path in mounts.values())


def shake_hands(server: str, address: str, client: str | None = None, *, strict: bool = False) -> None:
    """A TLS handshake, in memory, with the certificate `server` for `address`; raises ssl.SSLError if it is refused.

    strict: as by default from Python 3.13 on.
    """
    authority = certificates.certificate("ca")
    ends = []
    for purpose, own in ((ssl.Purpose.SERVER_AUTH, client), (ssl.Purpose.CLIENT_AUTH, server)):
        context = ssl.create_default_context(purpose, cafile=str(authority))
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        context.verify_flags |= ssl.VERIFY_X509_STRICT if strict else 0
        if own is not None:
            context.load_cert_chain(certificates.certificate(own), certificates.private_key(own))
        if purpose is ssl.Purpose.CLIENT_AUTH and client is not None:
            context.verify_mode = ssl.CERT_REQUIRED
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        serves = purpose is ssl.Purpose.CLIENT_AUTH
        end = context.wrap_bio(incoming, outgoing, server_side=serves, server_hostname=None if serves else address)
        ends.append((end, incoming, outgoing))
    (one, to_one, from_one), (other, to_other, from_other) = ends
    for _ in range(3):
        for end in (one, other):
            with contextlib.suppress(ssl.SSLWantReadError):
                end.do_handshake()
            to_other.write(from_one.read())
            to_one.write(from_other.read())
    assert one.version() == other.version() == "TLSv1.3"


def test_certificates_are_signed_by_the_authority_for_the_addresses_of_the_api_server() -> None:
    certificates.make_certificates()
    for address in ("198.18.0.1", "10.96.0.1", "127.0.0.1", "kubernetes.default.svc"):
        shake_hands("apiserver", address, client="apiserver-kubelet-client")
    with pytest.raises(ssl.SSLCertVerificationError, match=r"IP address mismatch.+198\.18\.0\.2"):
        shake_hands("apiserver", "198.18.0.2")


def test_a_program_must_accept_certificates_that_name_no_key() -> None:
    certificates.make_certificates()
    with pytest.raises(ssl.SSLCertVerificationError, match=r"Missing (Subject|Authority) Key Identifier"):
        shake_hands("apiserver", "198.18.0.1", strict=True)


def test_a_certificate_is_for_a_server_or_for_a_client() -> None:
    certificates.make_certificates()
    with pytest.raises(ssl.SSLError, match="unsuitable certificate purpose"):
        shake_hands("apiserver", "198.18.0.1", client="apiserver")
    with pytest.raises(ssl.SSLError, match="unsuitable certificate purpose"):
        shake_hands("apiserver-kubelet-client", "198.18.0.1")
    client = x509.load_pem_x509_certificate(certificates.certificate("apiserver-kubelet-client").read_bytes())
    assert client.subject.rfc4514_string() == "CN=kube-apiserver,O=system:masters"


def test_certificates_stay_until_another_one_is_asked_for() -> None:
    certificates.make_certificates()
    before = certificates.certificate("apiserver").read_text()
    certificates.make_certificates()
    assert certificates.certificate("apiserver").read_text() == before
    certificates.make_serving_certificate()
    after = certificates.certificate("apiserver").read_text()
    assert certificates.fingerprint(after) != certificates.fingerprint(before)


def test_a_process_is_there_until_its_last_thread_has_ended() -> None:
    """A server that is killed may be a zombie before its other threads have let go of its port."""
    process = subprocess.Popen([sys.executable, "-c", FIRST_THREAD_ENDS])
    state = Path(f"/proc/{process.pid}/stat")
    try:
        wait_until(lambda: ") Z " in state.read_text(), "its first thread to have ended")
        assert machine.exists(process.pid)
        process.kill()
        wait_until(lambda: not machine.exists(process.pid), "the others to have ended, too")
    finally:
        process.kill()
        process.wait()
    assert not machine.exists(process.pid)


def test_waiting_in_vain_says_what_for_and_what_was_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "_SILENT_SECONDS", -1.0)
    said = io.StringIO()
    with pytest.raises(ClusterError, match=r"(?s)waited 0 s in vain for the bus: it rains\nthe log"):
        waiting.wait_until("the bus", lambda: "it rains", Report(said), 0.05, interval=0.02, explain=lambda: "the log")
    assert said.getvalue() == "waiting for the bus: it rains (0 s)\n"
    states = iter(["not yet", ""])
    waiting.wait_until("the bus", lambda: next(states), Report(io.StringIO()), 5, interval=0.0)
