"""The HTTP server for probes and metrics: ``/livez``, ``/readyz`` and ``/metrics``, as in Kubernetes itself."""

from collections.abc import Callable, Coroutine, Sequence

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from rendezvous_operator.serve.health import Check, Health


class HttpServer:
    """Serves until `stop`. ``port`` 0 takes any free one."""

    def __init__(self, health: Health, registry: CollectorRegistry) -> None:
        self._registry = registry
        application = web.Application()
        application.router.add_get("/livez", _probe("livez", health.livez))
        application.router.add_get("/readyz", _probe("readyz", health.readyz))
        application.router.add_get("/metrics", self._metrics)
        self._runner = web.AppRunner(application, access_log=None, handle_signals=False, shutdown_timeout=1.0)

    async def start(self, address: str, port: int) -> None:
        """Serve at an address of this machine.

        Raises:
            OSError: it cannot be bound.
        """
        await self._runner.setup()
        await web.TCPSite(self._runner, address, port).start()

    async def stop(self) -> None:
        """Close all connections."""
        await self._runner.cleanup()

    async def _metrics(self, request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(self._registry), headers={"Content-Type": content_type})


def _probe(
    name: str, check: Callable[[], Sequence[Check]]
) -> Callable[[web.Request], Coroutine[None, None, web.Response]]:
    async def answer(request: web.Request) -> web.Response:
        checks = check()
        passed = all(check.problem is None for check in checks)
        if passed and "verbose" not in request.query:
            return web.Response(text="ok")
        return web.Response(text=report(name, checks), status=200 if passed else 503)

    return answer


def report(name: str, checks: Sequence[Check]) -> str:
    """The checks in the format of Kubernetes, one in a line."""
    lines = [
        f"[+]{check.name} ok" if check.problem is None else f"[-]{check.name} failed: {check.problem}"
        for check in checks
    ]
    passed = all(check.problem is None for check in checks)
    return "\n".join([*lines, f"{name} check {'passed' if passed else 'failed'}", ""])
