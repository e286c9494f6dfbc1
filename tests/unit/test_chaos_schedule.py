"""Schedules of faults: what a seed stands for."""

from functools import cache

import pytest
from chaos.causes import EFFECTS
from chaos.schedule import (
    AT_ONCE,
    MIN_NODES,
    OF_A_NODE,
    OF_A_PROCESS,
    OF_AN_OPERATOR,
    OF_THE_SERVERS,
    PEER_WAYS,
    WAYS,
    Fault,
    Kind,
    schedule,
)
from tests.support.gateway import PATHS

SEEDS = range(30)


@cache
def faults() -> list[Fault]:
    return [fault for seed in SEEDS for episode in schedule(seed).episodes for fault in episode.faults]


def test_a_seed_stands_for_one_schedule() -> None:
    assert schedule(7) == schedule(7)
    assert schedule(7) != schedule(8)


def test_the_number_of_agents_may_be_given() -> None:
    assert {schedule(seed, nodes=3).setting.nodes for seed in SEEDS} == {3}
    assert {schedule(seed).setting.nodes for seed in SEEDS} == {3, 4, 5}


def test_every_kind_of_fault_comes() -> None:
    assert {fault.kind for fault in faults()} == set(Kind) - {Kind.RESTORE_ALONE}
    assert set(EFFECTS) == set(Kind)


def test_the_kinds_may_be_chosen() -> None:
    chosen = [Kind.RESTORE_ALONE, Kind.KILL_NODE]
    episodes = [episode for seed in SEEDS for episode in schedule(seed, kinds=chosen).episodes]
    assert {fault.kind for episode in episodes for fault in episode.faults} == set(chosen)


def test_every_setting_comes() -> None:
    settings = [schedule(seed).setting for seed in SEEDS]
    assert {(setting.operators, setting.leader_elect) for setting in settings} == {(1, False), (2, False), (2, True)}
    assert all(MIN_NODES < setting.max_nodes <= setting.nodes + 1 for setting in settings)


def test_every_fault_is_healed_or_needs_no_healing() -> None:
    assert {fault.kind for fault in faults() if not fault.lasts} == AT_ONCE
    assert max(fault.lasts for fault in faults()) <= 25


@pytest.mark.parametrize("kind", list(Kind))
def test_a_fault_has_what_its_kind_needs(kind: Kind) -> None:
    for fault in faults():
        if fault.kind is kind:
            fails = kind in (Kind.CUT_NODE, Kind.CUT_OPERATOR, Kind.NODE_ERRORS, Kind.OPERATOR_ERRORS)
            assert bool(fault.target) == (kind in OF_A_NODE | OF_AN_OPERATOR | {Kind.ADD_NODE})
            assert bool(fault.paths) == fails
            assert bool(fault.way) == (fails or kind is Kind.CUT_PEERS)
            assert set(fault.paths) <= set(PATHS)
            assert fault.way in (PEER_WAYS if kind is Kind.CUT_PEERS else (*WAYS, ""))
            assert (fault.spec is not None) == (kind in (Kind.FEWER_NODES, Kind.SPEC_VALUES, Kind.SUSPEND))


def test_no_two_faults_of_an_episode_undo_each_other() -> None:
    for seed in SEEDS:
        for episode in schedule(seed).episodes:
            assert episode.faults
            of_processes = [fault.target for fault in episode.faults if fault.kind in OF_A_PROCESS]
            assert len(set(of_processes)) == len(of_processes)
            assert len([fault for fault in episode.faults if fault.kind in OF_THE_SERVERS]) <= 1
            assert len({(fault.kind, fault.target) for fault in episode.faults}) == len(episode.faults)
