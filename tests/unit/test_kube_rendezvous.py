"""What users import: `kube_rendezvous` and `kube_rendezvous.worker`."""

import importlib
import importlib.metadata
import inspect
import subprocess
import sys
from typing import Any

import pytest
from tests.support.without_torch import WITHOUT_TORCH

import kube_rendezvous
from kube_rendezvous import worker
from rendezvous_api.meta import ObjectMeta
from rendezvous_api.rendezvous import Rendezvous, RendezvousStatus
from rendezvous_api.rendezvous_spec import RendezvousSpec
from rendezvous_handler.agent.rendezvous_watch import WatchState
from rendezvous_handler.join.answer import fence_of

HEAVY = ("torch", "kubernetes", "urllib3", "rendezvous_handler")


@pytest.mark.parametrize("module", ["kube_rendezvous", "kube_rendezvous.worker"])
def test_an_import_loads_the_standard_library_alone(module: str) -> None:
    code = f"import sys, {module}; print([name for name in {HEAVY} if name in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_all_names_are_there_and_documented() -> None:
    for name in kube_rendezvous.__all__:
        found = getattr(kube_rendezvous, name)
        if name != "__version__":
            assert inspect.getdoc(found), name
    assert set(kube_rendezvous.__all__) == {*kube_rendezvous._WHERE, "__version__"}
    assert dir(kube_rendezvous) == sorted(kube_rendezvous.__all__)
    with pytest.raises(AttributeError, match="'kube_rendezvous' has no attribute 'Cluster'"):
        _ = kube_rendezvous.Cluster


def test_the_version_is_that_of_the_distribution() -> None:
    assert kube_rendezvous.__version__ == importlib.metadata.version("kube-rendezvous")


def test_the_client_needs_no_torch() -> None:
    code = WITHOUT_TORCH + "from kube_rendezvous import Client, connect"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_worker_knows_its_round(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RDZV_ROUND", raising=False)
    assert worker.round() is None
    monkeypatch.setenv("RDZV_ROUND", "7")
    assert worker.round() == 7
    monkeypatch.setenv("RDZV_ROUND", "seven")
    with pytest.raises(ValueError, match=r"^RDZV_ROUND='seven' is no integer$"):
        worker.round()
    assert worker.__all__ == ["FencingToken", "fencing_token", "round"]
    assert importlib.import_module("kube_rendezvous.worker") is worker


def test_a_worker_knows_the_token_of_its_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RDZV_FENCE", raising=False)
    assert worker.fencing_token() is None
    text = fence_of(rendezvous("2026-11-30T12:00:05Z", 7), "0a1b2c3d")
    monkeypatch.setenv("RDZV_FENCE", text)
    token = worker.fencing_token()
    assert token == worker.FencingToken("2026-11-30T12:00:05Z", 7, "0a1b2c3d")
    assert str(token) == text == "2026-11-30T12:00:05Z.0000000007.0a1b2c3d"
    for wrong in ("", "7", text[:-1], f"{text}0", f" {text}", text.upper()):
        monkeypatch.setenv("RDZV_FENCE", wrong)
        with pytest.raises(ValueError, match=r"is no fencing token$"):
            worker.fencing_token()


def test_tokens_are_compared_by_creation_and_round_and_are_equal_only_if_all_is() -> None:
    def token(created: str, number: int, members: str = "0a1b2c3d") -> worker.FencingToken:
        return worker.FencingToken(f"2026-11-30T{created}Z", number, members)

    ordered = [token("09:59:59", 12), token("10:00:00", 9), token("10:00:00", 10), token("10:00:01", 1)]
    for place, lower in enumerate(ordered):
        for higher in ordered[place + 1 :]:
            assert lower < higher
            assert lower <= higher
            assert higher > lower
            assert not higher <= lower
            assert str(lower) < str(higher)
    mine, twin = token("10:00:00", 9, "00000000"), token("10:00:00", 9, "ffffffff")
    assert mine <= token("10:00:00", 9, "00000000")
    # After a restore of etcd one number may be given out twice. Neither may write over what the other has written.
    assert not mine <= twin
    assert not twin <= mine
    assert mine != twin


def rendezvous(created: str, number: int) -> Rendezvous:
    metadata = ObjectMeta("train", uid="uid", creation_timestamp=created)
    return Rendezvous(metadata, RendezvousSpec(1, 2), RendezvousStatus(round=number))


def digest(found: dict[str, Any]) -> str:
    status = found["status"]
    seen = RendezvousStatus(waiting_nodes=status.get("waitingNodes", 0))
    of_uid = Rendezvous(ObjectMeta("train", uid=found["metadata"]["uid"]), RendezvousSpec(1, 2), seen)
    return WatchState(of_uid, participants=status["participants"]).members_digest


MEMBER = {"name": "train.a", "incarnation": "first", "attempt": 3, "rank": 0}


@pytest.mark.parametrize(
    "other",
    [
        {"metadata": {"uid": "another"}, "status": {"participants": [MEMBER]}},
        {"metadata": {"uid": "uid"}, "status": {"participants": [{**MEMBER, "name": "train.b"}]}},
        {"metadata": {"uid": "uid"}, "status": {"participants": [{**MEMBER, "incarnation": "second"}]}},
        {"metadata": {"uid": "uid"}, "status": {"participants": [{**MEMBER, "attempt": 4}]}},
        {"metadata": {"uid": "uid"}, "status": {"participants": [MEMBER, {**MEMBER, "name": "train.b", "rank": 1}]}},
    ],
)
def test_two_rounds_of_one_number_have_different_digests(other: dict[str, Any]) -> None:
    found = {"metadata": {"uid": "uid"}, "status": {"participants": [MEMBER], "waitingNodes": 0}}
    later = {**found, "status": {"participants": [MEMBER], "waitingNodes": 1}}
    assert digest(found) == digest(later) != digest(other)
    assert len(digest(found)) == 8
