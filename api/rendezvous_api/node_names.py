"""Which names are those of one node (rule "hold-outs"): a pod of an indexed Job is replaced by one of another name."""

import re
from typing import NamedTuple

_POD_OF_JOB = re.compile(r"(?P<job>.+)-(?P<index>\d{1,9})-[a-z0-9]{5}(?P<slot>\.\d+)?")
"""``<rendezvous>.<Job>-<index>-<random>``, and ``.<number>`` of a further agent in the pod."""


class Place(NamedTuple):
    """What stays the same when a pod of an indexed Job is replaced."""

    job: str
    pod_index: int
    slot: str | None


def place_in_job(name: str) -> Place | None:
    """The place that the name of a participant stands for; None: it is not the name of such a pod."""
    match = _POD_OF_JOB.fullmatch(name)
    return Place(match["job"], int(match["index"]), match["slot"]) if match is not None else None


def place_of(name: str, pod_index: int | None) -> Place | None:
    """The same of a node whose index is known, so that a name that only looks like one of a Job stands for none."""
    place = place_in_job(name)
    return place if place is not None and place.pod_index == pod_index else None


def is_same_node(name: str, pod_index: int | None, other: str, other_pod_index: int | None) -> bool:
    """Whether two names are of one node, each with the index of its pod: the same name, or the same place in a Job."""
    place = place_of(name, pod_index)
    return name == other or (place is not None and place == place_of(other, other_pod_index))
