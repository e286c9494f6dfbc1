"""Rule "size", the part of ``spec.nodes.groupSize``: a round has whole replacement groups only."""

from rendezvous_api.rendezvous_spec import RendezvousSpec


def of_whole_groups(spec: RendezvousSpec, size: int) -> bool:
    """A multiple of ``nodes.groupSize``; any size if the spec has no replacement groups."""
    groups = spec.nodes.groups
    return groups is None or size % groups[1] == 0
