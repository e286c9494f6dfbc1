"""Figures of matplotlib as text that can be kept in a repository."""

import io

import matplotlib
from matplotlib import pyplot
from matplotlib.figure import Figure

matplotlib.use("svg")  # needs no display


def svg_text(figure: Figure) -> str:
    """The figure as SVG, without a date; the figure is closed."""
    written = io.StringIO()
    figure.savefig(written, format="svg", metadata={"Date": None})
    pyplot.close(figure)
    # matplotlib leaves blanks at the ends of lines.
    return "\n".join(line.rstrip() for line in written.getvalue().splitlines()) + "\n"
