"""The errors of the local control plane."""


class ControlPlaneError(RuntimeError):
    """The local control plane, or a command run against it, failed; the message has what was observed."""


class BinariesError(ControlPlaneError):
    """The programs of the control plane could not be found, fetched or built; the message lists what was tried."""
