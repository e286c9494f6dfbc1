"""What a shell offers for the word at the cursor."""

import os
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hack import build_cli

from kube_rendezvous_cli import completion
from kube_rendezvous_cli.commands import COMMANDS
from kube_rendezvous_cli.completion import DEFAULT, EXTENSIONS, FOLDERS, KEEP_ORDER, NO_FILES, NO_SPACE
from kube_rendezvous_cli.kubectl import PARTICIPANTS, RENDEZVOUS, Kubectl

GROUPS = ["train\tRunning\t3/2-4", "train-2\tSuspended\t", "other\t\t"]
NODES = ["train.train-0\ttrain-0\tgpu-a", "train.train-1\ttrain-1\tgpu-b", "bare\t\t"]
MEMBERS = ["0\ttrain.train-1", "1\ttrain.train-0"]
ROUNDS = ["1\tMemberLost", "2\t"]


class Asked:
    """A kubectl that keeps what it was asked, and answers with these lines."""

    def __init__(self, *lines: str) -> None:
        self.lines = list(lines)
        self.calls: list[tuple[Kubectl, tuple[str, ...]]] = []

    def __call__(self, kubectl: Kubectl, *arguments: str) -> list[str]:
        self.calls.append((kubectl, arguments))
        return self.lines


def offered(line: str, *lines: str) -> tuple[list[str], int]:
    """The candidates without descriptions, and the directives; spaces separate words."""
    found = completion.offered(line.split(" "), Asked(*lines))
    return [word for word, _ in found.candidates], found.directives


def test_each_command_is_offered_with_what_it_does() -> None:
    asked = Asked()
    found = completion.offered([""], asked)
    assert [word for word, _ in found.candidates] == [*_in_the_order_of_the_help()]
    assert {word for word, _ in found.candidates} == set(COMMANDS)
    assert dict(found.candidates)["close"] == "let no node join any more"
    assert offered("re") == (["restart", "resume", "reopen", "retry", "replay"], NO_FILES)
    assert offered("--") == (["--help", "--version"], NO_FILES)
    assert completion.offered([], asked) == found
    assert asked.calls == []


def _in_the_order_of_the_help() -> list[str]:
    from kube_rendezvous_cli import arguments

    lines = arguments.parser().format_help().splitlines()
    return [line.split()[0] for line in lines if line.startswith("    ") and line[4] != " "]


def test_nothing_is_offered_behind_what_is_no_command() -> None:
    assert offered("gett ") == ([], NO_FILES)
    assert offered("--version ") == ([], NO_FILES)


def test_options_are_offered_once_if_they_count_once() -> None:
    words, directives = offered("get --")
    assert {"--all-namespaces", "--watch", "--output", "--namespace", "--context"} <= set(words)
    assert directives == NO_FILES
    assert "--token" not in words, "options that the help does not show"
    assert offered("get --w") == (["--watch"], NO_FILES)
    assert offered("get -w --w") == ([], NO_FILES)
    assert offered("get -ojson --o") == ([], NO_FILES)
    assert offered("whatif train --lose rank=0 --l") == (["--lose"], NO_FILES)
    assert offered("get --context=prod --co") == ([], NO_FILES)
    assert offered("get -- --w", *GROUPS) == ([], NO_FILES | KEEP_ORDER), "no options behind --"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("wait train --for ", ["running", "complete", "failed", "suspended"]),
        ("wait train --for=c", ["complete"]),
        ("get -o ", ["json", "yaml", "wide"]),
        ("get --output=w", ["wide"]),
        ("history train -o ", ["json", "yaml"]),
        ("inject --handler ", ["initContainer", "imageVolume", "none"]),
        ("logs train --tail ", []),
        ("wait --timeout ", []),
    ],
)
def test_values_of_options(line: str, words: list[str]) -> None:
    assert offered(line, *GROUPS) == (words, NO_FILES)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("history train --plot ", ([], DEFAULT)),
        ("inject -f ", ([], DEFAULT)),
        ("get --kubeconfig=", ([], DEFAULT)),
        ("simulate ", (["yaml", "yml", "json"], EXTENSIONS)),
        ("replay ", ([], FOLDERS)),
    ],
)
def test_where_the_shell_offers_files(line: str, found: tuple[list[str], int]) -> None:
    assert offered(line) == found


def test_groups_are_offered_with_their_states() -> None:
    found = completion.offered(["why", ""], Asked(*GROUPS))
    assert found.candidates == [("train", "Running, 3/2-4 nodes"), ("train-2", "Suspended"), ("other", "")]
    assert found.directives == NO_FILES | KEEP_ORDER
    assert str(found).splitlines()[0] == "train\tRunning, 3/2-4 nodes"
    assert str(found).splitlines()[2:] == ["other", ":36"]
    assert offered("why tr", *GROUPS)[0] == ["train", "train-2"]
    assert offered("why train ", *GROUPS) == ([], NO_FILES), "there is one name only"
    assert offered("get -A ", *GROUPS)[0] == ["train", "train-2", "other"]
    assert offered("doctor ", *GROUPS) == ([], NO_FILES)


@pytest.mark.parametrize(
    "command", sorted({*COMMANDS} - {"evict", "doctor", "dashboard", "inject", "simulate", "replay"})
)
def test_each_command_about_a_group_offers_groups(command: str) -> None:
    assert offered(f"{command} o", *GROUPS)[0] == ["other"]


def test_participants_are_offered_for_an_eviction_and_pods_where_none_begins_so() -> None:
    found = completion.offered(["evict", ""], Asked(*NODES))
    assert found.candidates == [
        ("train.train-0", "pod train-0 on gpu-a"),
        ("train.train-1", "pod train-1 on gpu-b"),
    ], "what is in no pod cannot be evicted"
    assert completion.offered(["evict", "train-"], Asked(*NODES)).candidates == [
        ("train-0", "train.train-0 on gpu-a"),
        ("train-1", "train.train-1 on gpu-b"),
    ]


def test_ranks_and_rounds_are_those_of_the_group() -> None:
    asked = Asked(*MEMBERS)
    found = completion.offered(["logs", "train", "--rank", ""], asked)
    assert found.candidates == [("0", "train.train-1"), ("1", "train.train-0")]
    assert asked.calls[0][1][:3] == ("get", RENDEZVOUS, "train")
    rounds = completion.offered(["logs", "train", "--round="], Asked(*ROUNDS))
    assert rounds.candidates == [("2", "it runs"), ("1", "MemberLost")]
    assert offered("logs --rank ", *MEMBERS)[0] == []
    assert offered("logs --round ", *ROUNDS)[0] == []


def test_what_if_offers_kinds_and_then_names() -> None:
    kinds = ["machine=", "participant=", "pod=", "rank="]
    assert offered("whatif train --lose ") == (kinds, NO_FILES | NO_SPACE)
    assert offered("whatif train --drain=m") == (["machine="], NO_FILES | NO_SPACE)
    assert offered("whatif train --lose zone=") == ([], NO_FILES | NO_SPACE)
    asked = Asked(*NODES, "train.train-4\ttrain-4\tgpu-a")
    machines = completion.offered(["whatif", "train", "--drain", "machine="], asked)
    assert [word for word, _ in machines.candidates] == ["machine=gpu-a", "machine=gpu-b"]
    assert asked.calls[0][1][:3] == ("get", PARTICIPANTS, "--selector=rdzv.dev/rendezvous=train")
    assert offered("whatif train --lose pod=", *NODES)[0] == ["pod=train-0", "pod=train-1"]
    assert offered("whatif train --lose participant=b", *NODES)[0] == ["participant=bare"]
    assert offered("whatif train --lose rank=", *MEMBERS)[0] == ["rank=0", "rank=1"]


@pytest.mark.parametrize(
    "options", ["-n team-a --context prod", "-nteam-a --context=prod", "--namespace=team-a --context prod -n=team-a"]
)
def test_the_request_goes_where_the_words_say(options: str) -> None:
    asked = Asked()
    assert completion.offered(["why", *options.split(), "--insecure-skip-tls-verify", ""], asked).candidates == []
    ((kubectl, _),) = asked.calls
    assert kubectl.namespace == "team-a"
    assert kubectl.options == ("--context=prod", "--insecure-skip-tls-verify")


def test_namespaces_and_contexts() -> None:
    assert offered("get -n ", "team-a", "team-b")[0] == ["team-a", "team-b"]
    assert offered("get --namespace=team-b", "team-a", "team-b")[0] == ["team-b"]
    assert offered("get --context ", "prod", "test")[0] == ["prod", "test"]


def test_a_name_cannot_end_its_line_or_give_a_directive() -> None:
    text = str(completion.Offer([("a\x1b[2J", "b\n:1\tc")]))
    assert text == "a\\x1b[2J\tb :1\\tc\n:4"


# As the program.


def kubectl_that(folder: Path, *script: str) -> dict[str, str]:
    """An environment in which kubectl is this script."""
    program = folder / "kubectl"
    program.write_text("\n".join(["#!/bin/sh", *script]) + "\n")
    program.chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built")
    subprocess.run([sys.executable, build_cli.__file__, str(folder)], check=True, capture_output=True)
    return folder


def said(built: Path, environment: dict[str, str], *words: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, built / completion.PROGRAM, *words],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stdout, done.stderr


def test_the_one_file_completes_under_its_other_name(built: Path, tmp_path: Path) -> None:
    assert build_cli.COMPLETES == completion.PROGRAM
    assert (built / completion.PROGRAM).resolve() == built / build_cli.NAME
    assert stat.S_IMODE((built / completion.PROGRAM).stat().st_mode) == 0o755
    environment = kubectl_that(tmp_path, r"printf 'train\tRunning\t3/2-4\n'")
    assert said(built, environment, "why", "") == (0, "train\tRunning, 3/2-4 nodes\n:36\n", "")


def test_krew_gets_the_command_that_makes_the_link(built: Path) -> None:
    spec: dict[str, Any] = yaml.safe_load((built / "rdzv.yaml").read_text())["spec"]
    assert f"/bin/{completion.PROGRAM}" in spec["caveats"]
    assert spec["platforms"][0]["bin"] == build_cli.NAME


@pytest.mark.parametrize("script", [["echo train; echo 'no such host' >&2; exit 1"], []])
def test_where_kubectl_fails_nothing_is_offered(built: Path, tmp_path: Path, script: list[str]) -> None:
    environment = kubectl_that(tmp_path, *script) if script else {"PATH": str(tmp_path)}
    assert said(built, environment, "why", "") == (0, ":36\n", "")


def test_nobody_waits_for_a_cluster_that_does_not_answer(built: Path, tmp_path: Path) -> None:
    # A child of kubectl, such as a credential plug-in, may live on, and has its standard output.
    environment = kubectl_that(tmp_path, "sleep 20 & wait")
    began = time.monotonic()
    assert said(built, environment, "why", "") == (0, ":36\n", "")
    assert time.monotonic() - began < 15
