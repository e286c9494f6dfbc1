"""Which names are those of one node (rule "hold-outs")."""

import pytest

from rendezvous_api.node_names import Place, is_same_node, place_in_job, place_of


def test_a_pod_of_an_indexed_job_stands_for_its_place() -> None:
    place = Place("run.train", 3, None)
    assert place_in_job("run.train-3-abcde") == place_in_job("run.train-3-x2z9k") == place
    assert place_of("run.train-3-abcde", 3) == place


@pytest.mark.parametrize(
    "other", ["run.train-2-abcde", "run.other-3-abcde", "run.train-3-abcde.1", "other.train-3-abcde"]
)
def test_another_place(other: str) -> None:
    assert place_in_job(other) not in (None, place_in_job("run.train-3-abcde"))


@pytest.mark.parametrize(
    ("name", "pod_index"),
    [
        ("run.train-abcde", None),
        ("run.deploy-7965-abcde", None),
        ("run.set-0-10000", 10000),
        ("run.train-3", 3),
        ("host-3-abcde", None),
        ("run.train-3-abcdef", 3),
    ],
)
def test_other_names_stand_for_no_place(name: str, pod_index: int | None) -> None:
    assert place_of(name, pod_index) is None


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (("run.a", None), ("run.a", None), True),
        (("run.a", None), ("run.b", None), False),
        (("run.train-3-abcde", 3), ("run.train-3-x2z9k", 3), True),
        (("run.train-3-abcde", 3), ("run.train-2-x2z9k", 2), False),
        # Of a Deployment: the name only looks like one of an indexed Job.
        (("run.train-3-abcde", None), ("run.train-3-x2z9k", None), False),
        (("run.train-3-abcde", 3), ("run.train-3-x2z9k", None), False),
    ],
)
def test_a_pod_that_replaces_another_one_is_the_same_node(
    one: tuple[str, int | None], other: tuple[str, int | None], same: bool
) -> None:
    assert is_same_node(*one, *other) is is_same_node(*other, *one) is same
