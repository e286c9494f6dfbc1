"""Rule "size", the part of ``spec.sizes``: a multiple of a step, or one of a list.

Training that is split into stages or slices over N nodes each runs only in groups of a whole number of these. A step is
what ``node_unit`` is in DLRover and what ``segment`` asks of the size in NVIDIA's NVRx.
"""

from rendezvous_api.rendezvous import RendezvousSpec


def among_the_sizes(spec: RendezvousSpec, size: int) -> bool:
    """A multiple of ``sizes.step``, or one of ``sizes.list``; any size if the spec has neither."""
    sizes = spec.sizes
    if sizes is None:
        return True
    return size % sizes.step == 0 if sizes.step is not None else size in sizes.list
