"""Looks for a broken rule for some seconds of processor time: ``python -m tests.model.hunt SECONDS``."""

import logging
import sys
import time

from tests.model.operator import DEFECTS
from tests.model.search import started, walk
from tests.model.setups import WALKS


def hunt(seconds: float) -> str:
    """What is wrong first; ``nothing``: no rule is."""
    logger = logging.getLogger("rendezvous_operator")
    logger.setLevel(logging.ERROR)
    logger.propagate = False
    logger.addHandler(DEFECTS)
    seed, begun = 0, {}
    while True:
        for name, setup in WALKS.items():
            try:
                if name not in begun:
                    begun[name] = started(setup, setup.names)
                walk(setup, seed, 500, begun[name], shrinks=False)
            except Exception as error:  # noqa: BLE001 - a mutant may break anything
                return str(error).strip().splitlines()[-1] if str(error).strip() else repr(error)
            if time.process_time() > seconds:
                return "nothing"
        seed += 1


if __name__ == "__main__":
    print(hunt(float(sys.argv[1])))
