"""docs/policies.md has each policy, with the fields and defaults of the reference."""

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.pages import CODE, LINK, ROOT, name_of, read, rows, section

from rendezvous_operator.core.select.eligible import ELIGIBILITY_RULES
from rendezvous_operator.core.select.passed_over import GIVE_WAY
from rendezvous_operator.core.sizes.sizes import SIZE_RULES

PAGE = "docs/policies.md"
TABLES = ("## Which nodes", "## When the group goes on", "## How a loss is noticed")
POLICIES = [row for table in TABLES for row in rows(section(PAGE, table))]
NO_POLICIES = {
    "minNodes",
    "maxNodes",
    "ranks.policy",
    "runID",
    "suspend",
    "closed",
    "ttlSecondsAfterFinished",
    "timeouts.joinSeconds",
}
"""Fields that say what the group is, which run may have it, and how long an agent waits."""


def defaults() -> dict[str, str]:
    """The default of each field that a user may set; empty: it has none."""
    return {row[0].strip("`"): row[2].strip("`") for row in rows(section("docs/reference.md", "### Rendezvous spec"))}


@pytest.mark.parametrize("policy", POLICIES, ids=lambda row: re.sub(r"\W+", "-", row[0].partition("]")[0])[1:])
def test_fields_and_defaults_are_those_of_the_reference(policy: list[str]) -> None:
    known = defaults()
    if " of " in policy[1] or policy[1].startswith("none"):
        return  # of the chart, of --rdzv-conf
    fields = CODE.findall(policy[1])
    assert fields
    assert {known[field] for field in fields} == {policy[2].strip("`") if policy[2].startswith("`") else ""}


def test_each_field_is_in_a_row() -> None:
    known = set(defaults())
    named = {field for row in POLICIES for field in CODE.findall(row[1])}
    # An object stands for all of its fields.
    missing = {
        field
        for field in known - named
        if not any(field.startswith(f"{other}.") for other in named)
        and not any(other.startswith(f"{field}.") for other in known)
    }
    assert missing == NO_POLICIES


@pytest.mark.parametrize("policy", [*SIZE_RULES, *ELIGIBILITY_RULES, *GIVE_WAY], ids=lambda rule: rule.__name__)
def test_each_policy_of_the_selection_has_a_row(policy: Callable[..., Any]) -> None:
    linked = {(ROOT / "docs" / match["target"]).resolve() for match in LINK.finditer(read(PAGE))}
    assert name_of(Path(inspect.getfile(policy)).resolve()) in {name_of(path) for path in linked if path.is_file()}
