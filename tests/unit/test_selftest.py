"""The pure pieces of kube-rendezvous-selftest."""

import subprocess
import sys

import pytest
from tests.support.without_torch import WITHOUT_TORCH

from rendezvous_api.meta import ObjectMeta
from rendezvous_api.rendezvous import Member, Rendezvous, RendezvousStatus, RoundRecord
from rendezvous_api.rendezvous_spec import RendezvousSpec
from rendezvous_handler.selftest.__main__ import main
from rendezvous_handler.selftest.member import runs_without


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
    code = WITHOUT_TORCH + "import rendezvous_handler.selftest.__main__ as s; s.main(['--help'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "usage: kube-rendezvous-selftest" in done.stdout
