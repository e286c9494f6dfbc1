"""Makes the handler's messages visible under torchrun."""

import logging
import os

PACKAGE = "rendezvous_handler"


def show_messages() -> None:
    """Attach a handler to this package's logger, unless the program has set up logging itself.

    torchrun configures only torch's own loggers; a record of any other logger reaches Python's handler of last resort,
    which drops everything below WARNING. Then a node that waits would not say what it waits for. The level is INFO, or
    what ``LOGLEVEL`` says, torch's own variable for the elastic agent (torch/distributed/elastic/utils/logging.py).
    """
    logger = logging.getLogger(PACKAGE)
    if logger.hasHandlers():
        return
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(levelname).1s %(asctime)s [rendezvous] %(message)s"))
    logger.addHandler(handler)
    logger.propagate = False
    level = logging.getLevelName(os.environ.get("LOGLEVEL", "INFO").upper())
    logger.setLevel(level if isinstance(level, int) else logging.INFO)
