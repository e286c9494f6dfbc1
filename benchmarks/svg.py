"""Figures of matplotlib as text that can be kept in a repository."""

import io
import re

import matplotlib
from matplotlib import pyplot
from matplotlib.figure import Figure

matplotlib.use("svg")  # needs no display


def svg_text(figure: Figure) -> str:
    """The figure as SVG, without a date; the figure is closed."""
    written = io.StringIO()
    figure.savefig(written, format="svg", metadata={"Date": None})
    pyplot.close(figure)
    text = written.getvalue()
    # matplotlib names a clip path by a hash of its position, whose last digit differs from processor to processor.
    for number, name in enumerate(dict.fromkeys(re.findall(r'<clipPath id="(\w+)">', text)), start=1):
        text = text.replace(name, f"clip-{number}")
    # matplotlib leaves blanks at the ends of lines.
    return "\n".join(line.rstrip() for line in text.splitlines()) + "\n"
