"""The rows of a group of 256: light agents (`benchmarks.members`), of which some are on a machine of their own.

Those that something happens to are alone in a process, on that machine. All others are in four processes, in the
network of this program.
"""

import signal
import time
from collections.abc import Collection, Iterable

from benchmarks.cluster import NAMESPACE, Cluster
from benchmarks.detection.network import HERE, Machine
from benchmarks.detection.rows import Outcome
from benchmarks.detection.small import RENDEZVOUSES, status_of
from benchmarks.group import Group, NotFinishedError, Seen

from rendezvous_api import names
from rendezvous_api.rendezvous import RendezvousStatus

SIZE = 256
SETTLE_SECONDS = 15.0
"""Two heartbeats of each agent, with the interval of a group of this size."""

_FIRST, _LAST = 0, SIZE - 1
_JOIN_SECONDS, _LIMIT_SECONDS = 240.0, 180.0


class LargeGroup:
    """The members of one run; `close` ends them.

    Args:
        cluster: its API server.
        name: of the Rendezvous.
        machine: on it are those that something happens to.
        lonely: their numbers.
    """

    def __init__(self, cluster: Cluster, name: str, machine: Machine, lonely: Collection[int]) -> None:
        self.machine, self.lonely = machine, sorted(lonely)
        self.others = [number for number in range(SIZE) if number not in lonely]
        self._cluster, self._name = cluster, name
        self.group = Group(starter=["nsenter", f"--net={machine.network}", "--"])

    def begin(self) -> None:
        """Create the Rendezvous with the default times, and wait until all are in a round.

        Raises:
            NotFinishedError: they are not, or rank 0 is not the member that it must be.
        """
        body = {
            "apiVersion": names.API_VERSION,
            "kind": names.RENDEZVOUS_KIND,
            "metadata": {"name": self._name},
            # The default times but for one: on a busy machine the last of so many agents comes late.
            "spec": {"minNodes": 1, "maxNodes": SIZE, "timeouts": {"lastCallSeconds": round(_JOIN_SECONDS)}},
        }
        self._cluster.request("POST", RENDEZVOUSES, body)
        for ids, alone, address in ((self.others, False, HERE), (self.lonely, True, self.machine.address)):
            parameters = {
                "backend": "kubernetes",
                "endpoint": f"{NAMESPACE}/{self._name}",
                "run_id": "run-1",
                "min_nodes": 1,
                "max_nodes": SIZE,
                "local_addr": address,
                "node_id": "node-{i:04d}",
            }
            kubeconfigs = dict.fromkeys(map(str, ids), str(self._cluster.kubeconfig))
            command = {"do": "create", "parameters": parameters, "kubeconfigs": kubeconfigs}
            self.group.create(ids, ids if alone else (), command)
        everyone = [*self.others, *self.lonely]
        at = self.group.join(everyone)
        joined = self.group.await_all("joined", everyone, at, _JOIN_SECONDS)
        host = next(number for number, seen in joined.items() if seen.fields["rank"] == 0)
        sizes = {seen.fields["nodes"] for seen in joined.values()}
        if sizes != {SIZE} or (_FIRST in self.lonely) != (host in self.lonely):
            raise NotFinishedError(f"the first round has {sizes} nodes, and member {host} has rank 0")
        self.group.run(everyone, rejoin=True)
        time.sleep(SETTLE_SECONDS)

    @property
    def status(self) -> RendezvousStatus:
        """That of the Rendezvous as it is now."""
        return status_of(self._cluster, self._name)

    def close(self) -> None:
        """End all members."""
        self.group.close()
        self.machine.way.refuse()


def killed(large: LargeGroup, found: Outcome) -> None:
    """SIGKILL to an agent."""
    _lost(large, found, large.group.kill_the_lonely())


def power_cut(large: LargeGroup, found: Outcome) -> None:
    """The machine of those that are alone loses its power."""
    at = large.group.signal_the_lonely(signal.SIGSTOP)  # see `small.Group.cut_power`
    large.machine.unplug()
    large.group.kill_the_lonely()
    _lost(large, found, at)


def stopped(large: LargeGroup, found: Outcome) -> None:
    """SIGSTOP to an agent, until the others are in a round; then it must come back."""
    at = large.group.signal_the_lonely(signal.SIGSTOP)
    _lost(large, found, at)
    woken_at = large.group.signal_the_lonely(signal.SIGCONT)
    everyone = [*large.others, *large.lonely]
    large.group.run(large.others, rejoin=True)
    back = large.group.await_all("joined", everyone, woken_at, _LIMIT_SECONDS)
    found.more["back"] = max(seen.at for seen in back.values()) - woken_at
    found.missed += _disagreement(back.values(), SIZE)


def _lost(large: LargeGroup, found: Outcome, at: float) -> None:
    first = large.status.round
    known = large.group.await_all("told", large.others, at, _LIMIT_SECONDS)
    found.told = max(seen.at for seen in known.values()) - at
    joined = large.group.await_all("joined", large.others, at, _LIMIT_SECONDS)
    found.new_round = max(seen.at for seen in joined.values()) - at
    found.missed += _disagreement(joined.values(), len(large.others))
    record = next(record for record in large.status.history if record.round == first)
    found.more |= {"reason": record.reason, "message": record.message}


def _disagreement(joined: Iterable[Seen], wanted: int) -> list[str]:
    sizes = {seen.fields["nodes"] for seen in joined}
    return [] if sizes == {wanted} else [f"the round has {sizes} nodes, and {wanted} were there"]
