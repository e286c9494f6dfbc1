"""A credential plug-in of a kubeconfig (``exec``), whose answers a test gives."""

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path


class Plugin:
    """A credential plug-in, and a user of a kubeconfig who has it."""

    def __init__(self, folder: Path, seconds: float = 0) -> None:
        """Write it into a folder; it takes that many seconds to answer."""
        self._answers, self._asked = folder / "answers", folder / "asked"
        self._answers.mkdir()
        self._seconds = folder / "seconds"
        self.takes(seconds)
        program = folder / "plugin"
        # The answer of its number, and the last one from then on.
        program.write_text(
            f"""#!/bin/sh
echo >> {self._asked}
sleep $(cat {self._seconds})
number=$(wc -l < {self._asked})
while [ $number -gt 0 ]; do
    [ -e {self._answers}/$number ] && exec cat {self._answers}/$number
    number=$((number - 1))
done
echo "no session" >&2
exit 1
"""
        )
        program.chmod(0o755)
        version = "client.authentication.k8s.io/v1"
        self.user = {"exec": {"apiVersion": version, "command": str(program), "interactiveMode": "Never"}}

    def answer(self, number: int, token: str = "", lifetime: float | None = None, **more: str) -> None:
        """From this question on (the first is 1) give a token, for so many seconds if that is to be said; or more."""
        status = {**({"token": token} if token else {}), **more}
        if lifetime is not None:
            expires = datetime.now(timezone.utc) + timedelta(seconds=lifetime)
            status["expirationTimestamp"] = expires.strftime("%Y-%m-%dT%H:%M:%SZ")
        answer = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}
        (self._answers / str(number)).write_text(json.dumps(answer))

    def takes(self, seconds: float) -> None:
        """From the next question on it takes that many seconds."""
        self._seconds.write_text(str(seconds))

    @property
    def asked(self) -> int:
        """How often."""
        return len(self._asked.read_text().splitlines()) if self._asked.exists() else 0
