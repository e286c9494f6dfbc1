"""The rounds as a picture (SVG), without a library."""

from collections.abc import Iterator
from datetime import datetime
from html import escape
from pathlib import Path

from kube_rendezvous_cli import times
from kube_rendezvous_cli.group import Group
from kube_rendezvous_cli.history import goodput
from kube_rendezvous_cli.kubectl import CommandError
from kube_rendezvous_cli.timeline import Kind, Round, time_lost, timeline

COLOURS = {
    Kind.STARTING: "#8ab4f8",
    Kind.TRAINING: "#34a853",
    Kind.DETECTING: "#ea4335",
    Kind.STOPPING: "#fa903e",
    Kind.FORMING: "#fbbc04",
}
_WIDTH, _LEFT, _RIGHT, _TOP, _ROW = 1100, 110, 330, 84, 30
_MOST_LETTERS = 54
"""Of a reason, beside its bar."""


def plot(group: Group, now: datetime) -> str:
    """An SVG with a line for each round, all on one axis of time; the reason why it ended is beside it."""
    rounds = timeline(group, now)
    height = _TOP + _ROW * max(1, len(rounds)) + 50
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" viewBox="0 0 {_WIDTH} {height}" '
        'font-family="system-ui, sans-serif" font-size="13" fill="#202124">',
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="16" y="26" font-size="17">{escape(f"{group.namespace}/{group.name}   {group.run}")}</text>',
        f'<text x="16" y="48" fill="#5f6368">{escape(goodput(rounds) if rounds else "no round yet")}</text>',
        *_legend(),
        *(_bars(rounds) if rounds else ()),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def save(path: str, picture: str) -> None:
    """Write a picture to the file of ``--plot``.

    Raises:
        CommandError: it cannot be written.
    """
    try:
        Path(path).write_text(picture, encoding="utf-8")
    except OSError as error:
        raise CommandError(f"--plot={path}: {error.strerror}") from None


def _legend() -> Iterator[str]:
    for number, (kind, colour) in enumerate(COLOURS.items()):
        x = _LEFT + number * 110
        yield f'<rect x="{x}" y="60" width="12" height="12" fill="{colour}"/>'
        yield f'<text x="{x + 18}" y="71">{kind.value}</text>'


def _bars(rounds: list[Round]) -> Iterator[str]:
    begin, end = rounds[0].begin, rounds[-1].end
    whole = max((end - begin).total_seconds(), 0.001)
    scale = (_WIDTH - _LEFT - _RIGHT) / whole

    def x_of(moment: datetime) -> float:
        return _LEFT + (moment - begin).total_seconds() * scale

    bottom = _TOP + _ROW * len(rounds)
    for part in range(5):
        x = _LEFT + part * whole / 4 * scale
        moment = begin + part * (end - begin) / 4
        yield f'<line x1="{x:.1f}" y1="{_TOP}" x2="{x:.1f}" y2="{bottom}" stroke="#dadce0"/>'
        yield f'<text x="{x:.1f}" y="{bottom + 20}" text-anchor="middle" fill="#5f6368">{times.clock(moment)}</text>'
    for number, each in enumerate(rounds):
        y = _TOP + number * _ROW
        record = each.record
        yield f'<text x="16" y="{y + 19}">round {record.round} ({record.nodes})</text>'
        for span in each.spans:
            width = max(span.seconds * scale, 1.0 if span.seconds else 0.0)
            said = escape(f"round {record.round}: {span.kind.value} {times.duration(span.seconds)}")
            yield (
                f'<rect x="{x_of(span.begin):.1f}" y="{y + 6}" width="{width:.1f}" height="{_ROW - 12}" '
                f'fill="{COLOURS[span.kind]}"><title>{said}</title></rect>'
            )
        lost = time_lost(rounds, record.round)
        text = record.reason or "it runs"
        text += f", {times.duration(lost)} lost" if lost is not None else ""
        text += f": {record.message}" if record.message else ""
        shown = text if len(text) <= _MOST_LETTERS else f"{text[: _MOST_LETTERS - 3]}..."
        yield f'<text x="{_WIDTH - _RIGHT + 10}" y="{y + 19}">{escape(shown)}<title>{escape(text)}</title></text>'
