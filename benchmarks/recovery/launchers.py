"""All launchers that are compared."""

from benchmarks.recovery.launcher import Launcher
from benchmarks.recovery.of_torch import C10d, C10dBrief, C10dOwnStore, C10dWithTimeout, Ours, OursBrief, OursWithPods
from benchmarks.recovery.others import (
    DLRover,
    DLRoverBrief,
    Nvrx,
    NvrxServedApart,
    NvrxWithHeartbeats,
    Torchft,
    TorchftBrief,
)

BRIEF: tuple[type[Launcher], ...] = (OursBrief, C10dBrief, DLRoverBrief, TorchftBrief)
"""Those with shorter waits than by default."""

ALL: tuple[type[Launcher], ...] = (
    Ours, OursWithPods, C10d, C10dOwnStore, C10dWithTimeout, Nvrx, NvrxWithHeartbeats, NvrxServedApart,
    DLRover, Torchft, *BRIEF,
)  # fmt: skip
