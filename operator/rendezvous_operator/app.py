"""The operator as a program: kopf watches, the reconciler decides.

None of kopf's high-level handlers is used: they would add finalizers and annotations to the objects. ``on.event``
handlers are not retried by kopf, so they do nothing but pass on what was seen; queue and back-off are ours.
"""

import argparse
import asyncio
import logging
import random
import socket
import time
from collections.abc import Iterator
from typing import Any

import kopf

from rendezvous_api import names
from rendezvous_operator.cache import Cache
from rendezvous_operator.cluster import POD_KIND, Cluster, RefusedError
from rendezvous_operator.reconciler import Reconciler


class _Backoffs:
    """Seconds between tries of kopf's own requests, without end: the operator outlives its API server."""

    def __iter__(self) -> Iterator[float]:
        longest = 0.2
        while True:
            yield longest * random.uniform(0.5, 1.0)
            longest = min(longest * 2, 5.0)


class _NoDiffBase(kopf.DiffBaseStorage):
    """No record of what an object was like: no handler of ours asks kopf what has changed.

    kopf's own storages copy each object of each event to find that out, which is a quarter of all that an event costs.
    """

    def build(self, *, body: kopf.Body, extra_fields: Any = None) -> kopf.BodyEssence:
        return kopf.BodyEssence()

    def fetch(self, *, body: kopf.Body) -> kopf.BodyEssence | None:
        return None

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: kopf.BodyEssence) -> None:
        pass


def settings() -> kopf.OperatorSettings:
    """What kopf is told: watch these kinds, write nothing, never give up."""
    wanted = kopf.OperatorSettings()
    wanted.peering.standalone = True
    wanted.scanning.disabled = True
    wanted.posting.enabled = False
    # Should anything of kopf ever write to an object, it shall be under our name.
    wanted.persistence.finalizer = f"{names.GROUP}/kopf-finalizer"
    wanted.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=names.GROUP)
    wanted.persistence.diffbase_storage = _NoDiffBase()
    wanted.watching.label_selectors["pods"] = names.LABEL_RENDEZVOUS
    wanted.watching.connect_timeout = 5
    wanted.watching.server_timeout = 5 * 60
    wanted.watching.client_timeout = 6 * 60
    wanted.watching.reconnect_backoff = 0.2
    wanted.networking.connect_timeout = 5
    wanted.networking.request_timeout = 30
    wanted.networking.error_backoffs = _Backoffs()
    return wanted


def registry(reconciler: Reconciler) -> kopf.OperatorRegistry:
    """The handlers: whatever is seen goes to the reconciler."""
    handlers = kopf.OperatorRegistry()
    # The same configuration as that of our own requests: the service account, else the kubeconfig.
    kopf.on.login(registry=handlers)(kopf.login_via_client)

    @kopf.on.event(names.GROUP, names.VERSION, names.RENDEZVOUS_PLURAL, registry=handlers)
    async def rendezvous_seen(event: kopf.RawEvent, **_: Any) -> None:
        reconciler.event(names.RENDEZVOUS_KIND, event["type"], dict(event["object"]))

    @kopf.on.event(names.GROUP, names.VERSION, names.PARTICIPANT_PLURAL, registry=handlers)
    async def participant_seen(event: kopf.RawEvent, **_: Any) -> None:
        reconciler.event(names.PARTICIPANT_KIND, event["type"], dict(event["object"]))

    @kopf.on.event("", "v1", "pods", registry=handlers)
    async def pod_seen(event: kopf.RawEvent, **_: Any) -> None:
        reconciler.event(POD_KIND, event["type"], dict(event["object"]))

    return handlers


async def run(namespace: str | None = None) -> None:
    """Serve every Rendezvous of the cluster, or of one namespace, until the process is told to end."""
    cache = Cache(time.monotonic)
    cluster = await Cluster.connect(identity=socket.gethostname(), answered=cache.api_server_answered)
    reconciler = Reconciler(cluster, cache, time.monotonic, namespace)
    try:
        await reconciler.start()
        await kopf.operator(
            registry=registry(reconciler),
            settings=settings(),
            clusterwide=namespace is None,
            namespaces=[namespace] if namespace else [],
        )
    finally:
        await reconciler.stop()
        await cluster.close()


def main() -> None:
    """Entry point of ``kube-rendezvous-operator``."""
    parser = argparse.ArgumentParser(prog="kube-rendezvous-operator", description=__doc__.splitlines()[0])
    parser.add_argument("--namespace", help="serve only this namespace (default: all)")
    parser.add_argument("--log-format", choices=["text", "json"], default="text", help="for people or for machines")
    parser.add_argument("--verbose", action="store_true", help="log what is seen, too")
    arguments = parser.parse_args()
    log_format = kopf.LogFormat.JSON if arguments.log_format == "json" else kopf.LogFormat.FULL
    kopf.configure(verbose=arguments.verbose, log_format=log_format)
    if not arguments.verbose:
        # kopf says of each event that its handler succeeded; a thousand heartbeats are no news.
        logging.getLogger("kopf.objects").setLevel(logging.WARNING)
    try:
        asyncio.run(run(arguments.namespace))
    except RefusedError as error:
        parser.exit(1, f"kube-rendezvous-operator: {error}\n")
    except KeyboardInterrupt:
        return


if __name__ == "__main__":
    main()
