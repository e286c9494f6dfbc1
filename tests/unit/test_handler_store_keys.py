"""The names of keys in a ConfigMap, and the values of queues."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rendezvous_handler.operatorless.keys import (
    KEY,
    MAX_NAME_LENGTH,
    QUEUE,
    Rounds,
    decode,
    encode,
    join,
    split,
)

# A character takes up to 4 bytes, and each of them 3 characters of the name: longer keys may be refused.
KEYS = st.text(max_size=20)
LEGAL = re.compile(r"[-._a-zA-Z0-9]+")


@given(KEYS)
def test_a_key_can_be_read_back_and_its_name_is_legal(key: str) -> None:
    for kind in (KEY, QUEUE):
        name = encode(key, kind)
        assert LEGAL.fullmatch(name)
        assert not name.startswith("..")
        assert decode(name) == key


@given(KEYS, KEYS)
def test_no_two_keys_have_one_name_and_names_begin_alike_exactly_if_keys_do(one: str, other: str) -> None:
    assert (encode(one) == encode(other)) == (one == other)
    assert encode(one).startswith(encode(other)) == one.startswith(other)
    assert encode(one) != encode(other, QUEUE)


def test_names_can_be_read_by_people() -> None:
    assert encode("torch.rendezvous.run-1.3/MASTER_ADDR") == "k.torch.rendezvous.run-1.3_2fMASTER_5fADDR"


def test_a_key_that_is_too_long_is_named_with_its_length() -> None:
    assert len(encode("a" * (MAX_NAME_LENGTH - 2))) == MAX_NAME_LENGTH
    with pytest.raises(ValueError, match=r"the key 'aaa.*/' is too long: it takes 256 characters .* may have 253"):
        encode("a" * (MAX_NAME_LENGTH - 2) + "/")


@pytest.mark.parametrize(
    ("key", "number"),
    [
        ("torch.rendezvous.run_1.12/torchelastic/role_info/0", 12),
        ("torch.rendezvous.run_1.0/x", 0),
        ("torch.rendezvous.run_1.12", None),
        ("torch.rendezvous.run_1/x", None),
        ("torch.rendezvous.run_1.x.1/x", None),
        ("torch.rendezvous.run_12.1/x", None),
        ("other/torch.rendezvous.run_1.1/x", None),
    ],
)
def test_the_round_of_a_key(key: str, number: int | None) -> None:
    assert Rounds("torch.rendezvous.run_1").number(encode(key)) == number


# What torch puts behind the prefix (torch/distributed/elastic/agent/server/api.py, elastic/utils/store.py).
LONGEST_REST = ".1000000/torchelastic/agent/terminal_state/num_members/rank_tracing"


@pytest.mark.parametrize(
    "run_id", ["a/b:c", "实验" * 25, "model=gpt2-xl,optimizer.lr=3e-4,data=fineweb,seed=" * 3, "_" * 2000, "é" * 253]
)
def test_a_run_id_may_be_any_text(run_id: str) -> None:
    prefix = f"torch.rendezvous.{run_id}"
    rounds = Rounds(prefix)
    for rest in (LONGEST_REST, ".3/MASTER_ADDR"):
        name = encode(rounds.shorten(prefix + rest), QUEUE)
        assert len(name) <= MAX_NAME_LENGTH
        assert rounds.restore(decode(name)) == prefix + rest
    assert rounds.number(encode(rounds.shorten(f"{prefix}.12/x"))) == 12
    assert rounds.shorten("other/key") == "other/key"


@given(st.lists(st.binary(max_size=300)))
def test_a_queue_can_be_read_back(items: list[bytes]) -> None:
    assert split(join(items)) == items
    assert join(items[:1]) + join(items[1:]) == join(items)
