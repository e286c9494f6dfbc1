"""The limit of open files of this process: a host has one for each member, and torch's store has more."""

from __future__ import annotations

import logging
import os
import resource

_logger = logging.getLogger(__name__)

_FOR_EACH_NODE = 2
"""That of its agent at the store, and that of its beats."""
_SPARE = 128
_ENOUGH = 65536
"""The workers inherit the limit, some programs try all numbers up to it, and the hard one may be a thousand million."""


def allow_for(nodes: int) -> None:
    """Raise the soft limit if it is too low for the connections of that many nodes; warn if the hard one is, too."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = _in_use() + _FOR_EACH_NODE * nodes + _SPARE
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    wanted = max(needed, _ENOUGH)
    limit = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
    if limit > soft:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
        except (OSError, ValueError) as error:
            _logger.debug("the limit of open files stays at %d: %s", soft, error)
            limit = soft
    if limit < needed:
        _logger.warning(
            "this node serves the store of %d nodes, which needs about %d open files, and the limit is %d (ulimit -n): "
            "some of them may not be able to connect",
            nodes,
            needed,
            limit,
        )


def _in_use() -> int:
    try:
        return len(os.listdir("/proc/self/fd"))
    except OSError:
        return 0
