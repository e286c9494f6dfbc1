"""Which tests one worker of pytest-xdist runs one after the other, with `--dist loadgroup`."""

import pytest

OWN_CONTROL_PLANE = pytest.mark.xdist_group("own control plane")
"""Starts a control plane of its own, beside that of the session: one at a time is enough for a small machine."""
