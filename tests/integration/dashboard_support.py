"""`kubectl rdzv dashboard` as its users run it, and its page as a program reads it."""

import http.client
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode, urlsplit

from tests.integration.cli_support import Rdzv
from tests.support.waiting import wait_until

T = TypeVar("T")
Json = dict[str, Any]


class Dashboard:
    """The command, while it runs. Use it in a ``with``.

    Args:
        rdzv: the program.
        arguments: of the command, beside ``--no-open``.
    """

    def __init__(self, rdzv: Rdzv, *arguments: str) -> None:
        self.process = rdzv.start("dashboard", "--no-open", *arguments)
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().strip()
        if not self.address:
            raise AssertionError(self.process.communicate())

    def __enter__(self) -> "Dashboard":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()  # a kill would leave its kubectls behind
        self.process.communicate(timeout=60)

    def processor_seconds(self) -> float:
        """How long it has computed, without kubectl."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def get(self, path: str = "") -> tuple[int, bytes]:
        """Status and body of an answer."""
        url = urlsplit(self.address)
        connection = http.client.HTTPConnection(url.netloc, timeout=30)
        connection.request("GET", url.path + path)
        answer = connection.getresponse()
        return answer.status, answer.read()

    def stream(self, namespace: str = "", name: str = "") -> "Stream":
        """Follow the view of a group, or of all."""
        of = urlencode({"namespace": namespace, "name": name}) if name else ""
        return Stream(self.address, f"events?{of}")


class Stream:
    """Server-sent events as a browser reads them."""

    def __init__(self, address: str, path: str) -> None:
        url = urlsplit(address)
        connection = http.client.HTTPConnection(url.netloc, timeout=60)
        connection.request("GET", url.path + path)
        self._answer = connection.getresponse()
        assert self._answer.status == 200, self._answer.read()
        self.views: list[Json] = []
        self.ended = threading.Event()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        try:
            for line in self._answer:
                if line.startswith(b"data: "):
                    self.views.append(json.loads(line[len(b"data: ") :]))
        except (OSError, http.client.HTTPException):
            pass
        self.ended.set()

    def until(self, wanted: Callable[[Json], T], what: str) -> T:
        """Wait until the newest view is as wanted."""
        return wait_until(lambda: wanted(self.views[-1]) if self.views else None, what, timeout=60)


def children_of(process: int) -> list[int]:
    """The processes that it has started."""
    found = [path.read_text().split() for path in Path(f"/proc/{process}/task").glob("*/children")]
    return [int(number) for numbers in found for number in numbers]
