"""What of the command line is taken, and how wrong values are named."""

import uuid
from typing import Any

import pytest
from torch.distributed.elastic.rendezvous import RendezvousParameters

from rendezvous_api.rendezvous_spec import RendezvousSpec
from rendezvous_handler.settings import Settings, differences, read_settings, requested_spec

# What torch makes of an empty id, and decimals that are none of these.
RANDOM = str(uuid.UUID("5f0c2f9e-6d0b-4c8c-8f4e-0d7f3b1c2a10").int)
LIKE_RANDOM = str(uuid.UUID("5f0c2f9e-6d0b-4c8c-0f4e-0d7f3b1c2a10").int)  # not the variant of RFC 4122
OF_TIME = str(uuid.UUID("5f0c2f9e-6d0b-1c8c-8f4e-0d7f3b1c2a10").int)


def read(endpoint: str = "train", run_id: str = "none", nodes: tuple[int, int] = (1, 1), **conf: Any) -> Settings:
    # torchrun adds timeout=900 itself.
    return read_settings(RendezvousParameters("kubernetes", endpoint, run_id, *nodes, None, timeout=900, **conf))


def test_defaults_are_those_of_c10d() -> None:
    settings = read()
    assert (settings.join_timeout, settings.last_call_timeout, settings.close_timeout) == (600, 30, 30)
    assert (settings.keep_alive_interval, settings.keep_alive_max_attempt, settings.read_timeout) == (5, 3, 60)
    assert settings.heartbeat_timeout == 5
    assert settings.create
    assert settings.node_id is None
    assert settings.store_ports == range(0, 1)


@pytest.mark.parametrize(
    ("variable", "conf", "expected"),
    [
        ("", {}, True),
        ("false", {}, False),
        ("true", {}, True),
        ("false", {"create": "true"}, True),
        ("true", {"create": "false"}, False),
    ],
)
def test_the_environment_counts_below_what_is_given(
    variable: str, conf: dict[str, Any], expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RDZV_CREATE", variable)
    settings = read(**conf)
    assert settings.create is expected
    if not expected:
        assert ("RDZV_CREATE" in settings.flags.without_create) is not bool(conf)


def test_the_budget_of_a_rendezvous_that_an_agent_creates_is_in_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert "restarts" not in requested_spec(read(nodes=(2, 4)))
    for variable, expected in (("20", 20), ("0", 0)):
        monkeypatch.setenv("RDZV_RESTARTS_MAX", variable)
        assert requested_spec(read(nodes=(2, 4)))["restarts"] == {"max": expected}
    for wrong in ("-1", "many", "1.5"):
        monkeypatch.setenv("RDZV_RESTARTS_MAX", wrong)
        with pytest.raises(ValueError, match=f"RDZV_RESTARTS_MAX '{wrong}': must be a number, 0 or more"):
            read()


@pytest.mark.parametrize(
    ("variable", "conf", "expected"),
    [
        ("", {}, ()),
        ("gpus", {}, ("gpus",)),
        ("gpus", {"health_check": "disk+own.checks:nic"}, ("disk", "own.checks:nic")),
        ("gpus", {"health_check": "none"}, ()),
    ],
)
def test_the_health_checks_are_given_or_in_the_environment(
    variable: str, conf: dict[str, Any], expected: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RDZV_HEALTH_CHECK", variable)
    assert read(**conf).health_checks == expected


def test_the_times_of_health_checks() -> None:
    settings = read()
    assert (settings.health_check_timeout, settings.health_retry_timeout) == (60, None)
    settings = read(health_check_timeout="5", health_retry_timeout="0")
    assert (settings.health_check_timeout, settings.health_retry_timeout) == (5, 0)
    wrong: tuple[tuple[dict[str, Any], str], ...] = (
        ({"health_check_timeout": "0"}, "--rdzv-conf health_check_timeout=0: must be a positive integer"),
        ({"health_retry_timeout": "-1"}, "--rdzv-conf health_retry_timeout=-1: must be a number of seconds, 0 or more"),
        ({"health_check": "gpu"}, "--rdzv-conf health_check=gpu: 'gpu' must be one of "),
    )
    for conf, message in wrong:
        with pytest.raises(ValueError, match=f"^{message}"):
            read(**conf)


def test_a_wrong_health_check_in_the_environment_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RDZV_HEALTH_CHECK", "gpus+a:b:c")
    with pytest.raises(ValueError, match=r"^RDZV_HEALTH_CHECK=gpus\+a:b:c: 'a:b:c' must be one of "):
        read()


def test_a_wrong_value_in_the_environment_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RDZV_CREATE", "never")
    with pytest.raises(ValueError, match="RDZV_CREATE never: must be true or false"):
        read()


@pytest.mark.parametrize(
    ("endpoint", "run_id", "expected"),
    [
        ("train", "none", (None, "train")),
        ("team-a/train", "none", ("team-a", "train")),
        ("", "my-run", (None, "my-run")),
        ("train", "Any Run_ID!", (None, "train")),
        ("t" * 63, "none", (None, "t" * 63)),
        ("train:29500", "none", (None, "train")),
        ("team-a/train:0", "none", ("team-a", "train")),
    ],
)
def test_endpoint(endpoint: str, run_id: str, expected: tuple[str | None, str]) -> None:
    settings = read(endpoint, run_id)
    assert (settings.namespace, settings.name) == expected


@pytest.mark.parametrize(
    "endpoint",
    [
        "a/b/c",
        "/train",
        "team/",
        "Train",
        "-train",
        "train-",
        "my.train",
        "t" * 64,
        "train\n",
        "team a/t",
    ],
)
def test_an_endpoint_that_is_no_name_is_refused(endpoint: str) -> None:
    with pytest.raises(ValueError, match="no legal name") as refused:
        read(endpoint)
    assert repr(endpoint) in str(refused.value)
    assert "NAMESPACE/NAME" in str(refused.value)


def test_the_port_of_an_endpoint_is_dropped_with_a_word(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "rendezvous_handler"):
        assert read("train:29500").name == "train"
    assert caplog.messages == ["the Rendezvous is train; the port 29500 of --rdzv-endpoint is not used"]


@pytest.mark.parametrize(
    ("endpoint", "key", "variable", "expected"),
    [
        ("10.0.0.1:29500", "train", "other", (None, "train")),
        ("10.0.0.1:29500", None, "team-a/train", ("team-a", "train")),
        ("other:29500", None, "train", (None, "train")),
        ("[fd00::1]:29500", None, "train", (None, "train")),
        ("", None, "train", (None, "train")),
        ("train", None, "other", (None, "train")),
        ("other", "team-a/train", None, ("team-a", "train")),
        ("train:29500", None, "", (None, "train")),
    ],
)
def test_who_names_the_rendezvous_where_a_launcher_writes_the_endpoint(
    endpoint: str,
    key: str | None,
    variable: str | None,
    expected: tuple[str | None, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if variable is not None:
        monkeypatch.setenv("RDZV_RENDEZVOUS", variable)
    conf: dict[str, Any] = {} if key is None else {"rendezvous": key}
    settings = read(endpoint, **conf)
    assert (settings.namespace, settings.name) == expected


@pytest.mark.parametrize(
    "endpoint",
    [
        "localhost:29500",
        "10.0.0.1:29500",
        "10.0.0.1",
        "train-0.svc.cluster.local:29500",
        "my.train",
        "[fd00::1]:29500",
        "fd00::1",
    ],
)
def test_the_address_of_a_host_is_refused_with_the_two_ways_to_name_the_rendezvous(endpoint: str) -> None:
    with pytest.raises(ValueError, match="It is the address of a host") as refused:
        read(endpoint)
    for part in (repr(endpoint), "--rdzv-conf=rendezvous=NAME", "RDZV_RENDEZVOUS=NAME"):
        assert part in str(refused.value)


@pytest.mark.parametrize(
    ("key", "variable", "named"),
    [("10.0.0.1", None, "--rdzv-conf rendezvous '10.0.0.1' "), (None, "My_Train", "RDZV_RENDEZVOUS 'My_Train' ")],
)
def test_a_wrong_name_is_shown_with_where_it_is_from(
    key: str | None, variable: str | None, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if variable is not None:
        monkeypatch.setenv("RDZV_RENDEZVOUS", variable)
    conf: dict[str, Any] = {} if key is None else {"rendezvous": key}
    with pytest.raises(ValueError, match="no legal name") as refused:
        read("host:29500", **conf)
    assert str(refused.value).startswith(named)


@pytest.mark.parametrize("run_id", ["none", "My_Run", "x" * 64, RANDOM])
def test_an_empty_endpoint_needs_a_run_id_that_is_a_name(run_id: str) -> None:
    with pytest.raises(ValueError, match="--rdzv-endpoint is empty"):
        read("", run_id)


@pytest.mark.parametrize(
    ("run_id", "expected"),
    [
        ("none", None),
        ("", None),
        ("r1", "r1"),
        (RANDOM, None),
        *((given, given) for given in (LIKE_RANDOM, OF_TIME, "42", "20300101", "9" * 39, "9" * 60, "٤٢", "-1")),
    ],
)
def test_run_id(run_id: str, expected: str | None) -> None:
    settings = read(run_id=run_id)
    assert settings.run_id == expected
    assert settings.raw_run_id == run_id


@pytest.mark.parametrize("run_id", ["a/b:c", "model=gpt,lr=0.1", "实验" * 126, "x" * 253])
def test_a_run_id_is_taken_as_it_is_where_it_can_be(run_id: str) -> None:
    assert read(run_id=run_id).run_id == run_id


@pytest.mark.parametrize("run_id", ["x" * 254, "实验" * 200, "a\nb", "a\x9fb", "a\udcffb"])
def test_a_run_id_that_no_rendezvous_can_have_is_shortened_and_hashed(run_id: str) -> None:
    settings = read(run_id=run_id)
    shown = settings.run_id
    assert shown is not None
    assert len(shown) <= 253
    assert shown.isprintable()
    assert shown != read(run_id=run_id + "'").run_id
    assert settings.raw_run_id == run_id


@pytest.mark.parametrize(
    "key",
    [
        "join_timeout",
        "last_call_timeout",
        "close_timeout",
        "heartbeat_timeout",
        "keep_alive_interval",
        "keep_alive_max_attempt",
        "read_timeout",
    ],
)
@pytest.mark.parametrize("value", ["0", "-1", "5.5", "soon", ""])
def test_a_number_that_is_none_is_named(key: str, value: str) -> None:
    with pytest.raises(ValueError, match="positive integer") as refused:
        read(**{key: value})  # type: ignore[arg-type]
    assert f"{key}={value}" in str(refused.value)


def test_numbers_come_as_text() -> None:
    assert read(join_timeout=" 7 ").join_timeout == 7


def test_unknown_keys_are_ignored() -> None:
    assert read(store_type="tcp", is_host="1", foo="bar").join_timeout == 600


@pytest.mark.parametrize(
    ("value", "expected"), [("29500", range(29500, 29501)), ("4000-4002", range(4000, 4003)), ("7-7", range(7, 8))]
)
def test_store_port(value: str, expected: range) -> None:
    assert read(store_port=value).store_ports == expected


@pytest.mark.parametrize("value", ["0", "65536", "5-4", "a", "1-", "-1", "1,2", "0-5"])
def test_a_store_port_that_is_none_is_named(value: str) -> None:
    with pytest.raises(ValueError, match=f"store_port={value}"):
        read(store_port=value)


@pytest.mark.parametrize(
    ("value", "expected"), [("false", False), ("0", False), ("No", False), ("true", True), ("1", True)]
)
def test_create(value: str, expected: bool) -> None:
    assert read(create=value).create is expected


def test_a_create_that_is_none_is_named() -> None:
    with pytest.raises(ValueError, match="create=maybe"):
        read(create="maybe")


SPEC = RendezvousSpec(min_nodes=2, max_nodes=4)


@pytest.mark.parametrize(
    ("nodes", "conf", "expected"),
    [
        ((1, 1), {}, []),
        ((2, 4), {}, []),
        ((2, 3), {}, ["--nnodes=2:3, Rendezvous 2:4"]),
        ((1, 1), {"join_timeout": "600"}, []),
        ((1, 1), {"join_timeout": "9", "close_timeout": "8"}, ["join_timeout=9, Rendezvous 600"]),
        (
            (3, 4),
            {"keep_alive_interval": "1", "keep_alive_max_attempt": "9", "last_call_timeout": "1"},
            [
                "--nnodes=3:4, Rendezvous 2:4",
                "last_call_timeout=1, Rendezvous 30",
                "keep_alive_interval=1, Rendezvous 5",
                "keep_alive_max_attempt=9, Rendezvous 3",
            ],
        ),
    ],
)
def test_differences(nodes: tuple[int, int], conf: dict[str, str], expected: list[str]) -> None:
    assert differences(read(nodes=nodes, **conf), SPEC) == expected


@pytest.mark.parametrize(
    ("conf", "groups"),
    [
        ({}, {}),
        ({"join_timeout": 77, "read_timeout": 5}, {"timeouts": {"joinSeconds": 77}}),
        ({"last_call_timeout": 30}, {"timeouts": {"lastCallSeconds": 30}}),
        ({"keep_alive_interval": 7}, {"heartbeat": {"intervalSeconds": 7}}),
        # 41 heartbeats, 5 s apart, are more than the 120 s after which a silent member is lost by default.
        ({"keep_alive_max_attempt": 41}, {"heartbeat": {"maxMissed": 41}, "timeouts": {"suspectSeconds": 205}}),
    ],
)
def test_an_agent_writes_into_a_spec_only_what_is_given(conf: dict[str, Any], groups: dict[str, Any]) -> None:
    assert requested_spec(read(nodes=(2, 4), **conf)) == {"minNodes": 2, "maxNodes": 4, **groups}
