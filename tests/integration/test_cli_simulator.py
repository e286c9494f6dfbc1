"""`kubectl rdzv simulate` as the real program: the one file, which kubectl finds, and kubectl reads the scenario."""

from pathlib import Path

import pytest
from hack import generate_scenarios
from tests.integration.cli_support import Rdzv

from rendezvous_controlplane import LocalControlPlane

FILE = generate_scenarios.FOLDER / "lost-rank-0.yaml"


@pytest.fixture(scope="module")
def rdzv(control_plane: LocalControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Rdzv:
    """The program."""
    return Rdzv(control_plane, "default", tmp_path_factory.mktemp("simulator"))


def test_a_scenario_is_played_as_the_page_shows_it(rdzv: Rdzv, tmp_path: Path) -> None:
    done = rdzv("simulate", str(FILE), f"--plot={tmp_path / 'rounds.svg'}")
    assert (done.code, done.err) == (0, "")
    assert done.out.rstrip("\n") == generate_scenarios.timelines()[FILE.stem]
    assert "MemberLost" in (tmp_path / "rounds.svg").read_text(encoding="utf-8")


def test_a_scenario_is_played_for_programs(rdzv: Rdzv) -> None:
    done = rdzv("simulate", "-", "--output=json", stdin=FILE.read_text(encoding="utf-8"))
    assert done.value["end"]["ranks"] == {"train-3": 0, "train-1": 1, "train-2": 2}
    assert rdzv("simulate", str(FILE), "--plot=-").out.startswith("<svg")


def test_a_wrong_file_is_named_with_what_is_wrong_in_it(rdzv: Rdzv, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(FILE.read_text(encoding="utf-8").replace("kill:", "kil:"), encoding="utf-8")
    done = rdzv("simulate", str(wrong))
    assert (done.code, done.err) == (2, f"error: {wrong}: events[0].kil: is no known field; did you mean kill?\n")
    done = rdzv("simulate", str(tmp_path / "none.yaml"))
    assert done.code == 1
    assert "does not exist" in done.err
