"""A scenario: a file that says who joins a group, and what happens when."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any

from kube_rendezvous_cli import inject
from kube_rendezvous_cli.kubectl import CommandError, Kubectl
from kube_rendezvous_cli.simulator import checks, nodes, spec
from kube_rendezvous_cli.simulator.nodes import Habits, Node
from kube_rendezvous_cli.simulator.operator import Operator
from kube_rendezvous_cli.simulator.play import Play
from rendezvous_api import names
from rendezvous_api.meta import ObjectMeta, timestamp
from rendezvous_api.reasons import HostState, LeaveReason
from rendezvous_api.rendezvous import Owner, Rendezvous
from rendezvous_operator.core.recorded_values import patched
from rendezvous_operator.core.world import Machine

Json = dict[str, Any]

KIND = "Scenario"
EPOCH = datetime(2030, 1, 1, tzinfo=timezone.utc)
"""0 s on the wall clock of a scenario. Each one begins then, so that the same file gives the same timeline."""
AFTERWARDS_SECONDS = 300
"""After the last thing that happens, the scenario goes on for so long if the file does not say how long."""
MOST_NODES = 2000
FOUND = "gpus: 7 of 8 GPUs are there"
"""By the health checks of a node that is unhealthy."""

_FIELDS = ("apiVersion", "kind", "metadata", "spec", "agents", "nodes", "events", "until")
_OWNERS = ("Job", "JobSet", "StatefulSet", "ReplicaSet", "none")
_REQUESTS = {"restart": names.ANNOTATION_RESTART_REQUESTED_AT, "retry": names.ANNOTATION_RETRY_AT}


@dataclass(frozen=True)
class Happening:
    """Something that happens in a scenario."""

    path: str
    """Where it stands in the file."""
    at: float
    """Seconds from the beginning."""
    what: str
    """One of `HAPPENINGS`."""
    value: Any
    """To whom, or what."""


@dataclass(frozen=True)
class Scenario:
    """A file as it was read. All times are in seconds."""

    name: str
    spec: Json
    habits: Habits
    happenings: Sequence[Happening]
    until: float


def load(kubectl: Kubectl, path: str) -> Scenario:
    """The scenario in a file, which kubectl reads: no YAML is read here.

    Raises:
        CommandError: there is no such file, or something in it is wrong.
    """
    found = inject.read(kubectl, [path])
    if len(found) != 1:
        raise CommandError(f"{path}: has {len(found)} objects, and not one {KIND}", checks.WRONG)
    try:
        return read(found[0])
    except CommandError as error:
        raise CommandError(f"{path}: {error}", error.code) from None


def read(item: Any) -> Scenario:
    """The scenario in an object.

    Raises:
        CommandError: something in it is wrong; the message names the field and its value.
    """
    found = checks.mapping("Scenario", item, _FIELDS, ("kind", "spec"))
    if found["kind"] != KIND:
        checks.fail("kind", found["kind"], f"is not {KIND}")
    if found.get("apiVersion") != names.API_VERSION:
        checks.fail("apiVersion", found.get("apiVersion"), f"is not {names.API_VERSION}")
    metadata = checks.mapping("metadata", found.get("metadata", {}), ("name", "annotations", "labels"))
    name = checks.name_of_group("metadata.name", metadata.get("name", "train"))
    spec.read(found["spec"])
    happenings = [
        *_first(found.get("nodes", []), name),
        *(
            _happening(f"events[{number}]", event)
            for number, event in enumerate(_list("events", found.get("events", [])))
        ),
    ]
    last = max((each.at for each in happenings), default=0.0)
    until = checks.seconds("until", found["until"]) if "until" in found else last + AFTERWARDS_SECONDS
    return Scenario(name, found["spec"], _habits(found.get("agents", {})), happenings, until)


def play(scenario: Scenario) -> Play:
    """Play it to its end.

    Raises:
        CommandError: something happens to a node that is not there, or the spec is edited to a wrong one.
    """
    first = ObjectMeta(
        scenario.name, "default", uid=f"uid-of-{scenario.name}", resource_version="1", generation=1,
        creation_timestamp=timestamp(EPOCH),
    )  # fmt: skip
    operator = Operator(Rendezvous(first, spec.read(scenario.spec)), EPOCH)
    labelled = scenario.habits.machine_labels
    if labelled or any(each.what in OF_MACHINES for each in scenario.happenings):
        operator.machines = {nodes.machine_of(name): Machine(labels=labels) for name, labels in labelled.items()}
    played = Play(operator, scenario.habits)
    stage = _Stage(played, scenario.spec)
    for each in scenario.happenings:
        played.at(each.at, lambda each=each: stage.happens(each))  # type: ignore[misc]
    played.at(0.0, lambda: None)  # the operator decides as soon as the Rendezvous is there, also if no node is
    played.run(scenario.until)
    return played


def _list(path: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        checks.fail(path, value, "is no list")
    return value


def _first(value: Any, group: str) -> list[Happening]:
    """Who joins at the beginning: so many nodes of that group, or those of these names."""
    if isinstance(value, int) and not isinstance(value, bool):
        if not 0 <= value <= MOST_NODES:
            checks.fail("nodes", value, f"is not between 0 and {MOST_NODES}")
        value = [f"{group}-{number}" for number in range(value)]
    # With none at first, they may come later.
    return [Happening("nodes", 0.0, "join", checks.names("nodes", value))] if value != [] else []


def _happening(path: str, event: Any) -> Happening:
    found = checks.mapping(path, event, ("at", *HAPPENINGS), ("at",))
    whats = [name for name in found if name != "at"]
    if len(whats) != 1:
        raise CommandError(f"{path}: must have one of {', '.join(HAPPENINGS)} beside at; it has {whats}", checks.WRONG)
    (what,) = whats
    return Happening(path, checks.seconds(f"{path}.at", found["at"]), what, _value(f"{path}.{what}", what, found[what]))


def _value(path: str, what: str, value: Any) -> Any:
    if what == "edit":
        return checks.mapping(path, value, spec.schema()["properties"])
    if what == "request":
        return checks.one_of(path, value, _REQUESTS)
    if what == "operator":
        return checks.one_of(path, value, ("away", "back"))
    return checks.names(path, value)


def _habits(value: Any) -> Habits:
    found = dict(
        checks.mapping(
            "agents",
            value,
            (
                "startSeconds",
                "stopSeconds",
                "checkInSeconds",
                "workersFailSeconds",
                "beats",
                "pods",
                "owner",
                "podLabels",
                "machineLabels",
            ),
        )
    )
    given: dict[str, Any] = {}
    for field, name in (
        ("startSeconds", "start_seconds"),
        ("stopSeconds", "stop_seconds"),
        ("checkInSeconds", "check_in_seconds"),
        ("workersFailSeconds", "workers_fail_seconds"),
    ):
        if found.get(field) is not None:
            given[name] = checks.seconds(f"agents.{field}", found[field])
    for field in ("beats", "pods"):
        if field in found:
            given[field] = checks.truth(f"agents.{field}", found[field])
    if "owner" in found:
        kind = checks.one_of("agents.owner", found["owner"], _OWNERS)
        given["owner"] = None if kind == "none" else Owner(kind, "train")
    for field, name in (("podLabels", "pod_labels"), ("machineLabels", "machine_labels")):
        if field in found:
            given[name] = _labels(f"agents.{field}", found[field])
    return Habits(**given)


def _labels(path: str, value: Any) -> dict[str, dict[str, str]]:
    """The labels of pods, or of machines, by the names of nodes: the file has the names by label and value."""
    labels: dict[str, dict[str, str]] = {}
    for label, nodes_of in _object(path, value).items():
        for text, given in _object(f"{path}.{label}", nodes_of).items():
            for name in checks.names(f"{path}.{label}.{text}", given):
                labels.setdefault(name, {})[str(label)] = str(text)
    return labels


def _object(path: str, value: Any) -> Json:
    if not isinstance(value, dict):
        checks.fail(path, value, "is no object")
    return value


class _Stage:
    """Does what happens in a scenario."""

    def __init__(self, played: Play, given: Json) -> None:
        self._play = played
        self._given = given
        self._requests = 0

    def happens(self, each: Happening) -> None:
        """Something happens now."""
        if each.what in OF_NODES:
            one, several, act = OF_NODES[each.what]
            for name in each.value:
                if each.what not in ("join", "pending") and name not in self._play.nodes:
                    there = ", ".join([*self._play.nodes][:10]) or "none"
                    checks.fail(f"{each.path}.{each.what}", name, f"is no node at {each.at:g} s; there are: {there}")
                self._play.happens(name, one, several)
                act(self._play, name)
        else:
            getattr(self, f"_{each.what}")(each)

    def _edit(self, each: Happening) -> None:
        play = self._play
        self._given = patched(self._given, each.value)
        try:
            read = spec.read(self._given)
        except CommandError as error:
            raise CommandError(f"{each.path}.edit: {error}", error.code) from None
        edit(play, read)
        play.is_given("edit", f"the spec is edited: {as_text(each.value)}")

    def _request(self, each: Happening) -> None:
        self._requests += 1
        operator = self._play.operator
        metadata = operator.rendezvous.metadata
        annotations = {**metadata.annotations, _REQUESTS[each.value]: str(self._requests)}
        changed = replace(operator.rendezvous, metadata=replace(metadata, annotations=annotations))
        operator.show_rendezvous(changed)
        self._play.is_given("request", f"a {each.value} is requested")

    def _operator(self, each: Happening) -> None:
        if each.value == "away":
            self._play.operator.away = True
            self._play.is_given("operator", "the operator is away")
        else:
            self._play.is_given("operator", "an operator leads again")
            self._play.operator.begins_again(self._play.now)


def edit(play: Play, changed: Any) -> None:
    """The spec is another one."""
    before = play.operator.rendezvous
    metadata = replace(before.metadata, generation=before.metadata.generation + 1)
    play.operator.show_rendezvous(replace(before, metadata=metadata, spec=changed))


def as_text(changes: Mapping[str, Any], above: str = "") -> str:
    """``maxNodes: 6, timeouts.lastCallSeconds: 0``."""
    parts = []
    for name, value in changes.items():
        if isinstance(value, dict):
            parts.append(as_text(value, f"{above}{name}."))
        else:
            parts.append(f"{above}{name}: {str(value).lower() if isinstance(value, bool) else value}")
    return ", ".join(parts)


def _pending(play: Play, name: str) -> None:
    pod = nodes.pod_of(name, play.habits, 1, phase="Pending", problem="Pending (no machine for it)", unschedulable=True)
    play.nodes[name] = Node(name, pod, alive=False)
    play.operator.show_pod(pod, play.now)


def _silence(play: Play, name: str) -> None:
    play.nodes[name].heard = False


def _hear(play: Play, name: str) -> None:
    node = play.nodes[name]
    node.heard = True
    mine = play.operator.participant(name)
    if mine is not None and node.alive:
        play.operator.show(mine, play.now)


def _cut_off(play: Play, name: str) -> None:
    node = play.nodes[name]
    node.linked, node.beats = False, (HostState.MISSED, play.now)
    play.look_again()


def _reconnect(play: Play, name: str) -> None:
    play.nodes[name].linked, play.nodes[name].beats = True, None


def _cordon(play: Play, name: str) -> None:
    """The operator learns of it when it looks for the machine."""
    _mark(play, nodes.machine_of(name), cordoned=True)


def _uncordon(play: Play, name: str) -> None:
    _mark(play, nodes.machine_of(name), cordoned=False)


def _mark(play: Play, machine: str, *, cordoned: bool) -> None:
    machines = play.operator.machines
    assert machines is not None
    machines[machine] = replace(machines.get(machine, Machine()), cordoned=cordoned)


OF_MACHINES = ("cordon", "uncordon")
"""Where they happen, the operator may read machines."""

OF_NODES: Mapping[str, tuple[str, str, Callable[[Play, str], None]]] = {
    "join": ("joins", "join", lambda play, name: play.join(name)),
    "pending": ("has a pod for which there is no machine", "have pods for which there is no machine", _pending),
    "succeed": (
        "ends with success",
        "end with success",
        lambda play, name: play.leave(play.nodes[name], LeaveReason.SUCCEEDED),
    ),
    "fail": (
        "ends, since its workers have failed too often",
        "end, since their workers have failed too often",
        lambda play, name: play.leave(play.nodes[name], LeaveReason.FAILED),
    ),
    "workersFail": ("has a problem", "have a problem", lambda play, name: play.workers_fail(play.nodes[name])),
    "unhealthy": (
        "has a broken GPU",
        "have a broken GPU",
        lambda play, name: play.checks(play.nodes[name], FOUND),
    ),
    "healthy": (
        "is repaired",
        "are repaired",
        lambda play, name: play.checks(play.nodes[name], None),
    ),
    "kill": ("is killed", "are killed", lambda play, name: play.die(play.nodes[name], HostState.CLOSED)),
    "powerOff": (
        "loses its power",
        "lose their power",
        lambda play, name: play.die(play.nodes[name], HostState.MISSED),
    ),
    "evict": ("is evicted", "are evicted", lambda play, name: play.evict(play.nodes[name])),
    "silence": ("does not reach the API server any more", "do not reach the API server any more", _silence),
    "hear": ("reaches the API server again", "reach the API server again", _hear),
    "cutOff": ("does not reach the other nodes any more", "do not reach the other nodes any more", _cut_off),
    "cordon": ("has a machine that is cordoned", "have machines that are cordoned", _cordon),
    "uncordon": ("has a machine that is no longer cordoned", "have machines that are no longer cordoned", _uncordon),
    "reconnect": ("reaches the other nodes again", "reach the other nodes again", _reconnect),
}
"""What can happen to nodes: in words for one node and for several ones, and what then is so."""

HAPPENINGS = (*OF_NODES, "edit", "request", "operator")
