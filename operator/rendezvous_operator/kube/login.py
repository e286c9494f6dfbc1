"""Where the API server is and who asks: the same for the operator's own requests and for kopf's watches."""

import asyncio
import datetime
import logging
import math
import os
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
from kubernetes.aio import client as kubernetes_client
from kubernetes.aio import config as kubernetes_config
from yarl import URL

from rendezvous_api.access import kubeconfig_files, proxy_to_use, verify_as_kubectl
from rendezvous_api.api_errors import NoConfigurationError

logger = logging.getLogger(__name__)

_TOKEN_SECONDS: Final = 60.0
"""The token of a pod is read again after this time, as client-go does; kubelet replaces it now and then."""

_EARLIER_SECONDS: Final = 10.0
"""A credential plug-in is asked again this long before its token expires: a request takes its time, too."""

_LOAD_SECONDS: Final = 30.0
"""At most, for a credential plug-in to answer."""

_PAUSE_SECONDS: Final = 5.0
"""Between two loads because of refusals. A plug-in is a program, and each refused request would start it."""


@dataclass(frozen=True)
class Access:
    """One state of the configuration."""

    server: str
    """URL of the API server."""
    authorization: str
    """The header of that name; empty: there is none."""
    authority: str | None
    """File with the certificates against which that of the API server is checked; None: those of this machine."""
    certificate: str | None
    """File with the client's certificate, if it has one."""
    key: str | None
    verify: bool
    server_name: str | None
    """In the certificate of the API server, if that is not its host."""
    proxy: str | None

    def tls(self) -> ssl.SSLContext:
        """What TLS is to check, and which certificate to show.

        Raises:
            NoConfigurationError: a file cannot be read, or has no certificate or key in it.
        """
        try:
            context = ssl.create_default_context(cafile=self.authority)
            if self.certificate is not None:
                context.load_cert_chain(self.certificate, self.key)
        except OSError as error:
            files = [file for file in (self.authority, self.certificate, self.key) if file]
            raise NoConfigurationError(f"the certificates for {self.server} in {', '.join(files)}: {error}") from error
        verify_as_kubectl(context)
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


class Login:
    """The configuration as it is now; loaded again when credentials expire or are refused."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        """Load nothing yet.

        Args:
            now: monotonic seconds.
        """
        self._now = now
        self._access: Access | None = None
        self._loaded_at = -math.inf
        self._refused_at = -math.inf
        self._good_until = -math.inf
        self._loading: asyncio.Future[tuple[Access, float]] | None = None
        self._lock = asyncio.Lock()

    async def access(self) -> Access:
        """The configuration, with new credentials where the former ones have expired and there are newer ones.

        Raises:
            NoConfigurationError: it was never loaded, and there is none that can be used.
        """
        async with self._lock:
            if self._access is None:
                return await self._load()
            if self._now() >= self._good_until:
                try:
                    return await self._load()
                except NoConfigurationError as error:
                    # Those from before may still be accepted.
                    logger.warning("the credentials for the API server cannot be renewed: %s", error)
                    self._good_until = self._now() + _PAUSE_SECONDS
            return self._access

    async def refused(self, asked_at: float) -> bool:
        """Load the configuration again, because a request was answered with 401.

        Args:
            asked_at: when that request began, in monotonic seconds.

        Returns whether it has been loaded since then: by now, or for another request. It is not each time.

        Raises:
            NoConfigurationError: there is none that can be used.
        """
        async with self._lock:
            if self._loaded_at > asked_at:
                return True
            now = self._now()
            if now - self._refused_at < _PAUSE_SECONDS:
                return False
            self._refused_at = now
            await self._load()
            return True

    def session(self, access: Access, traces: Sequence[aiohttp.TraceConfig], connections: int) -> aiohttp.ClientSession:
        """A session that adds the credentials of the moment to each request.

        Args:
            access: where it leads.
            traces: of its requests.
            connections: at most so many at a time; 0: any number.

        Raises:
            NoConfigurationError: see `Access.tls`.
        """
        origin = URL(access.server).origin()

        async def authorize(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
            if request.url.origin() == origin:  # no other server, to which this one may redirect, learns of them
                header = (await self.access()).authorization
                if header:
                    request.headers["Authorization"] = header
                request.server_hostname = access.server_name
            return await send(request)

        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=connections, ssl=access.tls()),
            proxy=access.proxy,
            trace_configs=list(traces),
            middlewares=[authorize],
        )

    async def _load(self) -> Access:
        if self._loading is None:
            self._loaded_at = self._now()  # also if it fails: a plug-in may take its time to do so
            self._loading = asyncio.ensure_future(_configuration())
        # It goes on after that time, and is waited for the next time: a plug-in that hangs is not started once more.
        done, _ = await asyncio.wait({self._loading}, timeout=_LOAD_SECONDS)
        if not done:
            raise NoConfigurationError(
                f"the credential plug-in (exec) of the kubeconfig has not answered within {_LOAD_SECONDS:g} s"
            )
        loading, self._loading = self._loading, None
        self._access, lifetime = loading.result()
        self._good_until = self._loaded_at + lifetime
        return self._access


async def _configuration() -> tuple[Access, float]:
    """It, and for how many seconds its credentials are good, as far as is known."""
    configuration = kubernetes_client.Configuration()
    files = kubeconfig_files(os.environ)
    problem = "no usable kubeconfig"
    if files is None:
        try:
            kubernetes_config.load_incluster_config(client_configuration=configuration, try_refresh_token=False)
        except (kubernetes_config.ConfigException, OSError) as error:
            problem = f"neither a service account of a pod ({error}) nor a usable kubeconfig"
        else:
            return _access(configuration), _TOKEN_SECONDS
    files = files or os.environ.get("KUBECONFIG") or "~/.kube/config"
    try:
        loader = await kubernetes_config.load_kube_config(files, client_configuration=configuration)
    except Exception as error:  # what the package raises for a file that is no kubeconfig is not documented
        raise NoConfigurationError(f"{problem}: {files}: {str(error) or type(error).__name__}") from error
    if "exec" in (getattr(loader, "_user", None) or ()) and not (configuration.api_key or configuration.cert_file):
        # The package has logged the reason, and goes on without credentials.
        raise NoConfigurationError(f"{files}: its credential plug-in (exec) has given no credentials, see the log")
    expires: datetime.datetime | None = getattr(loader, "exec_plugin_expiry", None)
    if expires is None:
        return _access(configuration), math.inf
    left = (expires - datetime.datetime.now(datetime.UTC)).total_seconds()
    return _access(configuration), max(left - _EARLIER_SECONDS, _PAUSE_SECONDS)


def _access(configuration: Any) -> Access:
    server = str(configuration.host)
    return Access(
        server=server.rstrip("/"),
        authorization=str(configuration.api_key.get("BearerToken", "")).strip(),
        authority=configuration.ssl_ca_cert,
        certificate=configuration.cert_file,
        key=configuration.key_file,
        verify=configuration.verify_ssl,
        server_name=configuration.tls_server_name,
        proxy=proxy_to_use(server, configuration.proxy, os.environ),
    )
