"""A real browser without a screen: Chromium, driven by the DevTools protocol over a pipe, without another package."""

import base64
import json
import os
import shutil
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

from tests.support.waiting import wait_until

Json = dict[str, Any]

PROGRAMS = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
INSTALL = (
    "no Chromium is on the PATH: `apt-get install chromium` on Debian, or Google Chrome; CHROMIUM names another one"
)
_ANSWER_SECONDS = 60.0


def program() -> str:
    """The browser.

    Raises:
        FileNotFoundError: there is none.
    """
    named = os.environ.get("CHROMIUM")
    found = next(filter(None, map(shutil.which, [named] if named else PROGRAMS)), None)
    if found is None:
        raise FileNotFoundError(INSTALL)
    return found


class Browser:
    """One page. Use it in a ``with``.

    Args:
        folder: for its profile.
        size: of the window, in CSS pixels.
    """

    def __init__(self, folder: Path, size: tuple[int, int] = (1280, 900)) -> None:
        reads, self._commands = os.pipe()
        self._answers, writes = os.pipe()
        command = [
            program(), "--headless=new", "--remote-debugging-pipe", f"--user-data-dir={folder / 'profile'}",
            "--no-first-run", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking",
            "--disable-component-update", "--hide-scrollbars", f"--window-size={size[0]},{size[1]}",
        ]  # fmt: skip
        if os.geteuid() == 0:
            command.append("--no-sandbox")  # as root it refuses to start with it

        def place() -> None:  # where Chromium expects the ends of the pipes
            kept = os.dup(reads), os.dup(writes)
            os.dup2(kept[0], 3)
            os.dup2(kept[1], 4)

        with (folder / "browser.log").open("wb") as log:
            self.process = subprocess.Popen(
                command, preexec_fn=place, pass_fds=(3, 4), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, env={**os.environ, "HOME": str(folder)},
            )  # fmt: skip
        os.close(reads)
        os.close(writes)
        self._session: str | None = None
        self._number = 0
        self._replies: dict[int, Json] = {}
        self._arrived = threading.Condition()
        self.events: list[Json] = []
        """What the page has done, as the protocol says it."""
        threading.Thread(target=self._read, daemon=True).start()
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._commands)

    def call(self, method: str, **parameters: Any) -> Json:
        """One command of the protocol; fails with what the browser says."""
        with self._arrived:
            self._number += 1
            number = self._number
        sent: Json = {"id": number, "method": method, "params": parameters}
        if self._session is not None:
            sent["sessionId"] = self._session
        data = json.dumps(sent).encode() + b"\0"
        while data:
            data = data[os.write(self._commands, data) :]
        with self._arrived:
            came = self._arrived.wait_for(lambda: number in self._replies, _ANSWER_SECONDS)
            assert came, f"{method}: no answer within {_ANSWER_SECONDS:g} s"
            answer = self._replies.pop(number)
        assert "error" not in answer, f"{method}: {answer['error']}"
        result: Json = answer["result"]
        return result

    def _read(self) -> None:
        kept = b""
        with os.fdopen(self._answers, "rb", buffering=0) as answers:
            while part := answers.read(1 << 20):
                *whole, kept = (kept + part).split(b"\0")
                with self._arrived:
                    for each in map(json.loads, whole):
                        if "id" in each:
                            self._replies[each["id"]] = each
                        else:
                            self.events.append(each)
                    self._arrived.notify_all()

    def open(self, address: str) -> None:
        """Go to an address."""
        self.call("Page.navigate", url=address)

    def value(self, script: str) -> Any:
        """What an expression of JavaScript gives, by the debugger, for which the page's policy does not count."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, script: str, what: str) -> Any:
        """Wait until an expression is true."""
        return wait_until(lambda: self.value(script), what, timeout=60)

    def press(self, *keys: str) -> None:
        """Press keys one after the other: letters, or names such as ``ArrowDown``."""
        codes = {"Enter": 13, "Escape": 27, "ArrowDown": 40, "ArrowUp": 38, "ArrowLeft": 37, "ArrowRight": 39, "Tab": 9,
                 "Home": 36, "End": 35}  # fmt: skip
        for key in keys:
            text = {"Enter": "\r"}.get(key, key if len(key) == 1 else "")
            one: Json = {"key": key, "windowsVirtualKeyCode": codes.get(key, ord(key[0].upper()))}
            self.call("Input.dispatchKeyEvent", type="keyDown", **one, **({"text": text} if text else {}))
            self.call("Input.dispatchKeyEvent", type="keyUp", **one)

    def look(self, *, dark: bool = False, size: tuple[int, int] = (1280, 900)) -> None:
        """Set the colours that the user prefers, and the size of the window."""
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setEmulatedMedia", features=features)
        self.call(
            "Emulation.setDeviceMetricsOverride", width=size[0], height=size[1], deviceScaleFactor=1, mobile=False
        )

    def processor_seconds(self) -> float:
        """How long the page has computed and drawn."""
        self.call("Performance.enable", timeDomain="threadTicks")
        metrics = {each["name"]: each["value"] for each in self.call("Performance.getMetrics")["metrics"]}
        return float(metrics["TaskDuration"])

    def picture(self) -> bytes:
        """The window as a PNG."""
        time.sleep(0.4)  # colours and opacity change within this time
        return base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])

    def said(self) -> list[str]:
        """Errors and warnings of the page, such as what its policy has refused, and dialogues that were opened."""
        found = []
        for event in list(self.events):
            method, more = event.get("method"), event.get("params", {})
            if method == "Runtime.exceptionThrown":
                found.append(str(more["exceptionDetails"]))
            elif method == "Log.entryAdded" and more["entry"]["level"] in ("error", "warning"):
                found.append(more["entry"]["text"])
            elif method in ("Runtime.consoleAPICalled", "Page.javascriptDialogOpening"):
                found.append(f"{method}: {more}")
        return found

    def asked(self) -> set[str]:
        """The addresses of all requests of the page."""
        return {
            event["params"]["request"]["url"]
            for event in list(self.events)
            if event.get("method") == "Network.requestWillBeSent"
        }
