"""A launch on a single node with nothing but this package, as docs/local-control-plane.md has it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.groups import OWN_CONTROL_PLANE
from tests.support.pages import blocks

DOCS = Path(__file__).parents[2] / "docs"


@OWN_CONTROL_PLANE
@pytest.mark.main_job
def test_the_lines_of_the_page(tmp_path: Path) -> None:
    after = (DOCS / "local-control-plane.md").read_text().partition("### A launch on a single node\n")[2]
    lines = re.findall(r"^```sh\n(.*?)^```$", after, flags=re.MULTILINE | re.DOTALL)[0]
    assert lines.count("\n") == 5
    (script,) = blocks((DOCS / "coming-from-c10d-or-etcd.md").read_text(), "Moving a job", "python")
    (tmp_path / "train.py").write_text(script)
    environment = {
        **{key: value for key, value in os.environ.items() if key != "KUBECONFIG"},
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "OMP_NUM_THREADS": "1",
        "GLOO_SOCKET_IFNAME": "lo",
    }
    done = subprocess.run(
        ["bash", "-c", f"set -e\n{lines}\nwait"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.findall(r"done: weight (\d+) on rank (\d) of (\d)", done.stdout)
    assert sorted(found) == [("20", "0", "2"), ("20", "1", "2")]
    # Its kubeconfig goes with the control plane: both servers have ended.
    assert not (tmp_path / "kubeconfig").exists()
