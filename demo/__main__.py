"""`python -m demo`: what `make demo` runs. Exits 0 only if everything happened as the rules say."""

import argparse
import sys
import time

from demo import signals
from demo.console import Console, DemoError
from demo.stage import Stage
from demo.story import Story
from rendezvous_controlplane import ControlPlaneError


def main() -> int:
    """Run the demo; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m demo", description=sys.modules[__name__].__doc__)
    parser.add_argument("--keep-logs", action="store_true", help="keep them even if all goes well")
    options = parser.parse_args()
    if isinstance(sys.stdout.encoding, str) and sys.stdout.encoding.lower() != "utf-8":
        sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
    signals.listen()
    began = time.monotonic()
    console = Console()
    stage = Stage(console)
    code = 1
    try:
        code = _play(console, stage)
    finally:
        if code == 1 or options.keep_logs:
            print(f"  The logs of all processes are in {stage.folder}")
        else:
            stage.remove_files()
    if code in (0, 1):
        minutes, seconds = divmod(round(time.monotonic() - began), 60)
        verdict = "Everything happened as the rules say" if code == 0 else "This was not as it should be"
        console.heading(
            f"{verdict}: {console.passed} checks passed, {len(console.failed)} failed, {minutes} min {seconds:02d} s."
        )
        console.lines(*(f"✗ {failed.splitlines()[0]}" for failed in console.failed))
    return code


def _play(console: Console, stage: Stage) -> int:
    try:
        with stage:
            Story(console, stage).tell()
    except signals.Interrupted as interrupted:
        print()
        console.tell(f"Interrupted by {interrupted.name}.")
        _expect_nothing_left(console, stage)
        return interrupted.exit_code
    except (DemoError, ControlPlaneError) as error:
        print()
        console.fail(str(error))
    _expect_nothing_left(console, stage)
    return 1 if console.failed else 0


def _expect_nothing_left(console: Console, stage: Stage) -> None:
    left = stage.left_running()
    console.expect("nothing is left running", not left, f"processes {left}" if left else "all processes have ended")


if __name__ == "__main__":
    sys.exit(main())
