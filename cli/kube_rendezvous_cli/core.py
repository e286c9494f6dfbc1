"""The operator's decisions, for commands that play them. Other commands never load them."""

import sys
from importlib.util import find_spec

from kube_rendezvous_cli.kubectl import CommandError

_EXTRA = "pip install 'kube-rendezvous-cli[simulator]'"


def needed(command: str) -> None:
    """See that the decisions of the operator can be loaded. The one file ``kubectl-rdzv`` always has them.

    Raises:
        CommandError: this is the Python package without its extra; the message names it.
    """
    if find_spec("rendezvous_operator") is None:
        old = sys.version_info < (3, 11)
        how = f"Python 3.11 or later, and {_EXTRA}; or the one file kubectl-rdzv" if old else _EXTRA
        raise CommandError(
            f"{command} plays the decisions of the operator, which are not installed here; needed: {how}"
        )
