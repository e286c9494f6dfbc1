"""A real Prometheus on the loopback, for the queries of the dashboard and of the alerts."""

import contextlib
import json
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tests.support.ports import free_port

from rendezvous_controlplane import Report
from rendezvous_controlplane.cache import filled

_PACKAGE = "prometheus"
_NO_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class Programs:
    """Where the programs are."""

    prometheus: Path
    promtool: Path


def find_programs() -> Programs | None:
    """Those of the PATH, else of Debian's package, unpacked into the cache; None where neither can be had."""
    on_path = shutil.which("prometheus"), shutil.which("promtool")
    if on_path[0] and on_path[1]:
        return Programs(Path(on_path[0]), Path(on_path[1]))
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        return None
    report = Report()
    programs = filled(_PACKAGE, "usr/bin/promtool", partial(_unpack, report=report), report) / "usr" / "bin"
    return Programs(programs / "prometheus", programs / "promtool")


def _unpack(target: Path, report: Report) -> None:
    report.say(f"downloading {_PACKAGE} from Debian")
    download = ["apt-get", "download", _PACKAGE]
    if subprocess.run(download, cwd=target, capture_output=True).returncode != 0:
        subprocess.run(["apt-get", "update"], capture_output=True, check=False)
        subprocess.run(download, cwd=target, capture_output=True, check=True)
    (archive,) = target.glob("*.deb")
    subprocess.run(["dpkg-deb", "--extract", archive, target], check=True)
    archive.unlink()


class Prometheus:
    """The HTTP API of one that runs."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/api/v1/"

    def get(self, path: str, **parameters: str) -> Any:
        """The `data` of an answer; raises OSError where there is none, AssertionError where it is an error."""
        url = f"{self._url}{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with _NO_PROXY.open(url, timeout=10) as answer:
                found = json.load(answer)
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{path} {parameters}: {error.read().decode()}") from error
        assert found["status"] == "success", found
        return found["data"]

    def query(self, expression: str) -> list[Any]:
        """The samples of an instant query."""
        result: list[Any] = self.get("query", query=expression)["result"]
        return result

    def query_range(self, expression: str, start: float, end: float, step: float) -> list[Any]:
        """The series of a range query, in seconds."""
        times = {"start": str(start), "end": str(end), "step": str(step)}
        result: list[Any] = self.get("query_range", query=expression, **times)["result"]
        return result


@contextlib.contextmanager
def running(programs: Programs, folder: Path, targets: Mapping[str, Any], rules: Path) -> Iterator[Prometheus]:
    """A Prometheus that scrapes each second, and has these rules; ``targets``: such as `static_configs`."""
    port = free_port()
    scrape = {"job_name": "operator", "honor_labels": True, **targets}
    settings = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config = folder / "prometheus.json"  # JSON is YAML
    config.write_text(json.dumps({"global": settings, "rule_files": [str(rules)], "scrape_configs": [scrape]}))
    command: list[str | Path] = [
        programs.prometheus, f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]  # fmt: skip
    with open(folder / "prometheus.log", "wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        found = Prometheus(port)
        deadline = time.monotonic() + 30
        while True:
            with contextlib.suppress(OSError, AssertionError):  # it answers with 503 while it starts
                found.get("status/buildinfo")
                break
            if time.monotonic() > deadline or server.poll() is not None:
                raise TimeoutError((folder / "prometheus.log").read_text()[-3000:])
            time.sleep(0.1)
        yield found
    finally:
        server.terminate()
        server.wait(30)
