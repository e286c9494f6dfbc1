"""The chart as an earlier release could have been, to upgrade from.

Nothing is released yet. So it is made of the chart as it is: with another version, another tag of the operator's image,
a CRD without a field that came later, and templates and values that were changed or added since then. Once there is a
release, its chart takes the place of this one.
"""

import re
import shutil
from pathlib import Path

from testcluster import Cluster
from tests.cluster.release import CHART

VERSION = "0.0.9"
LATER_FIELD = "ttlSecondsAfterFinished"
"""In the spec of a Rendezvous; the earlier CRD does not have it."""
_LATER_TEMPLATES = ("poddisruptionbudget.yaml", "injection.yaml")


def make_earlier_chart(folder: Path) -> Path:
    """Write the chart into a new folder; returns that."""
    chart = folder / "kube-rendezvous"
    shutil.copytree(CHART, chart)
    description = (chart / "Chart.yaml").read_text()
    (chart / "Chart.yaml").write_text(re.sub(r"(?m)^(version|appVersion): .*$", rf"\1: {VERSION}", description))
    crd = chart / "templates" / "crds" / "rendezvous.yaml"
    crd.write_text(_without(crd.read_text(), LATER_FIELD))
    for name in _LATER_TEMPLATES:
        (chart / "templates" / name).unlink()
    return chart


def tag_image(cluster: Cluster, image: str) -> str:
    """Give the operator's image, on both nodes, the tag of the earlier version too; returns that name."""
    earlier = f"{image.rpartition(':')[0]}:{VERSION}"
    for node in cluster.nodes.values():
        node.ctr("images", "tag", "--force", image, earlier)
    return earlier


def _without(crd: str, field: str) -> str:
    """A CRD without a property of its schema."""
    found = re.search(rf"(?m)^( +){field}:\n(?:\1 +.*\n)+", crd)
    assert found, f"the CRD has no {field}"
    return crd.replace(found[0], "")
