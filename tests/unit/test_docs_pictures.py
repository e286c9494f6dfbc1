"""The generated pictures show all rights, states, causes, moments and losses; the map of the code is complete."""

import re

import pytest
import yaml
from hack import generate_pictures, pictured_losses, pictured_parts, pictured_round, pictured_states
from hack.pictured_states import observed
from tests.support.pages import ROOT, read

from rendezvous_api.participant import MISSED_SECONDS
from rendezvous_api.reasons import FormationReason, RoundEndReason, State

of_all_states = pytest.mark.xdist_group("all states")
"""One process visits them once, and keeps them."""


@of_all_states
def test_every_state_is_reached_and_can_be_left() -> None:
    states = {*map(str, State), str(FormationReason.GATHERING)}
    assert {state for _, state in observed()} == states
    assert {state for state, _ in observed()} == states


@of_all_states
def test_every_end_of_a_round_is_seen() -> None:
    causes = set().union(*observed().values())
    assert causes >= {str(reason) for reason in RoundEndReason}


@of_all_states
def test_the_picture_has_every_transition_within_a_group_and_one_arrow_between_two_groups() -> None:
    lines = "\n".join(pictured_states.picture(observed()))
    arrows = set(re.findall(r"(\w+) --> (\w+)", lines))
    group_of = pictured_states.GROUP_OF
    inside = {(one, other) for one, other in observed() if one != other and group_of[one] == group_of[other]}
    assert inside <= arrows
    between = {(group_of[one], group_of[other]) for one, other in observed() if group_of[one] != group_of[other]}
    assert len(arrows) == len(inside) + len(between)


def test_the_moments_of_a_round_are_all_shown_in_their_order() -> None:
    moments = pictured_round.moments(pictured_round.Life().status)
    assert [*moments] == [*pictured_round.MOMENTS]
    assert [*moments.values()] == sorted(moments.values())


def test_a_lost_node_is_noticed_when_the_settings_say() -> None:
    losses = pictured_losses.losses()
    spec = losses[0].spec
    silence = spec.heartbeat.interval_seconds * spec.heartbeat.max_missed
    evicted, for_good, spare, replaced, no_machine, restarted, workers_fail, killed, no_power, workers_hang = losses
    confirmed = MISSED_SECONDS + spec.timeouts.confirm_seconds
    assert [loss.asked_at for loss in losses] == [0, 0, 0, 0, 0, 5, 5, 3, confirmed, spec.timeouts.suspect_seconds]
    assert evicted.next_round_at == 1 + spec.timeouts.replacement_seconds
    assert for_good.next_round_at == 2 + spec.timeouts.replacement_pod_seconds
    assert no_machine.next_round_at == 10 + spec.timeouts.replacement_pod_seconds
    assert spare.next_round_at == 1
    assert (replaced.next_round_at, restarted.next_round_at) == (15, 6)
    for lost in (workers_fail, killed, no_power):
        assert lost.next_round_at == spec.timeouts.replacement_seconds
    assert workers_hang.next_round_at == spec.timeouts.suspect_seconds + 1
    assert (float(silence), str(State.DEGRADED)) in workers_hang.states
    assert (1.0, str(State.DEGRADED)) in killed.states
    assert (MISSED_SECONDS, str(State.DEGRADED)) in no_power.states


@pytest.mark.parametrize("part", pictured_parts.RIGHTS)
def test_every_right_of_a_part_is_an_arrow(part: str) -> None:
    lines = [line.strip() for line in pictured_parts.picture(pictured_parts.rights())]
    for item in yaml.safe_load_all(pictured_parts.RIGHTS[part].read_text(encoding="utf-8")):
        for rule in item.get("rules", ()):
            for resource in {name.partition("/")[0] for name in rule["resources"]}:
                ends = {(part, resource), (resource, part)}
                arrows = " ".join(line for line in lines if (line.split()[0], line.split()[-1]) in ends)
                assert [verb for verb in rule["verbs"] if verb not in arrows] == [], resource


@of_all_states
def test_the_pictures_are_up_to_date() -> None:
    parts = generate_pictures.generated_parts()
    pages = "\n".join(page.read_text(encoding="utf-8") for page in generate_pictures.PAGES)
    assert [name for name, text in parts.items() if text not in pages] == [], "run hack/generate_pictures.py"


# ---- the map of the code


@pytest.mark.parametrize("package", ["operator/rendezvous_operator", "handler/rendezvous_handler"])
def test_the_map_has_every_folder(package: str) -> None:
    folders = {path.parent.name for path in (ROOT / package).rglob("__init__.py")}
    folders -= {package.rpartition("/")[2]}
    assert len(folders) >= 5
    page = read("docs/code-map.md").partition("## Folders")[2]
    assert [folder for folder in sorted(folders) if not re.search(rf"^ +{folder}/ ", page, flags=re.MULTILINE)] == []
