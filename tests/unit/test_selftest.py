"""The pure pieces of kube-rendezvous-selftest."""

import inspect
import subprocess
import sys

import pytest
from tests.without_torch import WITHOUT_TORCH
from torch.distributed.elastic import rendezvous as torch_rendezvous

from rendezvous_api.meta import ObjectMeta
from rendezvous_api.rendezvous import Member, Rendezvous, RendezvousSpec, RendezvousStatus, RoundRecord
from rendezvous_handler import torch_errors
from rendezvous_handler.selftest import main, runs_without


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "required: --rendezvous"),
        (["--rendezvous=Not_A_Name"], "--rendezvous 'Not_A_Name' is no legal name"),
        (["--rendezvous="], "--rendezvous is empty"),
        (["--rendezvous=train", "--nodes=0"], "--nodes: 0 must be at least 1"),
        (["--rendezvous=train", "--timeout-seconds=soon"], "--timeout-seconds"),
        (["--rendezvous=train", "--store-port=http"], "--store-port http: must be a port"),
    ],
)
def test_wrong_usage(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert says in error
    assert "--rdzv" not in error


@pytest.mark.parametrize(
    ("history", "members", "expected"),
    [
        ((), (), False),
        ((RoundRecord(1, "r", 2, "t"),), (), True),
        ((RoundRecord(1, "r", 2, "t"),), (Member("train.me", "aaaaaaaa", 1, 0),), False),
        ((RoundRecord(1, "r", 2, "t", reason="RunSucceeded"),), (), False),
    ],
)
def test_a_round_that_runs_without_this_member(
    history: tuple[RoundRecord, ...], members: tuple[Member, ...], expected: bool
) -> None:
    status = RendezvousStatus(history=history, participants=members)
    rendezvous = Rendezvous(ObjectMeta("train"), RendezvousSpec(2, 2), status)
    assert runs_without(rendezvous, "train.me") is expected


def test_it_runs_where_there_is_no_torch() -> None:
    code = WITHOUT_TORCH + "import rendezvous_handler.selftest as s; s.main(['--help'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "usage: kube-rendezvous-selftest" in done.stdout


def test_errors_without_torch_are_those_of_torch_by_name_and_kind() -> None:
    code = WITHOUT_TORCH + (
        "from rendezvous_handler import torch_errors as e\n"
        "for name in e.__all__: print(name, ' '.join(base.__name__ for base in getattr(e, name).__mro__))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    without = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    with_torch = {
        name: " ".join(base.__name__ for base in inspect.getmro(getattr(torch_rendezvous, name)))
        for name in torch_errors.__all__
    }
    assert without == with_torch


def test_a_torch_that_cannot_be_loaded_is_no_missing_torch() -> None:
    code = "import sys; sys.modules['torch.distributed'] = None\nimport rendezvous_handler.torch_errors"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "torch.distributed" in done.stderr
