"""`python -m demo.recording FILE`: the session that README shows. Rank 0 is killed, and training continues.

A shell runs in a terminal of its own and gets the keys that a person would press. What it and the commands print is
written to the file as it comes, as an asciicast (version 2), which `asciinema play` shows; nothing in it is made up.
`make recording` also draws the picture of it.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

from demo import processes, signals
from demo.console import Console, DemoError
from demo.stage import RENDEZVOUS, RENDEZVOUS_FILE, ROOT, TRAINING_SCRIPT, Stage
from demo.terminal import Terminal
from rendezvous_api import names
from rendezvous_controlplane import ControlPlaneError, ensure_kubectl

_COLUMNS, _ROWS = 100, 30
_LONGEST_PAUSE_SECONDS = 2.5  # longer ones are shown as this long
_TIMEOUT = 240.0
_NODES = 3
_EPOCHS_BEFORE, _EPOCHS_AFTER = 3, 2

_NODE = f"""\
node() {{ exec torchrun --rdzv-backend=kubernetes --rdzv-endpoint={RENDEZVOUS} --rdzv-id=run-1 \\
  --rdzv-conf=node_id=$1 --nnodes=2:4 --max-restarts=1000 \\
  train.py --checkpoints=. --step-seconds=0.1 --epochs=200 > $1.log 2>&1; }}"""


def main() -> int:
    """Record the session; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m demo.recording", description=sys.modules[__name__].__doc__)
    parser.add_argument("file", type=Path, help="the asciicast, which is written when the session has ended")
    options = parser.parse_args()
    signals.listen()
    console = Console()
    stage = Stage(console)
    try:
        with stage:
            cast = _record(console, stage)
    except signals.Interrupted as interrupted:
        stage.remove_files()
        return interrupted.exit_code
    except (DemoError, ControlPlaneError) as error:
        print(f"\nerror: {error}\nThe logs are in {stage.folder}")
        return 1
    stage.remove_files()
    options.file.write_text(cast, encoding="utf-8")
    console.tell(f"The session is in {options.file}")
    return 0


def _record(console: Console, stage: Stage) -> str:
    console.tell("Starting a control plane and the operator; then the session begins.")
    stage.start_control_plane()
    stage.plane.apply(ROOT / "crds")
    stage.start_operator()
    stage.plane.apply(ROOT / RENDEZVOUS_FILE)
    folder = stage.folder / "session"
    folder.mkdir()
    (folder / "train.py").symlink_to(ROOT / TRAINING_SCRIPT)
    path = f"{Path(sys.executable).parent}:{ensure_kubectl().parent}:{os.environ['PATH']}"
    environment = {
        **stage.environment(),
        processes.MARK: stage.mark_of("terminal"),
        "PATH": path,
        "PET_LOCAL_ADDR": "127.0.0.1",  # in a cluster the address of the pod
    }
    with Terminal(environment, folder, _COLUMNS, _ROWS) as terminal:
        _play(stage, terminal, folder)
        return _asciicast(terminal.events)


def _play(stage: Stage, terminal: Terminal, folder: Path) -> None:
    terminal.run("# Three nodes train; each torchrun stands for one.")
    terminal.run(_NODE)
    terminal.run(" ".join(f"node node-{node} &" for node in range(_NODES)))
    stage.wait(f"a round of {_NODES} nodes", lambda: _is_running(stage, _NODES), _TIMEOUT)
    rank_0 = _rank_0(stage)
    stage.wait("some training", lambda: _epochs(folder / f"node-{rank_0}.log") >= _EPOCHS_BEFORE, _TIMEOUT)
    terminal.run("kubectl get rdzv,rdzvp")
    terminal.run(f"tail -n 2 node-{rank_0}.log")
    terminal.run("# Kill the node of rank 0: its agent and its worker.")
    job = f"%{rank_0 + 1}"
    terminal.run(f"kill -9 $(pgrep -P $(jobs -p {job})) {job}")
    terminal.type("kubectl get rdzv --watch")
    stage.wait("the round after it", lambda: _is_running(stage, _NODES - 1), _TIMEOUT)
    others = "".join(str(node) for node in range(_NODES) if node != rank_0)
    logs = [folder / f"node-{node}.log" for node in others]
    stage.wait("training again", lambda: sum(map(_epochs, logs)) >= _EPOCHS_AFTER, _TIMEOUT)
    terminal.interrupt()
    terminal.run("kubectl get rdzvp")
    terminal.run(f"grep -h epoch node-[{others}].log")
    terminal.run(f"# node-{_rank_0(stage)} has rank 0 now, and training continues from the last checkpoint.")
    time.sleep(_LONGEST_PAUSE_SECONDS)


def _is_running(stage: Stage, nodes: int) -> bool:
    status = stage.rendezvous().status
    return status.holds(names.CONDITION_RUNNING) and status.nodes == nodes


def _rank_0(stage: Stage) -> int:
    """The number of the node that has it."""
    return int(stage.rendezvous().status.participants[0].name.rpartition("-")[2])


def _epochs(log: Path) -> int:
    return log.read_text(encoding="utf-8", errors="replace").count(": loss ")


def _asciicast(events: list[tuple[float, str]]) -> str:
    """See https://docs.asciinema.org/manual/asciicast/v2/; nothing of this machine is in the header."""
    header = {"version": 2, "width": _COLUMNS, "height": _ROWS, "idle_time_limit": _LONGEST_PAUSE_SECONDS}
    lines = [header, *([round(moment, 3), "o", text] for moment, text in events)]
    return "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
