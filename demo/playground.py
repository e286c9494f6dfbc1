"""`python -m demo.playground`: what `make playground` runs. A control plane and the operator, to try torchrun with."""

import shutil
import sys
import time
from pathlib import Path

from demo import signals
from demo.console import Console, DemoError
from demo.stage import RENDEZVOUS, RENDEZVOUS_FILE, ROOT, TRAINING_SCRIPT, Stage, torchrun_options
from rendezvous_controlplane import ControlPlaneError, ensure_kubectl

_POLL_SECONDS = 0.5


def main() -> int:
    """Run until a signal comes, or a process fails; returns the exit code."""
    signals.listen()
    console = Console()
    stage = Stage(console)
    try:
        with stage:
            _open(console, stage)
            _follow(stage)
    except signals.Interrupted:
        stage.remove_files()
        print("\nThe control plane and the operator are stopped.")
        return 0
    except (DemoError, ControlPlaneError) as error:
        print(f"\nerror: {error}\nThe logs are in {stage.folder}")
    return 1


def _open(console: Console, stage: Stage) -> None:
    stage.start_control_plane()
    stage.plane.apply(ROOT / "crds")
    stage.start_operator()
    stage.plane.apply(ROOT / RENDEZVOUS_FILE)
    console.heading(f"kube-apiserver {stage.plane.version}, etcd and the operator run. Ctrl-C ends them.")
    console.tell(
        f"It also deletes their folder, {stage.folder}, with the checkpoints. "
        "It does not end the torchruns that you start in other shells."
    )
    console.tell(
        f"The Rendezvous {RENDEZVOUS!r} ({RENDEZVOUS_FILE}) is there, for 2 to 4 nodes. "
        "In each shell that you want to try it from, in the folder of this checkout:"
    )
    tools = Path(sys.executable).parent
    kubectl = ensure_kubectl()
    console.lines(
        "",
        f"export KUBECONFIG={stage.plane.kubeconfig} OMP_NUM_THREADS=1 GLOO_SOCKET_IFNAME=lo",
        f"export PATH={tools}:$PATH",
        *([] if shutil.which("kubectl") else [f"alias kubectl={kubectl}"]),
        "",
    )
    console.tell(
        "Then one node in each of two shells, and, while they train, a third and a fourth one with another node_id:"
    )
    script = f"{TRAINING_SCRIPT} --checkpoints={stage.checkpoint.parent} --epochs=200 --step-seconds=0.1"
    for node in ("node-0", "node-1"):
        console.lines("", f"torchrun {' '.join(torchrun_options(node, 'try-1'))} \\", f"  {script}")
    console.lines("")
    console.tell(
        "And watch them, kill one with its worker, or ask for a restart. `kill -9` of torchrun alone leaves its "
        "worker, which trains on and writes checkpoints:"
    )
    console.lines(
        "",
        "P=$(pgrep -f node_id=node-1); kill -9 $(pgrep -P $P) $P",
        "kubectl get rdzv --watch",
        "kubectl get rdzvp",
        f"kubectl describe rdzv {RENDEZVOUS}",
        f'kubectl annotate rdzv {RENDEZVOUS} --overwrite rdzv.dev/restart-requested-at="$(date)"',
        "kubectl explain rendezvous.spec",
        "",
    )
    console.tell(
        "When training has succeeded, the next one needs another --rdzv-id, and another folder for its checkpoints. "
        "What the operator decides:"
    )
    console.lines("")


def _follow(stage: Stage) -> None:
    """Show the operator's log while everything runs."""
    assert stage.operator is not None
    with open(stage.operator.log, encoding="utf-8", errors="replace") as log:
        while True:
            if text := log.read():
                print(text, end="", flush=True)
            stage.check_running()
            time.sleep(_POLL_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
