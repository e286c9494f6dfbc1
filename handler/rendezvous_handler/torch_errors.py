"""torch's errors of a rendezvous; where there is no torch, as in the self-test's image, errors of the same names."""

try:
    from torch.distributed.elastic.rendezvous import (
        RendezvousClosedError,
        RendezvousConnectionError,
        RendezvousError,
        RendezvousStateError,
        RendezvousTimeoutError,
    )
except ModuleNotFoundError as error:
    if error.name != "torch":
        raise

    class RendezvousError(Exception):  # type: ignore[no-redef]
        """See torch."""

    class RendezvousClosedError(RendezvousError):  # type: ignore[misc,no-redef]
        """See torch."""

    class RendezvousConnectionError(RendezvousError):  # type: ignore[misc,no-redef]
        """See torch."""

    class RendezvousStateError(RendezvousError):  # type: ignore[misc,no-redef]
        """See torch."""

    class RendezvousTimeoutError(RendezvousError):  # type: ignore[misc,no-redef]
        """See torch."""


__all__ = [
    "RendezvousClosedError",
    "RendezvousConnectionError",
    "RendezvousError",
    "RendezvousStateError",
    "RendezvousTimeoutError",
]
