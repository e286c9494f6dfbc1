"""Plots of time against the number of nodes, as SVG that is the same each time it is made of the same figures."""

import matplotlib
from benchmarks.backends import C10D, C10D_STUBBED, ETCD, FLOOR, KUBERNETES
from benchmarks.figures import JOIN, LAST_COMER, RESTART, Figures
from benchmarks.svg import svg_text
from matplotlib import pyplot

_STYLES = {
    KUBERNETES: ("tab:blue", "o"),
    FLOOR: ("tab:gray", "."),
    C10D: ("tab:red", "s"),
    C10D_STUBBED: ("tab:orange", "^"),
    ETCD: ("tab:green", "v"),
}


def plots(figures: Figures) -> dict[str, str]:
    """SVG texts by file name."""
    titles = {JOIN: "all join at once", RESTART: "all join again", LAST_COMER: "the last one joins"}
    return {
        f"benchmark-{scenario.replace(' ', '-')}.svg": _plot(figures, scenario, title)
        for scenario, title in titles.items()
    }


def _plot(figures: Figures, scenario: str, title: str) -> str:
    # Without the salt, each drawing has other ids in it.
    with matplotlib.rc_context({"svg.hashsalt": "kube-rendezvous", "svg.fonttype": "none"}):
        figure, axes = pyplot.subplots(figsize=(6, 4))
        for backend, (color, marker) in _STYLES.items():
            points = [(nodes, figures.times(backend, scenario, nodes)) for nodes in figures.sizes(scenario, backend)]
            done = [(nodes, times) for nodes, times in points if times.median is not None]
            if not done:
                continue
            middle = [times.median or 0.0 for _, times in done]
            below = [times.median - min(times.seconds) for _, times in done if times.median is not None]
            above = [max(times.seconds) - times.median for _, times in done if times.median is not None]
            axes.errorbar(
                [nodes for nodes, _ in done], middle, yerr=[below, above], label=backend, color=color, marker=marker
            )
        axes.set(xscale="log", yscale="log", xlabel="nodes", ylabel="seconds", title=title)
        sizes = figures.sizes(scenario)
        axes.set_xticks(sizes, [str(size) for size in sizes])
        axes.minorticks_off()
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small")
        figure.tight_layout()
        return svg_text(figure)
