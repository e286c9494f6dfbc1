"""The settings of the operator, and that they are documented."""

import base64
import re
from pathlib import Path

import pytest

from rendezvous_operator.options import OPTIONS, parse

ROOT = Path(__file__).parents[2]
NO_POD = Path("/nonexistent/namespace")


def error(capsys: pytest.CaptureFixture[str], *arguments: str, environment: dict[str, str] | None = None) -> str:
    with pytest.raises(SystemExit) as exit_:
        parse(arguments, environment or {}, NO_POD)
    assert exit_.value.code == 2
    return capsys.readouterr().err.splitlines()[-1]


def test_without_settings_one_operator_serves_everything_and_listens_nowhere() -> None:
    options = parse([], {})
    assert (options.namespace, options.leader_elect, options.http_port, options.verbose) == (None, False, 0, False)
    assert (options.timing.lease_duration, options.timing.renew_deadline, options.timing.retry_period) == (15, 10, 2)


def test_a_flag_beats_its_variable_and_that_beats_the_default() -> None:
    environment = {"KUBE_RENDEZVOUS_HTTP_PORT": "8081", "KUBE_RENDEZVOUS_LOG_FORMAT": "json"}
    options = parse(["--http-port=8080"], environment)
    assert (options.http_port, options.log_format) == (8080, "json")


def test_every_option_can_be_a_variable() -> None:
    values = {option.variable: "7" if isinstance(option.default, int) else "text" for option in OPTIONS}
    values |= {"KUBE_RENDEZVOUS_LEADER_ELECT_LEASE_DURATION_SECONDS": "9"}
    values |= {"KUBE_RENDEZVOUS_LEADER_ELECT_RETRY_PERIOD_SECONDS": "3"}
    values |= {"KUBE_RENDEZVOUS_VERBOSE": "true", "KUBE_RENDEZVOUS_LEADER_ELECT": "TRUE"}
    values |= {"KUBE_RENDEZVOUS_TRAIN_JOBS": "1", "KUBE_RENDEZVOUS_MACHINES": "1"}
    options = vars(parse([], values))
    assert all(options[option.field] != option.default for option in OPTIONS if option.field != "log_format")


def test_an_empty_variable_is_none() -> None:
    assert parse([], {"KUBE_RENDEZVOUS_NAMESPACE": "", "KUBE_RENDEZVOUS_HTTP_PORT": ""}) == parse([], {})


@pytest.mark.parametrize(("text", "value"), [("true", True), ("1", True), ("false", False), ("0", False)])
def test_yes_or_no(text: str, value: bool) -> None:
    assert parse([], {"KUBE_RENDEZVOUS_VERBOSE": text}).verbose is value
    assert parse([f"--verbose={text}"], {}).verbose is value
    assert parse(["--verbose", "--http-port", "1"], {}).verbose is True
    assert parse(["--verbose=false"], {"KUBE_RENDEZVOUS_VERBOSE": "true"}).verbose is False


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--http-port", "65536"),
        ("--http-port", "-1"),
        ("--http-port", "http"),
        ("--log-format", "yaml"),
        ("--leader-elect", "perhaps"),
        ("--leader-elect-retry-period-seconds", "0"),
        ("--leader-elect-lease-duration-seconds", "1.5"),
        ("--leader-elect-lease-name", "A B"),
        ("--namespace", "team,other"),
        ("--namespace", ""),
    ],
)
def test_a_bad_value_is_refused_with_the_name_and_the_value(
    flag: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    message = error(capsys, f"{flag}={value}")
    assert flag in message
    assert repr(value) in message
    if value:
        variable = next(option.variable for option in OPTIONS if option.flag == flag)
        message = error(capsys, environment={variable: value})
        assert variable in message
        assert repr(value) in message


def test_times_that_do_not_fit_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    message = error(capsys, "--leader-elect-renew-deadline-seconds=15")
    assert "--leader-elect-lease-duration-seconds (15) must be more than" in message
    message = error(capsys, "--leader-elect-retry-period-seconds=5")
    assert "(10), and that more than twice --leader-elect-retry-period-seconds (5)" in message
    assert parse(["--leader-elect-retry-period-seconds=4"], {}).timing.retry_period == 4


def test_the_lease_is_in_the_namespace_of_the_pod(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = tmp_path / "namespace"
    told.write_text("kube-rendezvous\n")
    assert parse(["--leader-elect"], {}, told).leader_elect_lease_namespace == "kube-rendezvous"
    given = parse(["--leader-elect", "--leader-elect-lease-namespace=other"], {}, told)
    assert given.leader_elect_lease_namespace == "other"
    told.unlink()  # a volume made by hand need not have it
    claims = base64.urlsafe_b64encode(b'{"sub": "system:serviceaccount:operators:default"}').decode()
    (tmp_path / "token").write_text(f"header.{claims}.signature\n")
    assert parse(["--leader-elect"], {}, told).leader_elect_lease_namespace == "operators"
    assert "--leader-elect-lease-namespace must be given" in error(capsys, "--leader-elect")


def test_an_unknown_flag_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert "--leader" in error(capsys, "--leader")


def test_the_version_can_be_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        parse(["--version"], {})
    assert exit_.value.code == 0
    assert re.fullmatch(r"kube-rendezvous-operator \d+\.\d+\.\d+\S*\n", capsys.readouterr().out)


def test_the_reference_lists_every_option_as_it_is() -> None:
    text = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    section = text.partition("\n### kube-rendezvous-operator\n")[2].partition("\n### ")[0]
    table = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:3] == "| `"
    ]
    expected = [
        [
            f"`{option.flag}{' ' if option.metavar else ''}{option.metavar}`",
            f"`{option.variable}`",
            f"`{option.default_shown}`" if option.default_shown else "",
            option.meaning,
        ]
        for option in OPTIONS
    ]
    assert table == [*expected, ["`--version`", "", "", "Print the version and end"]]
