"""The dashboard of the chart as a picture for the documentation: its panels, with what Prometheus answers."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
from benchmarks.svg import svg_text
from matplotlib import pyplot
from tests.support.dashboard import DASHBOARD, filled
from tests.support.prometheus import Prometheus

_STEP_SECONDS = 2.0
_UNITS = {"s": "seconds", "ops": "a second", "reqps": "a second"}
_COLUMNS = 2
_POINT = re.compile(r"([ML] -?\d+\.\d)\d*( -?\d+\.\d)\d*")
_LABEL = re.compile(r"{{(\w+)}}")


@dataclass(frozen=True)
class Line:
    """One series of a panel, with its name in the legend and its points: seconds since the beginning, value."""

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Panel:
    """A panel that shows something over time."""

    title: str
    unit: str
    lines: Sequence[Line]


def ask(prometheus: Prometheus, began: float, ended: float) -> list[Panel]:
    """All panels of the dashboard that show something over time, from `began` to `ended` (``time.time()``).

    Lines that are zero all the time are left out where others are not.
    """
    panels = [panel for panel in DASHBOARD["panels"] if panel["type"] == "timeseries"]
    return [_ask(prometheus, panel, began, ended) for panel in panels]


def _ask(prometheus: Prometheus, panel: Mapping[str, Any], began: float, ended: float) -> Panel:
    lines = []
    for target in panel["targets"]:
        for series in prometheus.query_range(filled(target["expr"]), began, ended, _STEP_SECONDS):
            points = [(float(time) - began, float(value)) for time, value in series["values"]]
            numbers = [point for point in points if not math.isnan(point[1])]
            if numbers:
                lines.append(Line(_legend(target["legendFormat"], series["metric"]), numbers))
    # Else most of a legend are reasons that there was no case of.
    lines = [line for line in lines if any(value for _, value in line.points)] or lines
    unit = panel["fieldConfig"]["defaults"]["unit"]
    return Panel(panel["title"], _UNITS.get(unit, ""), lines)


def _legend(form: str, labels: Mapping[str, str]) -> str:
    return _LABEL.sub(lambda match: labels.get(match[1], ""), form)


def draw(panels: Sequence[Panel], events: Sequence[tuple[float, str]]) -> str:
    """An SVG with all panels; `events` (seconds since the beginning, what happened) are numbered lines in each."""
    rows = math.ceil(len(panels) / _COLUMNS)
    with matplotlib.rc_context({"svg.fonttype": "none", "font.size": 8, "font.sans-serif": ["DejaVu Sans"]}):
        figure, grid = pyplot.subplots(rows, _COLUMNS, figsize=(7 * _COLUMNS, 2.2 * rows), sharex=True)
        for axes, panel in zip(grid.flat, panels, strict=False):
            for line in panel.lines:
                axes.plot(*zip(*line.points, strict=True), label=line.name, linewidth=1)
            axes.set_title(panel.title, fontsize=9)
            axes.set_ylabel(panel.unit)
            axes.set_ylim(bottom=0)
            axes.grid(alpha=0.3)
            if panel.lines:
                axes.legend(fontsize=6, loc="center left", bbox_to_anchor=(1.0, 0.5))
            for number, (at, _) in enumerate(events, start=1):
                axes.axvline(at, color="black", linewidth=0.5, linestyle=":")
                axes.text(at, 0.93, f" {number}", transform=axes.get_xaxis_transform(), fontsize=6)
        for axes in grid.flat[len(panels) :]:
            axes.set_axis_off()
        for axes in grid[-1]:
            axes.set_xlabel("seconds")
        figure.tight_layout()
        text = svg_text(figure)
    # Tenths of a point are fine enough, in half of the space.
    return _POINT.sub(r"\1\2", text)
