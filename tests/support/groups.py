"""Which tests one worker of pytest-xdist runs one after the other, with `--dist loadgroup`."""

import pytest

OWN_CONTROL_PLANE = pytest.mark.xdist_group("own control plane")
"""Starts a control plane of its own, beside that of the session: one at a time is enough for a small machine."""

OWN_CONTROL_PLANE_ALONE = pytest.mark.xdist_group("own control plane alone")
"""Starts a control plane of its own, and does not use that of the session.

The largest groups begin first. So three workers have at most four control planes: one for the session of each, and one
more for `OWN_CONTROL_PLANE`. A worker with this group has no other until the group has ended.
"""
