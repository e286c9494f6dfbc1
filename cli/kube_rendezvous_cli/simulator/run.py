"""The commands ``kubectl rdzv simulate`` and ``whatif``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kube_rendezvous_cli.plot import plot, save
from kube_rendezvous_cli.simulator import scenario, show
from kube_rendezvous_cli.simulator.play import Play

if TYPE_CHECKING:
    from kube_rendezvous_cli.commands import Session


def simulate(session: Session) -> int:
    """``kubectl rdzv simulate``."""
    played = scenario.play(scenario.load(session.kubectl, session.options.file))
    _show(session, played)
    return 0


def _show(session: Session, played: Play) -> None:
    options = session.options
    if options.plot is not None:
        picture = plot(show.group_of(played), played.operator.wall(played.now))
        if options.plot == "-":
            print(picture, end="")
            return
        save(options.plot, picture)
    if options.output is not None:
        session.show_value(show.value(played), options.output)
    else:
        session.show(show.text(played))
