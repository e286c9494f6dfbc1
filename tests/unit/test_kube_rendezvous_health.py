"""The ready-made health checks, with a driver, a daemon and a torch that are played."""

import ctypes
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from kube_rendezvous import health
from rendezvous_handler.health import nvhcd, nvml


class Gpu(SimpleNamespace):
    """What the driver says of one GPU. A code is an answer in the place of the number."""

    handle = 0
    ecc: int | None = 0
    failed: int | None = 0
    action: int | None = 0
    ecc_code = 0


class Library:
    """libnvidia-ml as ctypes loads it, with GPUs of the test."""

    def __init__(self, *gpus: Gpu, init: int = 0, without: Sequence[str] = ()) -> None:
        self.gpus = gpus
        self.init = init
        self.functions = {
            "nvmlInit_v2": self.start,
            "nvmlDeviceGetCount_v2": self.count,
            "nvmlDeviceGetHandleByIndex_v2": self.device,
            "nvmlDeviceGetTotalEccErrors": self.ecc_errors,
            "nvmlDeviceGetRemappedRows": self.remapped_rows,
            "nvmlDeviceGetFieldValues": self.field_values,
            "nvmlErrorString": lambda code: f"error {code}".encode(),
        }
        self.without = without

    def __getattr__(self, name: str) -> Any:
        if name in self.without or name not in self.functions:
            raise AttributeError(name)
        return self.functions[name]

    def start(self) -> int:
        return self.init

    def count(self, count: Any) -> int:
        count._obj.value = len(self.gpus)
        return 0

    def device(self, number: ctypes.c_uint, device: Any) -> int:
        device._obj.value = number.value + 1
        return self.gpus[number.value].handle

    def ecc_errors(self, device: ctypes.c_void_p, kind: int, counter: int, found: Any) -> int:
        assert (kind, counter) == (1, 0), "uncorrected, since the driver was loaded"
        gpu = self._gpu(device)
        if gpu.ecc_code or gpu.ecc is None:
            return gpu.ecc_code or 3
        found._obj.value = gpu.ecc
        return 0

    def remapped_rows(self, device: ctypes.c_void_p, *rows: Any) -> int:
        failed = self._gpu(device).failed
        if failed is None:
            return 3
        rows[3]._obj.value = failed
        return 0

    def field_values(self, device: ctypes.c_void_p, count: int, asked: Any) -> int:
        action = self._gpu(device).action
        assert (count, asked._obj.field) == (1, 230)
        asked._obj.code = 3 if action is None else 0
        asked._obj.value.number = action or 0
        return 0

    def _gpu(self, device: ctypes.c_void_p) -> Gpu:
        assert device.value is not None
        return self.gpus[device.value - 1]


@pytest.mark.parametrize(
    ("gpus", "expected", "found"),
    [
        ([Gpu(), Gpu()], 2, None),
        ([Gpu(), Gpu()], None, None),
        ([Gpu(), Gpu()], 1, None),
        ([Gpu()], 2, "1 of 2 GPUs are there"),
        ([Gpu(), Gpu(handle=4)], 2, "1 of 2 GPUs are there"),
        ([Gpu(), Gpu(handle=15)], 2, "the driver answers: GPU 1: error 15"),
        ([Gpu(), Gpu(ecc=3)], 2, "GPU 1 has had 3 uncorrected memory errors (ECC)"),
        ([Gpu(ecc_code=15)], 1, "GPU 0: error 15"),
        ([Gpu(failed=1)], 1, "GPU 0 has a broken row of memory that cannot be replaced"),
        ([Gpu(action=1)], 1, "the driver asks for a reset of the GPU (GPU 0)"),
        ([Gpu(), Gpu(action=2)], 2, "the driver asks for a reboot of the machine (GPU 1)"),
        ([Gpu(action=9)], 1, "the driver asks for recovery action 9 (GPU 0)"),
        ([Gpu(ecc=None, failed=None, action=None)], 1, None),
    ],
)
def test_what_is_wrong_with_gpus(gpus: list[Gpu], expected: int | None, found: str | None) -> None:
    assert nvml.problem(nvml.Nvml(Library(*gpus)), expected, 0) == found


def test_a_driver_that_does_not_answer() -> None:
    assert nvml.problem(nvml.Nvml(Library(init=9)), None, 0) == "the driver answers: error 9"


def test_some_memory_errors_may_be_allowed() -> None:
    assert nvml.problem(nvml.Nvml(Library(Gpu(ecc=3))), 1, 3) is None
    assert nvml.problem(nvml.Nvml(Library(Gpu(ecc=3))), 1, 2) is not None


def test_a_driver_without_a_function_knows_nothing_of_it() -> None:
    library = Library(Gpu(failed=1, action=1), without=("nvmlDeviceGetRemappedRows", "nvmlDeviceGetFieldValues"))
    assert nvml.problem(nvml.Nvml(library), 1, 0) is None


def test_the_structure_is_as_long_as_in_the_header() -> None:
    assert ctypes.sizeof(nvml._FieldValue) == 40


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"NVIDIA_VISIBLE_DEVICES": "all"}, None),
        ({"NVIDIA_VISIBLE_DEVICES": "void"}, None),
        ({"NVIDIA_VISIBLE_DEVICES": "MIG-1,MIG-2"}, None),
        ({"NVIDIA_VISIBLE_DEVICES": "0,1, 2"}, 3),
        ({"NVIDIA_VISIBLE_DEVICES": "GPU-8f,GPU-9a"}, 2),
        ({"NVIDIA_VISIBLE_DEVICES": "GPU-8f", "RDZV_HEALTH_GPUS": "8"}, 8),
    ],
)
def test_how_many_gpus_are_expected(
    environment: dict[str, str], expected: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NVIDIA_VISIBLE_DEVICES", "RDZV_HEALTH_GPUS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert health._expected() == expected


def test_gpus_without_a_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvml, "LIBRARY", "libno-such.so.1")
    monkeypatch.delenv("NVIDIA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delenv("RDZV_HEALTH_GPUS", raising=False)
    assert health.gpus() is None
    assert health.gpus(0) is None
    found = health.gpus(8)
    assert found is not None
    assert found.startswith("8 GPUs are expected, and the driver cannot be asked: libno-such.so.1")
    monkeypatch.setenv("RDZV_HEALTH_GPUS", "many")
    with pytest.raises(ValueError, match=r"^RDZV_HEALTH_GPUS='many' is no number$"):
        health.gpus()


def test_gpus_asks_the_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvml.Nvml, "load", classmethod(lambda cls: cls(Library(Gpu(ecc=1)))))
    assert health.gpus(1) == "GPU 0 has had 1 uncorrected memory errors (ECC)"
    assert health.gpus(1, ecc_errors=1) is None


def test_a_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert health.disk([str(tmp_path)], free_gib=0) is None
    assert [*tmp_path.iterdir()] == []
    found = health.disk([str(tmp_path)], free_gib=10**9)
    assert found is not None
    assert found.startswith(f"{tmp_path} has ")
    assert found.endswith(" GiB free, and needs 1e+09")
    gone = tmp_path / "gone"
    assert health.disk([str(tmp_path), str(gone)], 0) == f"{gone} cannot be written: No such file or directory"
    monkeypatch.setenv("RDZV_HEALTH_DISK_PATHS", f"{tmp_path}:{gone}")
    monkeypatch.setenv("RDZV_HEALTH_DISK_GIB", "0")
    assert health.disk() == f"{gone} cannot be written: No such file or directory"
    monkeypatch.setenv("RDZV_HEALTH_DISK_PATHS", "")
    assert health.disk() is None
    monkeypatch.setenv("RDZV_HEALTH_DISK_GIB", "1e9")
    assert health.disk() is not None


class Tensor:
    """Numbers on one GPU that are all the same, but for some that are wrong."""

    def __init__(self, value: float, wrong: int = 0) -> None:
        self.value = value
        self.wrong = wrong

    def __ne__(self, other: object) -> Any:
        count = (1 << 20) if self.value != other else self.wrong
        return SimpleNamespace(sum=lambda: SimpleNamespace(item=lambda: count))


def played_torch(gpus: int, wrong: int = 0) -> Any:
    def all_reduce(tensors: list[Tensor]) -> None:
        total = sum(tensor.value for tensor in tensors)
        for tensor in tensors:
            tensor.value = total
        tensors[-1].wrong = wrong

    cuda = SimpleNamespace(device_count=lambda: gpus, nccl=SimpleNamespace(all_reduce=all_reduce))
    return SimpleNamespace(cuda=cuda, full=lambda shape, value, device: Tensor(value))


def test_an_all_reduce(monkeypatch: pytest.MonkeyPatch) -> None:
    for gpus in (0, 1, 8):
        monkeypatch.setitem(sys.modules, "torch", played_torch(gpus))
        assert health.allreduce() is None
    monkeypatch.setitem(sys.modules, "torch", played_torch(4, wrong=7))
    assert health.allreduce() == "GPU 3 has 7 of 1048576 wrong numbers after an all-reduce of 4 GPUs"


def answer(success: bool = True, code: int = 0, output: str = "", error: str = "") -> bytes:
    """A HealthCheckResponse as protobuf writes it: without what has the default value."""
    message = b"\x08\x01" if success else b""
    for key, value in ((0x10, code & (1 << 64) - 1),):
        if value:
            message += bytes([key])
            while value > 127:
                message += bytes([value & 127 | 128])
                value >>= 7
            message += bytes([value])
    for key, text in ((0x1A, output.encode()), (0x22, error.encode())):
        if text:
            length = bytes([len(text)]) if len(text) < 128 else bytes([len(text) & 127 | 128, len(text) >> 7])
            message += bytes([key]) + length + text
    return message


LONG = "x" * 300


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (answer(output='{"fail_count": 0}'), None),
        (answer(output='{"fail_count": 0, "note": "' + LONG + '"}'), None),
        (
            answer(output='{"fail_count": 2, "failed_checks": ["ib", "nv"]}'),
            "2 checks of the daemon have failed: ['ib', 'nv']",
        ),
        (answer(output="{}"), "the daemon's answer has no fail_count: {}"),
        (answer(output="[]"), "the daemon's answer has no fail_count: []"),
        (answer(output="all is well"), "the daemon's answer has no fail_count: all is well"),
        (answer(), "the daemon's answer has no fail_count: "),
        (answer(False, 3, error="boom"), "the daemon's script has failed (exit code 3): boom"),
        (answer(False, -1, output="{}"), "the daemon's script has failed (exit code -1): {}"),
        (b"", "the daemon's script has failed (exit code 0): "),
        (b"\x99\xff\xff", "the daemon's script has failed (exit code 0): "),
    ],
)
def test_what_the_daemon_says(said: bytes, found: str | None) -> None:
    assert nvhcd.found_in(said) == found


class RpcError(Exception):
    """That of grpc."""


class Channel:
    """A daemon of the test behind grpc."""

    def __init__(self, target: str, answers: bytes | None) -> None:
        assert target.startswith("unix:///")
        self.answers = answers

    def __enter__(self) -> "Channel":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def unary_unary(self, method: str) -> Any:
        assert method == "/nvhcd.HealthCheckService/RunHealthCheck"

        def call(request: bytes, timeout: float) -> bytes:
            assert request == b"\x0a\x0a--no-slurm"
            assert timeout == 55
            if self.answers is None:
                raise RpcError("unavailable")
            return self.answers

        return call


@pytest.mark.parametrize("form", ["unix://{}", "{}"])
def test_the_daemon_is_asked(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    socket = tmp_path / "nvhcd.sock"
    endpoint = form.format(socket)
    monkeypatch.setitem(sys.modules, "grpc", None)
    assert health.nvhcd(endpoint) is None, "where there is no socket, there is no daemon"
    socket.touch()
    found = health.nvhcd(endpoint)
    assert found is not None
    assert "the package grpcio, which is needed to ask it, is missing" in found
    grpc = ModuleType("grpc")
    monkeypatch.setitem(sys.modules, "grpc", grpc)
    for answers, expected in (
        (answer(output='{"fail_count": 0}'), None),
        (answer(output="{}"), "the daemon's answer has no fail_count: {}"),
        (None, None),
    ):
        grpc.__dict__.update(
            RpcError=RpcError, insecure_channel=lambda target, answers=answers: Channel(target, answers)
        )
        assert health.nvhcd(endpoint) == expected


def test_where_the_daemon_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RDZV_HEALTH_NVHCD", f"unix://{tmp_path}/other.sock")
    assert health.nvhcd() is None
    assert f"there is no {tmp_path}/other.sock" in capsys.readouterr().out
    with pytest.raises(ValueError, match=r"^'localhost:50051' must be unix://PATH$"):
        health.nvhcd("localhost:50051")
