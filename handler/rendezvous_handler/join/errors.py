"""What can end a join. ``torchrun.errors`` makes torch's own errors of these."""

from typing import Final

DO_NOT_START_AGAIN: Final = 93
"""The exit code of nvidia-resiliency-ext for the same."""
BUDGET_IS_SPENT: Final = 94
NODE_IS_UNHEALTHY: Final = 95


class JoinError(Exception):
    """The base of the others; the message is for people."""

    exit_code = 1
    """Of the agent, where a launcher on the command line has started it."""


class ClosedError(JoinError):
    """The run is closed, or this agent was stopped: it cannot join."""

    def __init__(self, message: str, exit_code: int = 1):
        """Take the message, and the exit code if a Job should tell it from others."""
        super().__init__(message)
        self.exit_code = exit_code


class ConnectError(JoinError):
    """The API server cannot be reached, or refuses what an agent needs; or this node's own address cannot be used."""


class StateError(JoinError):
    """This agent cannot join the Rendezvous: it is missing or unreadable, or another run or agent has taken it."""


class TimedOutError(JoinError):
    """The join timeout has passed."""


class UnhealthyError(JoinError):
    """The health checks of this node have failed for too long."""

    exit_code = NODE_IS_UNHEALTHY


class SucceededError(JoinError):
    """The run has succeeded without this node: there is nothing to do."""

    exit_code = 0
