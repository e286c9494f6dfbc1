"""How the control plane itself is asked: by kubectl, and by plain requests."""

import http.client
import ssl
import subprocess
from collections.abc import Sequence

from .errors import ControlPlaneError


def run_kubectl(program: Sequence[str], args: Sequence[str], input: str | None, timeout: float) -> str:
    """Run kubectl and return its standard output.

    Args:
        program: kubectl, and the flags that each call has.
        args: its arguments; an error shows these.
        input: its standard input; None is empty.
        timeout: in seconds.

    Raises ControlPlaneError, with what kubectl said, when it fails or takes longer.
    """
    shown = f"kubectl {' '.join(args)}"
    try:
        done = subprocess.run([*program, *args], input=input or "", capture_output=True, text=True, timeout=timeout)
    except subprocess.TimeoutExpired as error:
        raise ControlPlaneError(f"`{shown}` took longer than {timeout:g} s") from error
    if done.returncode != 0:
        raise ControlPlaneError(f"`{shown}` failed with exit code {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def get(server: tuple[str, int], path: str, token: str, certificates: str, timeout: float) -> tuple[int, str]:
    """GET from an API server: the HTTP status and the body.

    Args:
        server: address and port of the API server.
        path: such as ``/version``.
        token: of the user who asks.
        certificates: PEM, against which that of the API server is checked.
        timeout: in seconds.

    Raises OSError or HTTPException when there is no answer in that time.
    """
    context = ssl.create_default_context(cadata=certificates)
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # kubectl accepts certificates without key identifiers, too
    # http.client, unlike urllib, asks no proxy.
    connection = http.client.HTTPSConnection(*server, timeout=timeout, context=context)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        return answer.status, answer.read().decode("utf-8", "replace")
    finally:
        connection.close()
