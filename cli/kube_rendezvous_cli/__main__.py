"""``kubectl rdzv``, and ``python -m kube_rendezvous_cli``; under another name the completion of its words."""

import gc
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from kube_rendezvous_cli import arguments, commands, completion
from kube_rendezvous_cli.kubectl import CommandError
from kube_rendezvous_cli.session import Session
from kube_rendezvous_cli.text import safe

_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code, which `kubectl rdzv --help` explains."""
    if argv is None and Path(sys.argv[0]).name == completion.PROGRAM:
        return completion.run(sys.argv[1:])
    options = arguments.parsed(argv)
    # Of a large group there are a million objects, all in use, and nearly none is in a circle: to search them for such
    # ones takes a third of the time. A command that follows turns it on again.
    collects = gc.isenabled()
    gc.disable()
    try:
        return commands.COMMANDS[options.command](Session(options))
    except CommandError as error:
        print(f"error: {safe(str(error))}", file=sys.stderr)
        return error.code
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:  # such as `| head`: nothing more can be shown
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    finally:
        if collects:
            gc.enable()


if __name__ == "__main__":
    sys.exit(main())
