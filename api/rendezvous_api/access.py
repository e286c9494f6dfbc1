"""How the API server is reached, as kubectl does it: what agents and operator have in common.

Sources of the rules: client-go (``tools/clientcmd`` for kubeconfigs, ``rest.InClusterConfig`` for pods), Go's
``golang.org/x/net/http/httpproxy`` for proxies, and Go's ``crypto/x509`` for certificates.
"""

import base64
import ipaddress
import json
import os
import re
import ssl
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from rendezvous_api.api_errors import NoConfigurationError

_CAUSES = 10
"""So many errors may be wrapped around that of a certificate."""


def kubeconfig_files(environment: Mapping[str, str]) -> str | None:
    """The kubeconfigs of ``KUBECONFIG``, with ``:`` between them; None: it names no file that has anything in it.

    kubectl passes over files that are missing or empty. So ``KUBECONFIG=/dev/null`` is as good as none.
    """
    files = [path for path in environment.get("KUBECONFIG", "").split(os.pathsep) if path and _has_content(path)]
    return os.pathsep.join(files) or None


def _has_content(path: str) -> bool:
    try:
        found = os.stat(os.path.expanduser(path))
    except OSError:
        return False
    return not stat.S_ISCHR(found.st_mode) and (found.st_size > 0 or not stat.S_ISREG(found.st_mode))


def claims_of(token: str) -> dict[str, Any]:
    """The claims of a JSON web token; empty: it is something else.

    The signature is not checked: the API server does that with each request.
    """
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError):
        return {}
    return claims if isinstance(claims, dict) else {}


def namespace_of(token: str) -> str | None:
    """The namespace of the service account whose token it is; None: it is the token of somebody else."""
    kind, _, account = str(claims_of(token).get("sub", "")).partition(":serviceaccount:")
    namespace = account.partition(":")[0]
    return namespace if kind == "system" and namespace else None


def namespace_of_pod(file: Path) -> str:
    """The namespace of this pod: that of the file, else of the token beside it, as in a volume made by hand.

    Raises:
        OSError: the file cannot be read, and there is no token of a service account.
    """
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError:
        try:
            token = file.with_name("token").read_text(encoding="utf-8")
        except OSError:
            token = ""
        namespace = namespace_of(token)
        if namespace is None:
            raise
        return namespace


def proxy_for(url: str, environment: Mapping[str, str]) -> str | None:
    """The proxy for a URL by ``HTTPS_PROXY``, ``HTTP_PROXY`` and ``NO_PROXY``; None: there is none.

    ``localhost`` and loopback addresses have none. An entry of ``NO_PROXY`` is ``*``, an IP address, a CIDR, a name,
    which stands for all names below it, too, or ``.NAME``, for these alone; ``:PORT`` may follow, except to a CIDR.
    """
    where = urlsplit(url)
    host = (where.hostname or "").lower()
    proxy = _variable(environment, f"{where.scheme}_proxy")
    if not proxy or _is_this_machine(host):
        return None
    port = where.port or (443 if where.scheme == "https" else 80)
    entries = (entry.strip().lower() for entry in _variable(environment, "no_proxy").split(","))
    if any(_spares(entry, host, port) for entry in entries if entry):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def proxy_to_use(url: str, configured: str | None, environment: Mapping[str, str]) -> str | None:
    """The proxy for a URL: that of the kubeconfig (``proxy-url``), else that of the environment; None: there is none.

    Raises:
        NoConfigurationError: it is no URL of an HTTP proxy.
    """
    source = "proxy-url of the kubeconfig" if configured else "the proxy of the environment"
    proxy = configured or proxy_for(url, environment)
    if not proxy:
        return None
    shown = re.sub(r"//[^/@]*@", "//", proxy)
    try:
        parts = urlsplit(proxy)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError as error:
        raise NoConfigurationError(f"{source} is {shown!r}: {error}") from error
    if not usable:
        raise NoConfigurationError(f"{source} is {shown!r}: only http:// and https:// with a host can be used")
    return proxy


def _variable(environment: Mapping[str, str], name: str) -> str:
    return environment.get(name.upper()) or environment.get(name) or ""


def _is_this_machine(host: str) -> bool:
    address = _address(host)
    return host == "localhost" or (address is not None and address.is_loopback)


def _spares(entry: str, host: str, port: int) -> bool:
    """Whether an entry of ``NO_PROXY`` means a host and port."""
    if entry == "*":
        return True
    address = _address(host)
    if "/" in entry:
        try:
            return address is not None and address in ipaddress.ip_network(entry, strict=False)
        except ValueError:
            return False
    name, given = entry, ""
    if _address(entry.strip("[]")) is None:
        name, _, given = entry.rpartition(":") if ":" in entry else (entry, "", "")
    if given and given != str(port):
        return False
    name = name.removeprefix("[").removesuffix("]").removeprefix("*")
    if address is not None:
        return _address(name) == address
    return host.endswith(name) if name.startswith(".") else host == name or host.endswith(f".{name}")


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def verify_as_kubectl(context: ssl.SSLContext) -> None:
    """Accept what kubectl accepts, on every version of Python.

    Python 3.13 refuses certificates without key identifiers (``VERIFY_X509_STRICT``), which many clusters have. Earlier
    ones refuse an authority that is itself signed by another one that is not there.
    """
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN


def certificate_problem(error: BaseException, url: str, authority: str | None) -> str | None:
    """Why the certificate of the API server is not accepted; None: the error has another cause.

    Args:
        error: of a request; that of the certificate may be inside.
        url: of the API server.
        authority: the file against which its certificate is checked; None: the authorities that this machine trusts.
    """
    found: Any = error
    for _ in range(_CAUSES):
        # aiohttp's error is of this class, too, and only the one inside says why.
        if isinstance(found, ssl.SSLCertVerificationError) and (why := getattr(found, "verify_message", "")):
            against = authority or "the authorities that this machine trusts"
            return f"the certificate of {url} is not accepted: {why}. It was checked against {against}"
        inner = [argument for argument in getattr(found, "args", ()) if isinstance(argument, BaseException)]
        found = found.__cause__ or found.__context__ or (inner[0] if inner else None)
        if found is None:
            break
    return None
