"""The demo as it is told: four steps, each with what is done, what must follow by the rules, and what did follow."""

import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, is_dataclass

from demo.console import Console, DemoError
from demo.stage import RENDEZVOUS, RENDEZVOUS_FILE, ROOT, TRAINING_SCRIPT, Stage, torchrun_options
from demo.step_log import Step, generations
from demo.timeline import Happening, table, timeline
from rendezvous_api import names
from rendezvous_api.codec import json_name
from rendezvous_api.reasons import ClosedReason, RoundEndReason
from rendezvous_api.rendezvous_spec import RendezvousSpec

NODES = ["node-0", "node-1", "node-2", "node-3"]

# Far more than anything takes on a quiet machine, in seconds.
_TIMEOUT = 240.0
_STEPS_PER_ROUND = 15  # more than the 12 of an epoch: so each round leaves a checkpoint
_LEAST_ACCURACY = 0.9


class Story:
    """Tells the demo on a stage."""

    def __init__(self, console: Console, stage: Stage) -> None:
        self._console = console
        self._stage = stage
        self._happenings: list[Happening] = []

    def tell(self) -> None:
        """Everything, in order. Raises DemoError where it cannot go on."""
        self.set_up()
        self.start_training()
        self.add_a_node()
        self.lose_rank_0()
        self.bring_it_back()
        self.lose_the_operator()
        self.finish()

    # ---- 1

    def set_up(self) -> None:
        """Start the control plane and the operator, and create the Rendezvous."""
        console, stage, plane = self._console, self._stage, self._stage.plane
        console.heading("1. A control plane, the operator, and a Rendezvous")
        stage.start_control_plane()
        console.tell(f"kube-apiserver {plane.version} and etcd run on this machine: {plane.url}. Nothing is simulated.")
        console.lines("To look on from another shell:", f"export KUBECONFIG={plane.kubeconfig}")
        self._apply("--server-side", "crds")
        plane.apply(ROOT / "crds")  # nothing new; returns when the kinds are served
        operator = stage.start_operator()
        console.tell(f"The operator runs as a process of its own, {operator.process.pid}. Now the group is described:")
        self._apply(str(RENDEZVOUS_FILE))
        short = ", ".join(differences(stage.rendezvous().spec))
        console.tell(f"To be quick, this example sets shorter times than the defaults: {short}.")
        stage.wait("the operator to see it", lambda: stage.rendezvous().status.observed_generation > 0, _TIMEOUT)
        stage.show("get", "rdzv")

    # ---- 2

    def start_training(self) -> None:
        """Start three agents."""
        console = self._console
        console.heading("2. Three nodes train")
        console.tell(
            f"Three torchrun agents, each of which stands for a node, run {TRAINING_SCRIPT}: DistributedDataParallel "
            "on scikit-learn's handwritten digits, slowed down so that there is something to see. The script knows "
            "nothing about Kubernetes. The third node is optional: the group waits for it for a short while."
        )
        console.command(" ".join(["torchrun", *torchrun_options("node-0"), str(TRAINING_SCRIPT), "..."]))
        before = _Group.of(self._stage)
        for node in NODES[:3]:
            self._stage.start_agent(node)
        self._wait_for_round(before, nodes=3)
        self._stage.show("get", "rdzv,rdzvp")
        self._expect_ranks({0: "node-0", 1: "node-1", 2: "node-2"})

    # ---- 3

    def add_a_node(self) -> None:
        """Add a fourth agent while the others train."""
        console, stage = self._console, self._stage
        console.heading("3a. A fourth node comes while they train")
        console.tell(
            "It fills the group, so the workers are stopped, and a round of four goes on from the last checkpoint."
        )
        before = _Group.of(stage)
        self._happened("node-3 came", sudden=False)
        stage.start_agent("node-3")
        self._wait_for_round(before, nodes=4)
        self._expect_round_ended(before.round, RoundEndReason.SCALE_UP)
        self._expect_ranks(dict(enumerate(NODES)))
        self._expect_resumed()

    def lose_rank_0(self) -> None:
        """Kill the agent of rank 0 and its workers."""
        console, stage = self._console, self._stage
        console.heading("3b. The node of rank 0 is lost")
        before = _Group.of(stage)
        others = {node: agent.process.pid for node, agent in stage.agents.items() if node != "node-0"}
        self._happened("node-0 was killed", sudden=True)
        killed = stage.kill_agent("node-0")
        console.tell(
            f"SIGKILL to the agent of rank 0, which served the store of the round, and to its worker: {killed} "
            "processes. The workers of the others fail, their agents ask for a new round, and the operator gives the "
            "lost node a moment to come back before the group goes on smaller."
        )
        stage.wait("the operator to ask for a new round", lambda: not self._is_running(), _TIMEOUT)
        stage.show("get", "rdzv")
        self._wait_for_round(before, nodes=3)
        stage.show("get", "rdzv,rdzvp")
        self._expect_round_ended(before.round, RoundEndReason.MEMBER_LOST, RoundEndReason.WORKER_FAILED)
        self._expect_ranks({0: "node-3", 1: "node-1", 2: "node-2"})
        first = stage.rendezvous().status.participants[0]
        stands_in = first.stands_in_for.name if first.stands_in_for is not None else "nobody"
        console.expect("who has rank 0 now stands in for the lost node", stands_in == _participant("node-0"), stands_in)
        same = others == {node: agent.process.pid for node, agent in stage.agents.items()}
        console.expect("no other agent has ended", same, ", ".join(sorted(stage.agents)))
        self._expect_resumed()

    def bring_it_back(self) -> None:
        """Start the killed agent again."""
        console, stage = self._console, self._stage
        console.heading("3c. The lost node comes back")
        console.tell(
            "A new process with the node_id of the lost one, as a pod of a StatefulSet or an indexed Job would be. "
            "It fills the group, and gets its rank again: the node that stood in for it hands it back."
        )
        before = _Group.of(stage)
        self._happened("node-0 came back", sudden=False)
        stage.start_agent("node-0")
        self._wait_for_round(before, nodes=4)
        stage.show("get", "rdzv,rdzvp")
        self._expect_round_ended(before.round, RoundEndReason.SCALE_UP)
        self._expect_ranks(dict(enumerate(NODES)))
        standing_in = [member.name for member in stage.rendezvous().status.participants if member.stands_in_for]
        console.expect("nobody stands in for another node", not standing_in, ", ".join(standing_in) or "nobody")
        self._expect_resumed()

    def lose_the_operator(self) -> None:
        """Kill the operator and start it again."""
        console, stage = self._console, self._stage
        console.heading("3d. The operator is lost")
        before = _Group.of(stage)
        stage.kill_operator()
        console.tell("SIGKILL to the operator. Nobody needs it while a round runs: training goes on.")
        self._let_pass("seconds without an operator", before.spec.silent_seconds + 1)
        alone = stage.steps()[-1].number
        console.expect("training went on without it", alone > before.step, f"step {before.step}, then {alone}")
        operator = stage.start_operator()
        # Something for it to do that concerns nobody's training: only an operator that works writes the status.
        change = ["patch", "rdzv", RENDEZVOUS, "--type=merge", "--patch", '{"spec": {"restarts": {"max": 20}}}']
        console.tell(f"The operator is started again, process {operator.process.pid}, and gets something to do:")
        stage.show(*change)
        seconds = stage.wait("the new operator to take note of the change", self._is_observed, _TIMEOUT)
        console.expect("the new operator works", self._is_observed(), f"it took note after {seconds:.0f} s")
        # Whoever it did not see alive would be dropped after that.
        self._let_pass("seconds, in which all nodes must show that they are alive", before.spec.silent_seconds + 1)
        after = _Group.of(stage)
        console.expect("the same round runs", after.round == before.round, f"round {after.round}")
        console.expect(
            "nobody has restarted", after.workers == before.workers, f"worker processes {_listed(after.workers)}"
        )
        console.expect("and training goes on", after.step > alone, f"step {after.step}")

    # ---- 4

    def finish(self) -> None:
        """Let the training end."""
        console, stage = self._console, self._stage
        console.heading("4. Training ends")
        console.tell("The rest is trained at full speed.")
        agents = dict(stage.agents)
        stage.agents.clear()  # they may end now
        stage.release_brake()
        stage.wait("all agents to end", lambda: all(agent.exit_code is not None for agent in agents.values()), _TIMEOUT)
        codes = {node: agent.exit_code for node, agent in sorted(agents.items())}
        console.expect(
            "all agents end with exit code 0",
            set(codes.values()) == {0},
            ", ".join(f"{node} {code}" for node, code in codes.items()),
        )
        stage.wait("the operator to note that the run is complete", self._is_complete, _TIMEOUT)
        stage.show("get", "rdzv,rdzvp")
        status = stage.rendezvous().status
        closed = status.closed_reason(status.run_id)
        console.expect("the run is closed", closed is ClosedReason.RUN_SUCCEEDED, closed)
        accuracy = self._accuracy()
        console.expect("digits that were held out are read", accuracy >= _LEAST_ACCURACY, f"{accuracy:.1%} of them")
        self._show_timeline()

    def _show_timeline(self) -> None:
        console, stage = self._console, self._stage
        console.heading(f"The rounds, from the status of the Rendezvous ({RENDEZVOUS}) and the workers' log of steps")
        rows = timeline(stage.rendezvous().status.history, stage.steps(), self._happenings)
        console.lines(*table(rows))
        console.tell(
            "Stood still: from the kill, or else from the last step of the old round, to the first step of the new "
            "one. Most of it is the start of the workers: they import torch and scikit-learn, all on one machine here."
        )
        sizes = [row.record.nodes for row in rows]
        console.expect("there were four rounds, and no other", sizes == [3, 4, 3, 4], f"{_listed(sizes)} nodes")
        still = [row.stood_still for row in rows[:-1] if row.stood_still is not None]
        console.expect("training went on after each", len(still) == len(rows) - 1, f"{len(still)} times")

    # ---- what all of them use

    def _apply(self, *arguments: str) -> None:
        *options, path = arguments
        output = self._stage.plane.kubectl("apply", *options, f"--filename={ROOT / path}")
        self._console.command(" ".join(["kubectl apply", *options, "-f", path]), output)

    def _wait_for_round(self, before: "_Group", nodes: int) -> None:
        """Wait for the round after that of `before`, and until it has trained for a while."""
        stage = self._stage

        def is_published() -> bool:
            return stage.rendezvous().status.round > before.round

        def new_steps() -> list[Step]:
            return [step for step in stage.steps() if step.time > before.time and step.pid not in before.workers]

        published = stage.wait(f"a round of {nodes} nodes", is_published, _TIMEOUT)
        status = stage.rendezvous().status
        started = stage.wait("the workers to start", lambda: bool(new_steps()), _TIMEOUT)
        self._console.tell(
            f"Round {status.round} of {status.nodes} nodes was published after {published:.1f} s; its workers have "
            f"started {started:.1f} s later."
        )
        self._console.expect(f"the group has {nodes} nodes", status.nodes == nodes, status.nodes)
        begin = new_steps()[0].number
        stage.wait("some training", lambda: new_steps()[-1].number >= begin + _STEPS_PER_ROUND, _TIMEOUT)

    def _let_pass(self, what: str, seconds: float) -> None:
        end = time.monotonic() + seconds
        self._stage.wait(f"{seconds:.0f} {what}", lambda: time.monotonic() >= end, seconds + 30)

    def _happened(self, what: str, sudden: bool) -> None:
        self._happenings.append(Happening(time.time(), what, sudden))

    def _expect_round_ended(self, number: int, *reasons: RoundEndReason) -> None:
        reason = next(record.reason for record in self._stage.rendezvous().status.history if record.round == number)
        self._console.expect(f"round {number} was ended for the right reason", reason in reasons, reason)

    def _expect_ranks(self, expected: dict[int, str]) -> None:
        ranks = {member.rank: member.name for member in self._stage.rendezvous().status.participants}
        wanted = {rank: _participant(node) for rank, node in expected.items()}
        observed = ", ".join(f"{rank} {name.removeprefix(_participant(''))}" for rank, name in sorted(ranks.items()))
        self._console.expect("the ranks are as they should be", ranks == wanted, observed)

    def _expect_resumed(self) -> None:
        *_, old, new = generations(self._stage.steps())
        first, last = new[0].number, old[-1].number
        self._console.expect(
            "training went on from a checkpoint", 0 < first <= last + 1, f"step {last} was the last, then {first}"
        )

    def _is_observed(self) -> bool:
        rendezvous = self._stage.rendezvous()
        return rendezvous.status.observed_generation == rendezvous.metadata.generation

    def _is_running(self) -> bool:
        return self._stage.rendezvous().status.holds(names.CONDITION_RUNNING)

    def _is_complete(self) -> bool:
        return self._stage.rendezvous().status.holds(names.CONDITION_COMPLETE)

    def _accuracy(self) -> float:
        text = "".join(log.read_text(encoding="utf-8") for log in self._stage.folder.glob("node-*.log"))
        found = re.search(r"accuracy on \d+ held-out digits: ([\d.]+)%", text)
        if found is None:
            raise DemoError("no worker has said how accurate it is")
        return float(found[1]) / 100


@dataclass(frozen=True)
class _Group:
    """The group as it was at some moment."""

    time: float
    """That moment, in seconds since 1970."""
    spec: RendezvousSpec
    round: int
    workers: tuple[int, ...]
    """The process ids of the workers that did the last steps, by rank; none before the first step."""
    step: int
    """The last optimizer step."""

    @classmethod
    def of(cls, stage: Stage) -> "_Group":
        """The group as it is now."""
        moment, rendezvous = time.time(), stage.rendezvous()
        last = (generations(stage.steps()) or [[]])[-1]
        pids = {step.rank: step.pid for step in last}
        workers = tuple(pids[rank] for rank in sorted(pids))
        return cls(moment, rendezvous.spec, rendezvous.status.round, workers, last[-1].number if last else -1)


def differences(spec: RendezvousSpec) -> list[str]:
    """Each field that has another value than its default: where it is, the value and the default."""
    defaults = RendezvousSpec(spec.min_nodes, spec.max_nodes)
    return list(_differences("", spec, defaults))


def _differences(before: str, actual: object, default: object) -> Iterator[str]:
    if is_dataclass(default) and type(actual) is type(default):
        for field in fields(default):
            path = f"{before}.{json_name(field.name)}".removeprefix(".")
            yield from _differences(path, getattr(actual, field.name), getattr(default, field.name))
    elif actual != default:
        yield f"{before} {actual} (default {default})"


def _participant(node: str) -> str:
    return f"{RENDEZVOUS}.{node}"


def _listed(items: Iterable[object]) -> str:
    return ", ".join(map(str, items))
