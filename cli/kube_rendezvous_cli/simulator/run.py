"""The commands ``kubectl rdzv simulate`` and ``whatif``."""

from kube_rendezvous_cli.session import Session
from kube_rendezvous_cli.simulator import scenario, show
from kube_rendezvous_cli.simulator.live import Live, read
from kube_rendezvous_cli.simulator.whatif import Question, ask


def simulate(session: Session) -> int:
    """``kubectl rdzv simulate``."""
    played = scenario.play(scenario.load(session.kubectl, session.options.file))
    end = played.operator.wall(played.now)
    session.show_rounds(show.group_of(played), end, lambda: show.text(played), lambda: show.value(played))
    return 0


def whatif(session: Session) -> int:
    """``kubectl rdzv whatif``."""
    options = session.options
    objects, problems = session.objects(options.name)
    live = read(objects, session.now)
    question = ask(live, options, objects["rendezvous"][0].get("spec") or {})
    question.unknown += problems
    if options.output is not None:
        told = {**show.value(live.play), "happens": question.happens, "unknown": question.unknown}
        session.show_value(told, options.output)
        return 0
    session.show(answer(live, question))
    return 0


def answer(live: Live, question: Question) -> str:
    """What would happen, and what is not known of it, in words."""
    lines = [f"If {' and '.join(question.happens)}:" if question.happens else "If nothing happens:", ""]
    lines += [show.forecast(live.play), ""]
    lines += ["Not known:", *(f"- {each}" for each in question.unknown)]
    return "\n".join(lines)
