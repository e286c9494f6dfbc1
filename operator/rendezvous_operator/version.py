"""The version of the installed distribution."""

from importlib.metadata import PackageNotFoundError, version


def operator_version() -> str:
    """The version; ``unknown`` if the distribution is not installed."""
    try:
        return version("kube-rendezvous-operator")
    except PackageNotFoundError:
        return "unknown"
