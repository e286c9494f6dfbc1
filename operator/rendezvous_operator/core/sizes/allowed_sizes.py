"""Rule "size", the part of ``spec.sizes``: a multiple of a step, or one of a list.

Training that is split into stages or slices of N nodes runs only in groups of a multiple of N nodes. A step means the
same as ``node_unit`` in DLRover, and asks the same of the size as ``segment`` in NVIDIA's NVRx.
"""

from rendezvous_api.rendezvous_spec import RendezvousSpec


def among_the_sizes(spec: RendezvousSpec, size: int) -> bool:
    """A multiple of ``sizes.step``, or one of ``sizes.list``; any size if the spec has neither."""
    sizes = spec.sizes
    if sizes is None:
        return True
    return size % sizes.step == 0 if sizes.step is not None else size in sizes.list
