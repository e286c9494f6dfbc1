"""Where the API server is, and who asks."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import SplitResult, unquote, urlsplit

from rendezvous_api.api_errors import NoConfigurationError
from rendezvous_handler.kube.credentials import Credentials, basic
from rendezvous_handler.kube.dial import Resolver
from rendezvous_handler.kube.tls import Tls

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Server:
    """Where the API server is, and who asks."""

    url: str
    """``http`` or ``https``, a host, perhaps a port and a path."""
    credentials: Credentials
    tls: Tls | None = None
    """None: the URL has ``http``."""
    proxy: str | None = None
    where: SplitResult = field(init=False)
    host: str = field(init=False)
    port: int = field(init=False)
    resolver: Resolver = field(init=False)
    """Of the proxy, where there is one: only that resolves the server's name."""

    def __post_init__(self) -> None:
        """Take the URLs apart.

        Raises:
            NoConfigurationError: that of the server is none.
        """
        where, (host, port) = parts_of(self.url, "the address of the API server")
        through, reached = parts_of(self.proxy, "the proxy") if self.proxy is not None else (None, (host, port))
        if through is not None and through.scheme == "https" and self.tls is None:
            raise NoConfigurationError(f"{self.url}: a proxy with https is only used for a server with https")
        host = host.partition("%")[0]  # the zone says which interface of this machine, and nothing to others
        for name, value in (("where", where), ("host", host), ("port", port), ("resolver", Resolver(*reached))):
            object.__setattr__(self, name, value)

    @property
    def authority(self) -> str:
        """Host and port, as a proxy is asked for them."""
        return f"{self._bracketed}:{self.port}"

    @property
    def host_header(self) -> str:
        """The header ``Host``: without the port where that is the usual one."""
        return self._bracketed if self.port == _PORTS[self.where.scheme] else self.authority

    @property
    def _bracketed(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host

    @property
    def target(self) -> str:
        """What goes before the path of each request."""
        through_proxy = self.proxy is not None and self.tls is None
        return (f"http://{self.authority}" if through_proxy else "") + self.where.path.rstrip("/")

    @property
    def proxy_headers(self) -> list[str]:
        """For the proxy, where that reads the requests: lines."""
        return proxy_authorization(urlsplit(self.proxy)) if self.proxy is not None and self.tls is None else []


def parts_of(url: str, what: str) -> tuple[SplitResult, tuple[str, int]]:
    """A URL in its parts; and host and port.

    Raises:
        NoConfigurationError: it is none of HTTP.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise NoConfigurationError(f"{what} is {url!r}: {error}") from None
    if parts.scheme not in _PORTS or not parts.hostname or port == 0:
        raise NoConfigurationError(f"{what} is {url!r}: only http:// and https:// with a host can be used")
    if not url.isascii() or not url.isprintable() or " " in url:
        raise NoConfigurationError(f"{what} is {url!r}: it has characters that no URL can have")
    # In a URL the zone of an IPv6 address is behind %25 (RFC 6874).
    return parts, (parts.hostname.replace("%25", "%", 1), port or _PORTS[parts.scheme])


def proxy_authorization(proxy: SplitResult) -> list[str]:
    """The header line with the name and the password in the URL of a proxy; none where it has none."""
    if not proxy.username:
        return []
    return [f"Proxy-Authorization: {basic(unquote(proxy.username), unquote(proxy.password or ''))}"]
