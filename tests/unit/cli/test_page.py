"""docs/kubectl-rdzv.md: each example is what the program prints, and each command and exit code is there."""

import argparse
import re
from collections.abc import Callable

import pytest
from tests.support.pages import blocks, read, rows, section
from tests.unit.cli.played import Played, has_lost_one, named, trains_again, waits

from kube_rendezvous_cli import arguments, commands
from kube_rendezvous_cli.actions import PLANS, evict
from kube_rendezvous_cli.get import groups_table, tree
from kube_rendezvous_cli.history import LETTERS, history
from kube_rendezvous_cli.rows import _MARKS
from kube_rendezvous_cli.why import why

PAGE = "docs/kubectl-rdzv.md"


def live() -> Played:
    """A spare is there, and a member is silent."""
    scenario = trains_again(max_nodes=3, max_restarts=20)
    scenario.start("train-4")
    scenario.silent(*named("train-1"))
    scenario.after(21)
    return scenario


def _evict(scenario: Played) -> str:
    group = scenario.shown()
    return f"This {evict(group, group.participants['train.train-1']).says}"


EXAMPLES: dict[str, tuple[str, Callable[[], Played], Callable[[Played], str]]] = {
    "All groups": (
        "get -o wide",
        has_lost_one,
        lambda scenario: groups_table([scenario.shown()], scenario.now, wide=True),
    ),
    "One group": ("get train", live, lambda scenario: tree(scenario.shown(), scenario.now)),
    "Why": ("why train", waits, lambda scenario: why(scenario.shown(), scenario.now)),
    "History": ("history train", trains_again, lambda scenario: history(scenario.shown(), scenario.now)),
    "Actions": ("evict train.train-1", trains_again, _evict),
}


@pytest.mark.parametrize("heading", EXAMPLES)
def test_an_example_is_what_is_printed(heading: str) -> None:
    command, scenario, shown = EXAMPLES[heading]
    (block,) = blocks(read(PAGE), heading, "console")
    first, _, text = block.partition("\n")
    assert first == f"$ kubectl rdzv {command}"
    printed = shown(scenario())
    print(printed)
    assert [line.rstrip() for line in text.rstrip("\n").split("\n")] == printed.split("\n")


def all_commands() -> dict[str, argparse.ArgumentParser]:
    (found,) = [each for each in arguments.parser()._actions if isinstance(each, argparse._SubParsersAction)]
    return found.choices


def test_every_command_is_on_the_page_with_its_options() -> None:
    assert set(all_commands()) == set(commands.COMMANDS)
    table = {re.findall(r"`([a-z]+)", cells[0])[0]: cells[0] for cells in rows(section(PAGE, "## Commands"))}
    assert set(table) == set(commands.COMMANDS)
    for name, command in all_commands().items():
        said = table[name]
        for action in command._actions:
            if action.dest in ("help", "namespace", "no_color") or action.dest.startswith("kubectl_"):
                continue
            options = [option for option in action.option_strings if option.startswith("--")] or [str(action.metavar)]
            assert any(option in said for option in (*options, *action.option_strings)), (name, options)


def test_every_exit_code_is_on_the_page_and_in_the_help() -> None:
    codes = [
        commands.DONE,
        commands.FAILED,
        commands.WRONG_USE,
        commands.OTHERWISE,
        commands.TIMED_OUT,
        commands.DECLINED,
    ]
    listed = [int(cells[0]) for cells in rows(section(PAGE, "## Exit codes"))]
    assert listed == [*codes, 130]
    assert [int(code) for code in re.findall(r"^  (\d)  ", arguments.EPILOG, re.MULTILINE)] == codes


def test_marks_and_letters_are_explained() -> None:
    page = read(PAGE)
    assert {cells[0].strip("`") for cells in rows(section(PAGE, "### One group"))} >= {*_MARKS.values()}
    assert all(f"| {kind.value} |" in page for kind in LETTERS)
    assert all(name in page for name in PLANS)
