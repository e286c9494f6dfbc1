"""What users import: `kube_rendezvous` and `kube_rendezvous.worker`."""

import importlib
import importlib.metadata
import inspect
import subprocess
import sys

import pytest
from tests.support.without_torch import WITHOUT_TORCH

import kube_rendezvous
from kube_rendezvous import worker

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
    assert worker.__all__ == ["round"]
    assert importlib.import_module("kube_rendezvous.worker") is worker
