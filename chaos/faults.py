"""How each fault is done to a world, and how it is healed."""

import random
import signal
from collections.abc import Callable, Mapping
from typing import Any

from tests.support.api import NotFoundError

from chaos.running import Running
from chaos.schedule import Fault, Kind
from chaos.world import NAME, World, send
from rendezvous_api import names

Healing = Callable[[], None]


def begin(world: World, fault: Fault, dice: random.Random) -> Healing:
    """Do it; returns what heals it."""
    return _BEGIN[fault.kind](world, fault, dice)


def _nothing() -> None:
    """It has passed already."""


def _again(running: Running) -> Healing:
    def start() -> None:
        running.wanted = True

    return start


def _kill(world: World, fault: Fault, _: random.Random) -> Healing:
    running = world.running(fault.target)
    world.freeze(running)  # none of its processes may act on the death of another
    workers = world.workers_of(running)
    running.kill()
    send(workers, signal.SIGKILL)
    return _again(running)


def _terminate(world: World, fault: Fault, _: random.Random) -> Healing:
    running = world.running(fault.target)
    running.terminate()
    return _again(running)


def _stop(world: World, fault: Fault, _: random.Random) -> Healing:
    running = world.running(fault.target)
    world.freeze(running)
    return lambda: world.thaw(running)


def _stop_agent(world: World, fault: Fault, _: random.Random) -> Healing:
    return _stop_these(world.pids(world.nodes[fault.target])[:1])


def _stop_worker(world: World, fault: Fault, _: random.Random) -> Healing:
    return _stop_these(world.workers_of(world.nodes[fault.target]))


def _stop_these(pids: list[int]) -> Healing:
    send(pids, signal.SIGSTOP)
    return lambda: send(pids, signal.SIGCONT)


def _kill_worker(world: World, fault: Fault, _: random.Random) -> Healing:
    send(world.workers_of(world.nodes[fault.target]), signal.SIGKILL)
    return _nothing


def _cut_store(world: World, fault: Fault, dice: random.Random) -> Healing:
    world.cut_file(fault.target).touch()
    _kill_worker(world, fault, dice)  # so that a round is formed meanwhile
    return world.cut_file(fault.target).unlink


def _cut_peers(world: World, fault: Fault, _: random.Random) -> Healing:
    file = world.cut_peers_file(fault.target)
    file.with_suffix(".new").write_text(fault.way, encoding="utf-8")
    file.with_suffix(".new").replace(file)
    return file.unlink


def _fail(world: World, fault: Fault, dice: random.Random) -> Healing:
    world.gateways.fail(fault.target, fault.paths, fault.way, fault.share, dice)
    return lambda: world.gateways.heal(fault.target)


def _delete_participant(world: World, fault: Fault, _: random.Random) -> Healing:
    def delete() -> None:
        try:
            world.api.delete(names.PARTICIPANT_KIND, f"{NAME}.{fault.target}")
        except NotFoundError:
            return

    world.wishes.append(delete)
    return _nothing


def _stop_api_server(world: World, _: Fault, __: random.Random) -> Healing:
    world.plane.stop_apiserver()
    return world.plane.start_apiserver


def _slow_etcd(world: World, _: Fault, dice: random.Random) -> Healing:
    return world.stall_etcd(dice)


def _restore(world: World, fault: Fault, _: random.Random) -> Healing:
    world.take_snapshot()

    def restore() -> None:
        world.restore_snapshot()
        if fault.kind is Kind.RESTORE:
            world.wishes += [world.delete_rendezvous, world.create_rendezvous]
        else:
            world.patch({"spec": world.setting.spec})

    return restore


def _request_restart(world: World, fault: Fault, dice: random.Random) -> Healing:
    value = f"request {dice.random()}"
    world.patch({"metadata": {"annotations": {names.ANNOTATION_RESTART_REQUESTED_AT: value}}})
    return _nothing


def _change_spec(world: World, fault: Fault, _: random.Random) -> Healing:
    assert fault.spec is not None
    spec = fault.spec

    def set_to(values: Mapping[str, Any]) -> None:
        world.patch({"spec": values})
        world.max_nodes = values.get("maxNodes", world.max_nodes)

    def back(values: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
        return {
            name: back(value, before.get(name, {})) if isinstance(value, dict) else before.get(name)
            for name, value in values.items()
        }

    set_to(spec)
    return lambda: set_to(back(spec, {**world.setting.spec, "suspend": False}))


def _add_node(world: World, fault: Fault, _: random.Random) -> Healing:
    world.add_node(fault.target)
    return world.nodes[fault.target].terminate


_BEGIN: Mapping[Kind, Callable[[World, Fault, random.Random], Healing]] = {
    Kind.KILL_NODE: _kill,
    Kind.TERMINATE_NODE: _terminate,
    Kind.STOP_NODE: _stop,
    Kind.STOP_AGENT: _stop_agent,
    Kind.STOP_WORKER: _stop_worker,
    Kind.KILL_WORKER: _kill_worker,
    Kind.CUT_STORE: _cut_store,
    Kind.CUT_PEERS: _cut_peers,
    Kind.CUT_NODE: _fail,
    Kind.NODE_ERRORS: _fail,
    Kind.DELETE_PARTICIPANT: _delete_participant,
    Kind.KILL_OPERATOR: _kill,
    Kind.STOP_OPERATOR: _stop,
    Kind.CUT_OPERATOR: _fail,
    Kind.OPERATOR_ERRORS: _fail,
    Kind.STOP_API_SERVER: _stop_api_server,
    Kind.SLOW_ETCD: _slow_etcd,
    Kind.RESTORE: _restore,
    Kind.RESTORE_ALONE: _restore,
    Kind.RESTART_REQUEST: _request_restart,
    Kind.SUSPEND: _change_spec,
    Kind.FEWER_NODES: _change_spec,
    Kind.SPEC_VALUES: _change_spec,
    Kind.ADD_NODE: _add_node,
}
