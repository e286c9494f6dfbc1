"""Rule "hold-outs": which names are those of one node."""

import pytest

from rendezvous_operator.core.node_names import Place, place_in_job, place_of


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("train.job-3-abc12", Place("train.job", 3, None)),
        ("train.job-3-abc12.1", Place("train.job", 3, ".1")),
        ("train.my-job-2-10-zzzzz", Place("train.my-job-2", 10, None)),
        ("train.set-3", None),
        ("train.set-7c9fd-abc12", None),
        ("train.job-3-ABC12", None),
        ("train.job-3-abc123", None),
    ],
)
def test_the_name_of_a_pod_of_an_indexed_job_has_its_place(name: str, place: Place | None) -> None:
    assert place_in_job(name) == place


def test_pods_of_one_index_have_one_place() -> None:
    assert place_in_job("train.job-3-abc12") == place_in_job("train.job-3-xyz98")
    assert place_in_job("train.job-3-abc12") != place_in_job("train.job-4-abc12")
    assert place_in_job("train.job-3-abc12") != place_in_job("train.job-3-abc12.1")


@pytest.mark.parametrize(("pod_index", "known"), [(3, True), (4, False), (None, False)])
def test_a_name_counts_only_with_the_index_of_the_pod(pod_index: int | None, known: bool) -> None:
    assert (place_of("train.job-3-abc12", pod_index) is not None) is known
