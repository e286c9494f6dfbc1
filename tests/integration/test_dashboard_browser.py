"""The page of `kubectl rdzv dashboard` in a real browser, with the real kubectl, API server and operator.

``PICTURES=docs/images`` in the environment renews the pictures of the documentation.
"""

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from pathlib import Path

import pytest
from tests.integration.cli_support import ROOT, Rdzv
from tests.integration.dashboard_support import Dashboard
from tests.integration.life import Life
from tests.integration.operator_support import Group, Operators
from tests.support import objects
from tests.support.api import Api, Json, create_namespace
from tests.support.browser import Browser, program
from tests.support.proxy import Proxy
from tests.support.waiting import wait_until

from rendezvous_api import names
from rendezvous_api.meta import micro_time
from rendezvous_controlplane import ControlPlaneError, LocalControlPlane

pytestmark = pytest.mark.browser

MARKUP = "<img src=x onerror=alert(1)><script>alert(2)</script>"
TABLE = "[...document.querySelectorAll('#{} tr')].map((row) => [...row.children].map((cell) => cell.textContent))"
MOST_KIB = 150
"""Of a picture."""
AT_ONCE = 3


_LETTERS = iter("abcdefghijklmnopqrstuvwxyz")


@pytest.fixture
def namespace(control_plane: LocalControlPlane) -> str:
    """With a name that looks well in the pictures."""
    return create_namespace(control_plane, f"team-{next(_LETTERS)}")


@pytest.fixture
def rdzv(control_plane: LocalControlPlane, namespace: str, tmp_path: Path) -> Rdzv:
    return Rdzv(control_plane, namespace, tmp_path)


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    """A browser without a screen."""
    try:
        program()
    except FileNotFoundError as error:
        pytest.fail(str(error), pytrace=False)
    with Browser(tmp_path) as started:
        started.look()
        yield started


@pytest.fixture
def dashboard(rdzv: Rdzv, browser: Browser) -> Iterator[Dashboard]:
    """One that serves the page that the browser shows. The page asks for nothing from elsewhere, and has no error."""
    with Dashboard(rdzv) as started:
        browser.open(started.address)
        yield started
        assert browser.said() == []
        assert [address for address in browser.asked() if not address.startswith(started.address)] == []


def table(browser: Browser, body: str = "nodes-body") -> list[list[str]]:
    """The texts of all cells."""
    found: list[list[str]] = browser.value(TABLE.format(body))
    return found


def states(browser: Browser) -> dict[str, str]:
    """What the table says of each node, by its pod."""
    return {row[1]: row[3] for row in table(browser)}


def until(browser: Browser, wanted: dict[str, str]) -> None:
    """Wait until the table has these nodes, with states that begin so."""

    def shown() -> bool:
        found = states(browser)
        return found.keys() == wanted.keys() and all(found[name].startswith(wanted[name]) for name in wanted)

    try:
        wait_until(shown, "the table", timeout=60)
    except AssertionError as error:
        raise AssertionError(f"wanted {wanted}, and it shows {table(browser)}") from error


def text(browser: Browser, name: str) -> str:
    return str(browser.value(f"document.getElementById('{name}').textContent"))


def picture(browser: Browser, name: str, tmp_path: Path, *, most: int = 1400) -> None:
    """Take one of at most that height, light and dark."""
    folder = ROOT / os.environ["PICTURES"] if os.environ.get("PICTURES") else tmp_path
    browser.look(size=(1100, 900))
    height = min(most, browser.value("Math.ceil(document.getElementById('main').getBoundingClientRect().bottom)"))
    for dark in (False, True):
        browser.look(dark=dark, size=(1100, height))
        taken = browser.picture()
        assert taken.startswith(b"\x89PNG")
        assert len(taken) < MOST_KIB * 1024, f"{name} has {len(taken) // 1024} KiB"
        (folder / f"page-{name}-{'dark' if dark else 'light'}.png").write_bytes(taken)
    browser.look()


def open_group(browser: Browser, name: str = "train") -> None:
    browser.wait(
        f"[...document.querySelectorAll('#groups-body a')].some((link) => link.textContent === '{name}')", name
    )
    browser.press("ArrowDown", "Enter")
    browser.wait("!document.getElementById('group-there').hidden", "the group")


def compared(browser: Browser, life: Life, rdzv: Rdzv) -> None:
    """What is shown is what the objects say, and what the other commands say: soon, since both change meanwhile."""

    def equal() -> bool:
        said, status, rows = rdzv("get", "train", "-o", "json").value, life.group.status, table(browser)
        nodes = [
            [node["pod"] or node["participant"], node["machine"] or "", node["evidence"] or ""]
            for node in said["nodes"]
            if node["kind"] != "heldOut"  # its evidence counts seconds
        ]
        ranks = [(str(member.rank), member.name.removeprefix("train.")) for member in status.participants]
        rounds = [str(each.round) for each in reversed(status.history)]
        first = text(browser, "why-text").partition(" for ")[0]
        return (
            [[row[1], row[2], row[5]] for row in rows if row[0] != "x"] == nodes
            and [(row[0], row[1].removeprefix("train.")) for row in rows if row[0].isdecimal()] == ranks
            and text(browser, "group-state") == said["state"] == str(status.summary and status.summary.state)
            and [row[0] for row in table(browser, "rounds-body")] == rounds
            and rdzv("why", "train").out.startswith(first)
        )

    wait_until(equal, f"the page to show the objects; it has {table(browser)}", timeout=20)


def says_check_in_failed(life: Life, name: str, reached: bool, *missing: str) -> None:
    """An agent joins again, since the members of the round have not all met at its store."""
    agent, pod = life.agents[name], life.pods[name]["metadata"]
    agent["attempt"] += 1
    seen = {"round": life.group.status.round, "reachedStore": reached, "missing": [f"train.{each}" for each in missing]}
    in_pod = {"podName": name, "podUID": pod["uid"], "nodeName": life.pods[name]["spec"]["nodeName"]}
    life.group.join(name, **in_pod, **agent, attemptReason="CheckInFailed", checkIn=seen)
    life.beat(name)


def test_a_group_is_shown_as_it_is(
    group: Group, operators: Operators, rdzv: Rdzv, browser: Browser, dashboard: Dashboard, tmp_path: Path
) -> None:
    """A node joins, one is lost, one is held out, and the user suspends the group."""
    operators.start("--namespace", group.namespace)
    life = Life(group)
    browser.wait("!document.getElementById('groups-none').hidden", "no group")
    group.create(minNodes=2, maxNodes=4, lastCallSeconds=3600, replacementSeconds=3600)
    life.start("train", 0, 1, 2)
    open_group(browser)
    until(browser, dict.fromkeys(("train-0", "train-1", "train-2"), "waits for a round"))
    compared(browser, life, rdzv)

    life.start("train", 3)  # it joins, and the round is full
    life.until("Running")
    life.beat("train-0", "train-1", "train-2", "train-3", round_number=1)
    until(browser, dict.fromkeys(("train-0", "train-1", "train-2", "train-3"), "training"))
    compared(browser, life, rdzv)

    life.lose("train-3")
    stay = ("train-0", "train-1", "train-2")
    life.ask(*stay)
    until(browser, {**dict.fromkeys(stay, "has joined again"), "train.train-3": "gone"})
    compared(browser, life, rdzv)
    life.start("train", 4)  # its replacement
    group.wait_for_round(2)
    life.beat(*stay, "train-4", round_number=2)
    until(browser, dict.fromkeys((*stay, "train-4"), "training"))
    compared(browser, life, rdzv)

    life.edit(replacementSeconds=0)
    for name in stay:
        says_check_in_failed(life, name, True, "train-4")
    says_check_in_failed(life, "train-4", False)
    group.wait_for_round(3)
    life.beat(*stay, round_number=3)
    labels = {"labels": {names.LABEL_RENDEZVOUS: "train"}}
    group.api.create(objects.pod("train-5", metadata=labels))
    no_machine = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    no_machine["message"] = "0/5 nodes are available: 5 Insufficient nvidia.com/gpu."
    group.api.patch("Pod", "train-5", {"status": {"phase": "Pending", "conditions": [no_machine]}}, "status")
    until(browser, {**dict.fromkeys(stay, "training"), "train-4": "held out", "train-5": "Pending"})
    (held,) = [row for row in table(browser) if row[0] == "x"]
    assert held[5].startswith("StoreNotReached")
    (missing,) = [row for row in table(browser) if row[0] == "?"]
    assert missing[5] == no_machine["message"]
    compared(browser, life, rdzv)
    picture(browser, "group", tmp_path)

    life.edit(suspend=True)
    browser.wait("document.getElementById('says').textContent === 'train is WaitingForMembers now'", "the new state")
    browser.press("Escape")
    browser.wait(
        "document.activeElement.closest('#groups-body')?.textContent.includes('train')", "the list, with it chosen"
    )
    (row,) = table(browser, "groups-body")
    assert row[1:3] == ["train", "WaitingForMembers"]
    group.delete_everything()
    browser.wait("!document.getElementById('groups-none').hidden", "the end")


def test_nothing_of_an_object_is_executed(
    group: Group, operators: Operators, browser: Browser, dashboard: Dashboard
) -> None:
    operators.start("--namespace", group.namespace)
    group.create()
    for node in ("a", "b"):
        group.join(node, runID=MARKUP)
    group.wait_for_round(1)
    group.api.create(objects.pod("train-1", metadata={"labels": {names.LABEL_RENDEZVOUS: "train"}}))
    group.api.patch("Pod", "train-1", {"status": {"phase": "Failed", "message": f"{MARKUP}\u202e"}}, "status")
    browser.wait("document.querySelector('#groups-body td:nth-child(9)')?.textContent.includes('<script>')", "the run")
    open_group(browser)
    browser.wait(f"({TABLE.format('nodes-body')}).length === 3", "all nodes")
    (row,) = [row for row in table(browser) if row[0] == "?"]
    assert f"{MARKUP}\\u202e" in row[5]
    for place in ("why-text", "group-facts"):
        assert MARKUP in text(browser, place)
    assert browser.value("document.querySelectorAll('main img, main script, main iframe').length") == 0
    # And if the page did: its policy refuses it. Here it is asked to, by a script that the policy counts for.
    tried = browser.value(
        "(() => { try { document.body.innerHTML = '<b>x</b>'; return 'done' } catch (error) { return error.name } })()"
    )
    assert tried == "TypeError"
    browser.value("document.head.append(Object.assign(document.createElement('img'), { src: 'https://example.com/' }))")
    refused = wait_until(lambda: [each for each in browser.said() if "Content Security Policy" in each], "the refusal")
    assert any("example.com" in each for each in refused)
    browser.events.clear()


def test_the_keyboard_reaches_everything(group: Group, rdzv: Rdzv, browser: Browser, dashboard: Dashboard) -> None:
    others = [Group(group.control_plane, group.namespace, name) for name in ("alpha", "beta", "gamma")]
    for each in others:
        each.create()
    group.create(minNodes=20, maxNodes=20)
    for number in range(16):
        group.join(f"n{number:02}", nodeName=f"gpu-{number // 8}")
    chosen = "document.activeElement.textContent"
    browser.wait(f"({TABLE.format('groups-body')}).length === 4", "all groups")
    browser.press("ArrowDown")
    assert browser.value(chosen) == "alpha"
    browser.press("ArrowDown", "ArrowDown", "ArrowUp", "End")
    assert browser.value(chosen) == "train"
    browser.press("Home", "ArrowUp")
    assert browser.value(chosen) == "alpha"
    outline = browser.value("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid", "who uses the keyboard sees where they are"
    browser.press("/", "a", "i")
    browser.wait(f"({TABLE.format('groups-body')}).length === 1", "the filter")
    assert table(browser, "groups-body")[0][1] == "train"
    browser.press("Escape")
    browser.wait(f"({TABLE.format('groups-body')}).length === 4", "all again")
    browser.press("End", "Enter")
    browser.wait("document.activeElement.id === 'group-title'", "the group, which a screen reader reads")
    browser.wait("document.querySelectorAll('#grid .cell').length === 16", "the grid")
    for _ in range(20):
        browser.press("Tab")
        if browser.value("document.activeElement.className") == "cell":
            break
    browser.press("ArrowRight", "ArrowRight")
    assert "train.n02 on gpu-0" in text(browser, "chosen")
    assert "train.n02 on gpu-0" in browser.value("document.activeElement.getAttribute('aria-label')")
    browser.value("document.getElementById('by-machine').click()")
    browser.value("document.querySelector('[aria-selected=true]').focus()")
    browser.press("ArrowDown")
    assert "train.n10 on gpu-1" in text(browser, "chosen")
    browser.press("End")
    assert "train.n15" in text(browser, "chosen")
    browser.press("Escape")
    browser.wait("document.activeElement.closest('#groups-body a')?.textContent === 'train'", "the list")
    for size in ((360, 800), (700, 800), (1600, 900)):
        browser.look(size=size)
        for view in ("#/", f"#/{group.namespace}/train"):
            browser.value(f"location.hash = '{view}'")
            browser.wait("!document.querySelector('main[aria-busy]')", "the view")
            assert browser.value("document.documentElement.scrollWidth <= window.innerWidth"), (size, view)


def test_what_is_not_live_is_said(group: Group, rdzv: Rdzv, browser: Browser, control_plane: LocalControlPlane) -> None:
    group.create()
    group.join("a")
    with Proxy(control_plane.port) as proxy:
        with Dashboard(rdzv, f"--server=https://127.0.0.1:{proxy.port}") as dashboard:
            browser.open(dashboard.address)
            open_group(browser)
            until(browser, {"train.a": "waits"})
            assert text(browser, "live").startswith("live ")
            proxy.refuse()
            browser.wait("document.getElementById('banner').textContent.startsWith('Stale since ')", "the banner")
            assert text(browser, "live").startswith("as of ")
            assert browser.value("document.title").startswith("stale, train")
            assert states(browser).keys() == {"train.a"}
            group.join("b")
            proxy.mend()
            until(browser, {"train.a": "waits", "train.b": "waits"})
            browser.wait("document.getElementById('banner').hidden", "all watches")
        browser.wait("document.getElementById('banner').textContent.includes('does not answer')", "the end of it")


def test_a_connection_that_has_died_is_noticed_within_a_minute(
    group: Group, rdzv: Rdzv, control_plane: LocalControlPlane
) -> None:
    """This is about kubectl, and needs no browser; it takes too long for the other tests."""
    group.create()
    with Proxy(control_plane.port) as proxy, Dashboard(rdzv, f"--server=https://127.0.0.1:{proxy.port}") as dashboard:
        one = dashboard.stream(group.namespace, "train")
        one.until(lambda view: view["group"] is not None, "the group")
        proxy.swallow()
        began = time.monotonic()
        wait_until(lambda: one.views[-1]["stale"], "what is stale", timeout=120)
        assert 30 < time.monotonic() - began < 75
        proxy.mend()
        wait_until(lambda: not one.views[-1]["stale"], "the next watches", timeout=120)


def at_once(group: Group, do: Callable[[Api, int], object], count: int) -> None:
    """Make many requests, some of them at a time; each may be made again."""
    made = [Api(group.control_plane, group.namespace) for _ in range(AT_ONCE)]

    def some(first: int) -> None:
        for number in range(first, count, AT_ONCE):
            for _ in range(10):
                try:
                    do(made[first], number)
                    break
                except ControlPlaneError as error:  # on a machine that is busy with something else
                    if "timed out" not in str(error):
                        raise
            else:
                raise AssertionError("the API server does not answer")

    with ThreadPoolExecutor(AT_ONCE) as pool:
        [*pool.map(some, range(AT_ONCE))]


def test_a_thousand_nodes_are_drawn_quickly(
    group: Group, operators: Operators, browser: Browser, dashboard: Dashboard, tmp_path: Path
) -> None:
    group.create(minNodes=2, maxNodes=1000, lastCallSeconds=600)

    def join(api: Api, number: int) -> None:
        api.apply(group.participant(f"n{number:04}", podIndex=number, nodeName=f"gpu-{number // 8:03}"))

    def beat(api: Api, rank: int, report: Json | None = None) -> None:
        status = {"incarnation": "aaaaaaaa", "attempt": 1, "round": 1, "rank": rank}
        status |= {"heartbeatTime": micro_time(datetime.now(timezone.utc))}
        status |= {"peers": {"report": report} if rank == 0 else {"host": "Answers"}}
        api.patch(names.PARTICIPANT_KIND, members[rank].name, {"status": status}, "status")

    at_once(group, join, 1000)
    operators.start("--namespace", group.namespace)
    members = group.wait_for_round(1).participants
    at_once(group, lambda api, rank: beat(api, rank, {"number": 1}), 1000)
    open_group(browser)
    browser.wait("document.querySelectorAll('#grid .cell').length === 1000", "all cells")
    browser.wait("document.querySelectorAll('#grid .cell[data-tone=good]').length === 1000", "the round")
    browser.wait("!document.getElementById('nodes-none').hidden", "no node that needs a look")
    beat(group.api, 0, {"number": 2, "missed": "17,403", "closed": "871"})
    browser.wait("document.querySelectorAll('#grid .cell[data-tone=waits]').length === 3", "those that are accused")
    assert [row[0] for row in table(browser)] == ["17", "403", "871"]
    assert all(row[3] == "accused" for row in table(browser))
    assert "no beats of it reach the host" in table(browser)[0][6]
    lines = (
        "[...document.querySelectorAll('#nodes-body td.name')].map((each) => {"
        " const range = document.createRange(); range.selectNodeContents(each); return range.getClientRects().length })"
    )
    assert set(browser.value(lines)) == {1}, "each name is in one line"
    picture(browser, "grid", tmp_path, most=800)
    browser.value(
        "new MutationObserver(() => (window.views = (window.views ?? 0) + 1))"
        ".observe(document.getElementById('live'), { childList: true })"
    )
    for step in ("document.getElementById('by-machine').click()", "document.getElementById('nodes-look').click()"):
        browser.value(step)
        browser.wait("window.views > 2", "a view")
        before, program_before = browser.processor_seconds(), dashboard.processor_seconds()
        browser.value("window.views = 0")
        browser.wait("window.views >= 4", "some views")
        views = browser.value("window.views")
        drawn = (browser.processor_seconds() - before) / views
        computed = (dashboard.processor_seconds() - program_before) / views
        print(f"{step}: for each view the browser needs {drawn:.3f} s of a processor, kubectl rdzv {computed:.3f} s")
        assert max(drawn, computed) < 0.5
    assert len(table(browser)) == 1000
