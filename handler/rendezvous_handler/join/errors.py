"""What can end a join. ``torchrun.errors`` makes torch's own errors of these."""


class JoinError(Exception):
    """The base of the others; the message is for people."""


class ClosedError(JoinError):
    """The run is closed, or this agent was stopped: it cannot join."""


class ConnectError(JoinError):
    """The API server cannot be reached, or refuses what an agent needs; or this node's own address cannot be used."""


class StateError(JoinError):
    """This agent cannot join the Rendezvous: it is missing or unreadable, or another run or agent has taken it."""


class TimedOutError(JoinError):
    """The join timeout has passed."""


class SucceededError(JoinError):
    """The run has succeeded without this node: there is nothing to do."""
