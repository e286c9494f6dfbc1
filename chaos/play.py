"""Plays a schedule on a world, for a given time."""

import dataclasses
import random
import time
from collections.abc import Callable
from pathlib import Path

from tests.support.fork_server import ForkServer

from chaos.checker import BOUND_SECONDS, bound, trains
from chaos.faults import begin
from chaos.schedule import Episode, Schedule
from chaos.world import World

_TICK_SECONDS = 0.1
_FIRST_SECONDS = 180.0
"""The first round also waits for processes that start."""
Say = Callable[[str], None]


class Player:
    """Plays one schedule, and leaves its journal in the folder."""

    def __init__(self, schedule: Schedule, folder: Path, torchruns: ForkServer, say: Say) -> None:
        self._schedule = schedule
        self._folder = folder
        self._torchruns = torchruns
        self._say = say
        self._faults = 0

    def play(self, seconds: float) -> None:
        """Begin episodes for that time, then wait until all train again, and end the training."""
        setting = self._schedule.setting
        self._folder.mkdir(parents=True)
        with World(setting, self._folder, self._torchruns) as world:
            world.journal.write("setting", seed=self._schedule.seed, **dataclasses.asdict(setting))
            world.start()
            stuck = not self._recover(world, "the start", _FIRST_SECONDS)
            until = time.monotonic() + seconds
            settled = True
            for episode in self._schedule.episodes:
                if stuck or time.monotonic() > until:
                    break
                self._play(world, episode)
                settled = episode.waits
                if settled:
                    stuck = not self._recover(world, f"episode {episode.number}", BOUND_SECONDS)
            else:
                raise AssertionError("the schedule has too few episodes")
            if not stuck and not settled:
                stuck = not self._recover(world, "the last episode", BOUND_SECONDS)
            if not stuck:
                world.end_training()
            gateways = world.gateways.all.values()
            requests, failed = sum(one.requests for one in gateways), sum(one.failed for one in gateways)
            world.journal.write("end", requests=requests, failed=failed)

    def _play(self, world: World, episode: Episode) -> None:
        began = time.monotonic()
        to_begin = list(episode.faults)
        to_heal: list[tuple[float, int, Callable[[], None]]] = []
        while to_begin or to_heal:
            now = time.monotonic() - began
            if to_begin and to_begin[0].after <= now:
                fault = to_begin.pop(0)
                self._faults += 1
                fields = {**dataclasses.asdict(fault), "kind": fault.kind.name}
                world.journal.write("fault", number=self._faults, episode=episode.number, **fields)
                what = " ".join(str(word) for word in (fault.target, *fault.paths, fault.way, fault.spec or "") if word)
                self._say(f"{fault.kind.value} ({what}, {fault.lasts:g} s)")
                dice = random.Random(f"{self._schedule.seed} {self._faults}")
                heal = begin(world, fault, dice)
                to_heal.append((fault.after + fault.lasts, self._faults, heal))
                to_heal.sort(key=lambda healing: healing[:2])
            elif to_heal and to_heal[0][0] <= now:
                _, number, heal = to_heal.pop(0)
                heal()
                world.journal.write("healed", number=number)
            world.tend()
            time.sleep(_TICK_SECONDS)

    def _recover(self, world: World, after: str, seconds: float) -> bool:
        """Wait until all that may train do; False: they do not, within the bound."""
        began = time.monotonic()
        while not world.is_whole and time.monotonic() < began + bound(seconds, world.machine.slowness, began):
            world.tend()
            time.sleep(_TICK_SECONDS)
        nodes, size = world.expected()
        calm = world.journal.write("calm", after=after, nodes=nodes, size=size)
        while time.monotonic() < calm + bound(seconds, world.machine.slowness, calm):
            world.tend()
            at = trains(world.steps.read_on(), nodes, size, calm)
            if at is not None:
                world.journal.write("recovered", after=after)
                self._say(f"all train again {at - calm:.1f} s after {after}")
                return True
            time.sleep(_TICK_SECONDS)
        world.journal.write("stuck", after=after)
        self._say(f"NOT all train again {time.monotonic() - calm:.0f} s after {after}")
        return False
