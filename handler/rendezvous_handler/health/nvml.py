"""What NVIDIA's driver says of the GPUs, by its library NVML, which each container with GPUs gets from its machine."""

from __future__ import annotations

import ctypes
from typing import Any

LIBRARY = "libnvidia-ml.so.1"

# The numbers are those of nvml.h.
_SUCCESS = 0
_NO_PERMISSION = 4
_UNKNOWN_TO_IT = (2, 3, 13)
"""Invalid argument, not supported, function not found: this GPU or driver does not know that."""
_UNCORRECTED, _SINCE_LOAD = 1, 0
_RECOVERY_ACTION = 230
_ACTIONS = {
    1: "a reset of the GPU",
    2: "a reboot of the machine",
    3: "an end of peer-to-peer traffic",
    4: "a drain and a reset",
}


class _Value(ctypes.Union):
    _fields_ = (("number", ctypes.c_uint), ("whole", ctypes.c_ulonglong))


class _FieldValue(ctypes.Structure):
    _fields_ = (
        ("field", ctypes.c_uint),
        ("scope", ctypes.c_uint),
        ("timestamp", ctypes.c_longlong),
        ("latency", ctypes.c_longlong),
        ("type", ctypes.c_uint),
        ("code", ctypes.c_uint),
        ("value", _Value),
    )


class NvmlError(Exception):
    """The driver answers with an error."""


class Nvml:
    """Some functions of the library, by their results."""

    def __init__(self, library: Any):
        """Take the library.

        Args:
            library: what ctypes has loaded.
        """
        self._library = library

    @classmethod
    def load(cls) -> Nvml:
        """Load the library of this machine.

        Raises:
            OSError: there is none.
        """
        return cls(ctypes.CDLL(LIBRARY))

    def start(self) -> None:
        """Begin.

        Raises:
            NvmlError: the driver does not answer.
        """
        self._call("nvmlInit_v2")

    def devices(self) -> list[ctypes.c_void_p]:
        """Those that this container may use.

        Raises:
            NvmlError: one of them is lost.
        """
        count = ctypes.c_uint()
        self._call("nvmlDeviceGetCount_v2", ctypes.byref(count))
        found = []
        for number in range(count.value):
            device = ctypes.c_void_p()
            code = self._library.nvmlDeviceGetHandleByIndex_v2(ctypes.c_uint(number), ctypes.byref(device))
            if code == _NO_PERMISSION:
                continue  # it is that of another container
            if code != _SUCCESS:
                raise NvmlError(f"GPU {number}: {self._text(code)}")
            found.append(device)
        return found

    def ecc_errors(self, device: ctypes.c_void_p) -> int:
        """Uncorrected memory errors since the driver was loaded; 0 if it does not count them."""
        found = ctypes.c_ulonglong()
        known = self._ask("nvmlDeviceGetTotalEccErrors", device, _UNCORRECTED, _SINCE_LOAD, ctypes.byref(found))
        return found.value if known else 0

    def remapping_failed(self, device: ctypes.c_void_p) -> bool:
        """Whether a broken row of its memory could not be replaced."""
        rows = [ctypes.c_uint() for _ in range(4)]  # corrected, uncorrected, pending, failed
        known = self._ask("nvmlDeviceGetRemappedRows", device, *(ctypes.byref(row) for row in rows))
        return known and rows[3].value > 0

    def recovery_action(self, device: ctypes.c_void_p) -> str | None:
        """What the driver asks for, in words; None: nothing, or it does not say (before release 570)."""
        asked = _FieldValue(field=_RECOVERY_ACTION)
        if not self._ask("nvmlDeviceGetFieldValues", device, 1, ctypes.byref(asked)) or asked.code != _SUCCESS:
            return None
        action = int(asked.value.number)
        return _ACTIONS.get(action, f"recovery action {action}") if action else None

    def _ask(self, function: str, *arguments: Any) -> bool:
        """Call a function; False if GPU or driver do not know it."""
        if not hasattr(self._library, function):
            return False
        code = getattr(self._library, function)(*arguments)
        if code in _UNKNOWN_TO_IT:
            return False
        if code != _SUCCESS:
            raise NvmlError(self._text(code))
        return True

    def _call(self, function: str, *arguments: Any) -> None:
        code = getattr(self._library, function)(*arguments)
        if code != _SUCCESS:
            raise NvmlError(self._text(code))

    def _text(self, code: int) -> str:
        describe = self._library.nvmlErrorString
        describe.restype = ctypes.c_char_p
        text = describe(code)
        return text.decode(errors="replace") if text else f"NVML error {code}"


def problem(library: Nvml, expected: int | None, ecc_errors: int) -> str | None:
    """What is wrong with the GPUs; None: nothing.

    Args:
        library: NVML.
        expected: how many must be there; None: any number.
        ecc_errors: so many uncorrected memory errors may each have.
    """
    try:
        library.start()
        devices = library.devices()
    except NvmlError as error:
        return f"the driver answers: {error}"
    if expected is not None and len(devices) < expected:
        return f"{len(devices)} of {expected} GPUs are there"
    for number, device in enumerate(devices):
        try:
            found = library.ecc_errors(device)
            if found > ecc_errors:
                return f"GPU {number} has had {found} uncorrected memory errors (ECC)"
            if library.remapping_failed(device):
                return f"GPU {number} has a broken row of memory that cannot be replaced"
            action = library.recovery_action(device)
        except NvmlError as error:
            return f"GPU {number}: {error}"
        if action is not None:
            return f"the driver asks for {action} (GPU {number})"
    return None
