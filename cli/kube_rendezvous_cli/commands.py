"""What each command does: read the objects, show what follows from them, or make one request."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

from kube_rendezvous_cli import actions, core
from kube_rendezvous_cli.follow import Watches
from kube_rendezvous_cli.get import group_json, groups_table, tree
from kube_rendezvous_cli.group import Group, group_of, groups_of
from kube_rendezvous_cli.kubectl import PARTICIPANTS, RENDEZVOUS, CommandError
from kube_rendezvous_cli.session import Session, now, one_group, selected
from kube_rendezvous_cli.text import safe

Json = dict[str, Any]

DONE, FAILED, WRONG_USE, OTHERWISE, TIMED_OUT, DECLINED = range(6)

_TICK_SECONDS = 1.0
"""How often the ages of a live view are brought up to date, on a terminal."""


def get(session: Session) -> int:
    """``kubectl rdzv get``."""
    options = session.options
    if options.name is not None and options.all_namespaces:
        raise CommandError("a NAME and --all-namespaces exclude each other: one group is in one namespace", WRONG_USE)
    if options.watch and options.output in ("json", "yaml"):
        raise CommandError(f"--watch is for people: use `kubectl get rdzv --watch -o {options.output}`", WRONG_USE)
    if options.name is None:
        return _get_all(session)
    found, problems = session.objects(options.name)
    group = one_group(found, problems)
    wide = options.output == "wide"
    if options.output in ("json", "yaml"):
        session.show_value(group_json(group, now()), options.output)
    elif not options.watch:
        session.show(tree(group, now(), wide=wide))
    else:
        with Watches(session.kubectl, selected(options.name), group.namespace, found) as watches:

            def view(moment: datetime) -> str | None:
                objects = {kind: [*found.values()] for kind, found in watches.objects.items()}
                return tree(one_group(objects, problems), moment, wide=wide) if objects["rendezvous"] else None

            _follow(session, watches, view, f"{options.name} is gone: it was deleted")
    return DONE


def _get_all(session: Session) -> int:
    options = session.options
    everywhere = ["--all-namespaces"] if options.all_namespaces else []
    namespace = "" if options.all_namespaces else None
    groups = groups_of(session.kubectl.items(RENDEZVOUS, *everywhere, namespace=namespace))
    style = {"wide": options.output == "wide", "all_namespaces": options.all_namespaces}
    if options.output in ("json", "yaml"):
        moment = now()
        session.show_value({"groups": [group_json(group, moment) for group in groups]}, options.output)
    elif options.watch:
        with Watches(session.kubectl, {"rendezvous": (RENDEZVOUS, *everywhere)}, namespace) as watches:

            def view(moment: datetime) -> str | None:
                found = groups_of(watches.objects["rendezvous"].values())
                return groups_table(found, moment, **style) if found else None

            _follow(session, watches, view, None)
    elif groups:
        session.show(groups_table(groups, now(), **style))
    else:
        where = "in any namespace" if options.all_namespaces else f"in the namespace {session.kubectl.where()}"
        print(f"There is no Rendezvous {where}.", file=sys.stderr)
    return DONE


def _follow(session: Session, watches: Watches, view: Callable[[datetime], str | None], gone: str | None) -> None:
    """Show the view each time that it is another one, until it is gone.

    On a terminal it is drawn again in the same place, and the ages in it count as a change. Elsewhere only what has
    happened does, so that a log has no line without news.
    """
    first = datetime.min.replace(tzinfo=timezone.utc)
    shown: str | None = None
    begun = False
    while True:
        changed = watches.changes(_TICK_SECONDS)
        moment = now()
        text = view(moment)
        if text is None:
            if begun and gone is not None and changed:
                raise CommandError(gone)
            continue
        begun = True
        # At a moment before all others every age is 0.
        news = text if session.terminal else view(first)
        if news == shown:
            continue
        if session.terminal:
            sys.stdout.write("\x1b[H\x1b[2J\x1b[3J")
        elif shown is not None:
            print()
        session.show(text)
        shown = news


def why(session: Session) -> int:
    """``kubectl rdzv why``."""
    from kube_rendezvous_cli.why import why as explained

    session.show(explained(session.group(session.options.name), now()))
    return DONE


def history(session: Session) -> int:
    """``kubectl rdzv history``."""
    from kube_rendezvous_cli.history import history as told
    from kube_rendezvous_cli.history import history_json

    group, moment = session.group(session.options.name), now()
    session.show_rounds(group, moment, lambda: told(group, moment), lambda: history_json(group, moment))
    return DONE


def act(session: Session) -> int:
    """``restart``, ``suspend``, ``resume``, ``close``, ``reopen`` and ``retry``."""
    options = session.options
    group = session.group(options.name)
    return _carry_out(session, group, actions.PLANS[options.command](group, now()))


def evict(session: Session) -> int:
    """``kubectl rdzv evict``."""
    wanted = session.options.participant
    found = session.kubectl.items(PARTICIPANTS)
    owners = [
        item["spec"]["rendezvousName"]
        for item in found
        if wanted in (item["metadata"]["name"], item.get("spec", {}).get("podName"))
    ]
    if not owners:
        known = ", ".join(sorted(item["metadata"]["name"] for item in found)) or "none"
        raise CommandError(f"there is no participant {wanted!r}, nor one in a pod of that name; there are: {known}")
    group = session.group(owners[0])
    participant = actions.named(group, wanted)
    if participant is None:
        raise CommandError(f"{wanted} has left in this moment")
    return _carry_out(session, group, actions.evict(group, participant))


def _carry_out(session: Session, group: Group, plan: actions.Plan) -> int:
    print(f"This {safe(plan.says)}", file=sys.stderr)
    if not session.options.yes:
        if not sys.stdin.isatty():
            raise CommandError("there is no terminal to ask at: give --yes", WRONG_USE)
        print("Do it? [y/N] ", end="", file=sys.stderr, flush=True)
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            print("Nothing is done.", file=sys.stderr)
            return DECLINED
    plan.carry_out(session.kubectl, group)
    session.show(plan.done)
    return DONE


def wait(session: Session) -> int:
    """``kubectl rdzv wait``."""
    from kube_rendezvous_cli.waiting import NOT_ANY_MORE, line, outcome

    options = session.options
    group = session.group(options.name)
    until = None if options.timeout is None else time.monotonic() + options.timeout
    with Watches(session.kubectl, {"rendezvous": (RENDEZVOUS, options.name)}, group.namespace) as watches:
        shown = ""
        while True:
            if line(group) != shown:
                shown = line(group)
                session.show(shown)
            if (found := outcome(group, options.goal)) is not None:
                return OTHERWISE if found is NOT_ANY_MORE else DONE
            left = None if until is None else until - time.monotonic()
            if left is not None and left <= 0:
                print(f"{options.name} is not {options.goal} after {options.timeout:g} s", file=sys.stderr)
                return TIMED_OUT
            changed = watches.changes(_TICK_SECONDS if left is None else min(_TICK_SECONDS, left), together=0.0)
            items = [*watches.objects["rendezvous"].values()]
            if items:
                group = group_of(items[0], (), ())
            elif changed:
                _must_be_there(session, options.name)


def _must_be_there(session: Session, name: str) -> None:
    """A watch that begins has no object for a moment, and one whose object was deleted has none, too."""
    session.kubectl.run("get", RENDEZVOUS, name, "--output=name")


def logs(session: Session) -> int:
    """``kubectl rdzv logs``."""
    from kube_rendezvous_cli.logs import Source, sources, window, within

    options = session.options
    group = session.group(options.name)
    found = sources(group, options.rank)
    limits = window(group, options.round) if options.round is not None else None
    if limits is not None and options.round != group.status.round:
        print(
            f"The ranks are those of round {group.status.round}; in round {options.round} they may differ.",
            file=sys.stderr,
        )
    more = []
    if options.tail is not None:
        more.append(f"--tail={options.tail}")
    if options.follow:
        more.append("--follow")
    if options.previous:
        more.append("--previous")
    if limits is not None:
        more += ["--timestamps", f"--since-time={limits.begin}"]
    # What is in a log was written for a terminal; but several logs at once would mix their commands to it.
    several = len(found) > 1
    lock = threading.Lock()
    failed: list[str] = []

    def read(source: Source) -> None:
        container = [f"--container={source.container}"] if source.container else []
        command = session.kubectl.command("logs", source.pod, *container, *more, namespace=group.namespace)
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            encoding="utf-8", errors="replace",
        ) as process:  # fmt: skip
            assert process.stdout is not None
            for raw in process.stdout:
                text = raw.rstrip("\n")
                shown = text if limits is None else within(text, limits)
                if shown is not None:
                    with lock:
                        print(f"[{source.prefix}] {safe(shown)}" if several else shown, flush=True)
        if process.returncode:
            failed.append(source.pod)

    if options.follow and several:
        threads = [threading.Thread(target=read, args=(source,)) for source in found]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    else:
        for source in found:
            read(source)
    return FAILED if failed else DONE


def doctor(session: Session) -> int:
    """``kubectl rdzv doctor``."""
    from kube_rendezvous_cli import doctor as checks
    from kube_rendezvous_cli.facts import gather

    found = checks.diagnose(gather(session.kubectl, session.options.account), now())
    if session.options.output == "json":
        session.show_value([vars(finding) for finding in found], "json")
    else:
        session.show(checks.report(found))
    return OTHERWISE if any(finding.level == checks.PROBLEM for finding in found) else DONE


def simulate(session: Session) -> int:
    """``kubectl rdzv simulate``."""
    core.needed("simulate")
    from kube_rendezvous_cli.simulator.run import simulate as run

    return run(session)


def whatif(session: Session) -> int:
    """``kubectl rdzv whatif``."""
    core.needed("whatif")
    from kube_rendezvous_cli.simulator.run import whatif as run

    return run(session)


def dashboard(session: Session) -> int:
    """``kubectl rdzv dashboard``."""
    from kube_rendezvous_cli.dashboard.command import run

    return run(session.kubectl, session.options)


def inject(session: Session) -> int:
    """``kubectl rdzv inject``."""
    from kube_rendezvous_cli.inject import run

    return run(session.kubectl, session.options)


def replay(session: Session) -> int:
    """``kubectl rdzv replay``."""
    core.needed("replay")
    from kube_rendezvous_cli.replay.run import run

    return run(session.options, session.show, session.show_value)


COMMANDS: dict[str, Callable[[Session], int]] = {
    "get": get, "why": why, "history": history, "evict": evict, "wait": wait, "logs": logs, "inject": inject,
    "doctor": doctor, "simulate": simulate, "whatif": whatif, "replay": replay, "dashboard": dashboard,
    **dict.fromkeys(actions.PLANS, act),
}  # fmt: skip
