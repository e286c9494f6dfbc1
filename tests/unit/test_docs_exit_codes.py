"""docs/exit-codes.md has every end of an agent, with tests that exist."""

import re

import yaml
from tests.support.pages import ROOT, read, rows, section

from rendezvous_handler.join import errors
from rendezvous_handler.torchrun.errors import torch_error

PAGE = "docs/exit-codes.md"
ENDS = rows(section(PAGE, "## Every end"))
_TEST = re.compile(r"\[(?P<name>test_\w+)\]\((?P<path>[^)]+)\)")


def test_each_end_has_tests_that_exist() -> None:
    for end in ENDS:
        found = _TEST.findall(end[-1])
        assert found, end
        for name, path in found:
            text = (ROOT / "docs" / path).resolve().read_text(encoding="utf-8")
            assert f"def {name}(" in text, f"{path} has no {name}"


def test_the_page_has_each_error_of_a_join_and_each_exit_code() -> None:
    kinds = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.JoinError) and kind is not errors.JoinError
    ]
    assert len(kinds) == 6
    exceptions = " ".join(end[1] for end in ENDS)
    assert [kind for kind in kinds if f"`{type(torch_error(kind('why'))).__name__}`" not in exceptions] == []
    codes = {end[0] for end in ENDS if end[0].isdecimal()}
    assert codes == {"0", "1", *map(str, (errors.DO_NOT_START_AGAIN, errors.BUDGET_IS_SPENT, errors.NODE_IS_UNHEALTHY))}


def test_the_job_that_knows_the_exit_codes_is_the_example() -> None:
    assert "(../examples/job.yaml)" in section(PAGE, "## In a Job")
    job = yaml.safe_load(read("examples/job.yaml"))
    (rule,) = [rule for rule in job["spec"]["podFailurePolicy"]["rules"] if "onExitCodes" in rule]
    assert rule["action"] == "FailJob"
    assert rule["onExitCodes"]["values"] == [errors.DO_NOT_START_AGAIN, errors.BUDGET_IS_SPENT]
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["name"] == rule["onExitCodes"]["containerName"]
