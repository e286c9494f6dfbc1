"""Rule "topology ranks", the part of ``ranks.segmentSize`` that is a size: a round has only whole segments."""

from rendezvous_api.rendezvous_spec import RendezvousSpec


def of_whole_segments(spec: RendezvousSpec, size: int) -> bool:
    """A multiple of ``ranks.segmentSize``; any size if the spec has none."""
    return spec.segment_size is None or size % spec.segment_size == 0
