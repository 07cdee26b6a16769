"""One issue for each cause, on a GitHub that knows nothing but what GitHub publishes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest
from github_rig import CLOSED_1000, UNKNOWN, a_run, repository
from github_server import TOKEN, Fault, GitHub, Request, github
from markdown_it import MarkdownIt

from loopctl.integrations.github.answers import Answer
from loopctl.integrations.github.client import Repository
from loopctl.integrations.github.issues import Issues
from loopctl.integrations.github.marks import BEGIN, cause_mark, run_mark
from loopctl.model.state import Verdict
from loopctl.ports.announcer import AnnouncedCause, AnnounceError, Announcement
from loopctl.process import Stop
from loopctl.redact import Secret


class Killed(BaseException):
    """Stands for a process that is there no more."""


class Dying(Repository):
    """Its process ends where the request after so many would have gone out."""

    def __init__(self, hub: GitHub, after: int) -> None:
        super().__init__(hub.url, hub.repository, Secret("github.token", TOKEN))
        self._left = after

    def _sent(self, *asked: Any) -> Answer:
        if not self._left:
            raise Killed
        self._left -= 1
        return super()._sent(*asked)


@pytest.fixture
def hub() -> Iterator[GitHub]:
    with github() as running:
        yield running


def tell(hub: GitHub, *runs: Announcement, labels: tuple[str, ...] = ()) -> list[str]:
    said: list[str] = []
    for run in runs:
        said += Issues(repository(hub), labels).announce(run, Stop(20))
    return said


def test_a_cause_has_one_issue_however_often_it_is_seen(hub: GitHub) -> None:
    said = tell(hub, a_run(1, causes=(CLOSED_1000, UNKNOWN)), a_run(2), a_run(3), labels=("bug",))
    first, second = hub.issues.values()
    assert first["title"] == (
        "deploy: The service closes live sockets in the middle, as if all were well — chat"
    )
    assert second["title"] == "deploy: no known cause: assert 3 == 4 — api"
    assert hub.labels_of(first["number"]) == ["loopctl", "bug"]
    assert len(hub.comments[first["number"]]) == 2
    assert "Seen in 3 runs, since 2026-11-22 11:00 UTC" in first["body"]
    assert said == ["opened issue #1", "opened issue #2", *["told it on issue #1"] * 2]


def test_the_same_run_is_told_once_however_often_it_is_told(hub: GitHub) -> None:
    tell(hub, a_run(1), a_run(2))
    written = len(hub.asked("POST")) + len(hub.asked("PATCH"))
    said = tell(hub, a_run(2), a_run(1))
    assert said == ["issue #1 tells of this run already"] * 2
    assert len(hub.asked("POST")) + len(hub.asked("PATCH")) == written


@pytest.mark.parametrize("after", range(1, 8))
def test_a_kill_after_any_request_leaves_nothing_twice(hub: GitHub, after: int) -> None:
    tell(hub, a_run(1))
    both = a_run(2, causes=(CLOSED_1000, UNKNOWN))
    with pytest.raises(Killed):
        Issues(Dying(hub, after)).announce(both, Stop(20))
    tell(hub, both)
    known, unknown = hub.issues.values()
    assert len(hub.comments[1]) == 1
    assert "Seen in 2 runs" in known["body"]
    assert "Seen in 1 run," in unknown["body"]


def test_what_people_wrote_into_the_body_stays(hub: GitHub) -> None:
    tell(hub, a_run(1))
    above, below = "We know: see the runbook.\r\n\r\n", "\n\n- [ ] ask *Ann*\n"
    # As GitHub's own page keeps what is typed there.
    block = hub.issues[1]["body"].replace("\n", "\r\n")
    hub.issues[1]["body"] = above + block + below
    tell(hub, a_run(2))
    body = hub.issues[1]["body"]
    assert body.startswith(above)
    assert body.endswith(below)
    assert body.count(BEGIN) == 1
    assert "Seen in 2 runs" in body


@pytest.mark.parametrize(
    "damage",
    [("loopctl:end", "gone"), ("loopctl:seen {", "loopctl:seen ["), ("loopctl:begin", "x")],
)
def test_a_damaged_body_loses_nothing_and_is_written_again(
    hub: GitHub, damage: tuple[str, str]
) -> None:
    tell(hub, a_run(1))
    hub.issues[1]["body"] = "Mine." + hub.issues[1]["body"].replace(*damage)
    tell(hub, a_run(2), a_run(3))
    assert hub.issues[1]["body"].startswith("Mine.")
    assert "Seen in" in hub.issues[1]["body"]
    assert len(hub.issues) == 1


def test_a_closed_issue_is_told_and_stays_closed(hub: GitHub) -> None:
    tell(hub, a_run(1))
    hub.issues[1]["state"] = "closed"
    assert tell(hub, a_run(2)) == ["told it on issue #1, which is closed"]
    assert "This issue is closed" in hub.comments[1][0]["body"]
    assert hub.issues[1]["state"] == "closed"
    assert all("state" not in (request.body or {}) for request in hub.requests)


def test_the_table_is_bounded_newest_first_and_the_count_is_kept(hub: GitHub) -> None:
    for number in range(1, 24):
        tell(hub, a_run(number))
    body = hub.issues[1]["body"]
    rows = [line for line in body.splitlines() if line.startswith("| 2026")]
    assert len(rows) == 20
    assert a_run(23).run_id in rows[0]
    assert "Seen in 23 runs, since 2026-11-22 11:00 UTC" in body
    assert "and in 3 before these" in body


def test_a_body_that_others_have_filled_gets_a_smaller_table_or_none(hub: GitHub) -> None:
    tell(hub, a_run(1))
    block = hub.issues[1]["body"]
    hub.issues[1]["body"] = block + "\n" + "x" * (65_536 - len(block) - 1)
    tell(hub, a_run(2))
    assert "Seen in 2 runs" in hub.issues[1]["body"]
    assert CLOSED_1000.quote not in hub.issues[1]["body"]
    hub.issues[1]["body"] = cause_mark(CLOSED_1000.fingerprint) + "\n" + "x" * 65_000
    with pytest.raises(AnnounceError, match="issue #1 is too long"):
        tell(hub, a_run(3))
    assert len(hub.comments[1]) == 2


def test_the_worst_five_causes_are_told(hub: GitHub) -> None:
    many = tuple(replace(UNKNOWN, fingerprint=f"v1|message|{n}") for n in range(8))
    rest = replace(UNKNOWN, fingerprint="v1|message|<num> more kinds of failure")
    bare = replace(UNKNOWN, fingerprint="v1|message|no line", quote=None)
    said = tell(hub, a_run(1, causes=(rest, bare, CLOSED_1000, *many)))
    assert said[-1] == "6 more without an issue of their own"
    assert len(hub.issues) == 5
    assert cause_mark(CLOSED_1000.fingerprint) in hub.issues[1]["body"]


@pytest.mark.parametrize("verdict", ["green", "locked", "interrupted", "internal", "preflight"])
def test_a_run_that_has_shown_nothing_opens_no_issue(hub: GitHub, verdict: str) -> None:
    tell(hub, a_run(1, verdict=Verdict(verdict)))
    assert not hub.requests


HOSTILE = (
    "@everyone fixes #1 GH-2 Duplicate of #3 shop/api#4 <img src=x onerror=alert(1)>\n"
    "<!-- loopctl:end -->\n```\n<!-- loopctl:cause v1:" + "0" * 32 + " -->\n"
    "[x](https://evil.example.test) https://evil.example.test\x1b[31m \u202e"
)


def test_nothing_that_was_captured_takes_effect(hub: GitHub) -> None:
    bad = AnnouncedCause(HOSTILE, HOSTILE, None, HOSTILE, 0.0, HOSTILE, HOSTILE, HOSTILE, 2)
    tell(hub, a_run(1, causes=(bad,)), a_run(2, causes=(bad,)), a_run(3, causes=(bad,)))
    assert len(hub.issues) == 1
    assert "Seen in 3 runs" in hub.issues[1]["body"]
    for text in (hub.issues[1]["body"], *(each["body"] for each in hub.comments[1])):
        page = Page(text)
        assert not page.tags & {"img", "a", "script"}
        assert not re.search(r"@\w|#\d|GH-\d", page.said)
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert f"v1:{'0' * 32} -->" not in [line.strip() for line in text.splitlines()]
    title = hub.issues[1]["title"]
    assert "@e" not in title
    assert "#1" not in title
    assert len(title) <= 256


class Page(HTMLParser):
    """A text as it is rendered: its tags, and what is said outside of code."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.said = ""
        self._code = 0
        self.feed(MarkdownIt("commonmark").enable("table").render(text))

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)
        self._code += tag in ("code", "pre")

    def handle_endtag(self, tag: str) -> None:
        self._code -= tag in ("code", "pre")

    def handle_data(self, data: str) -> None:
        self.said += "" if self._code else data


def test_a_list_of_many_issues_is_read_to_its_end(hub: GitHub) -> None:
    tell(hub, a_run(1))
    for _ in range(230):
        hub.issue("", labels=[hub.label("loopctl")])
    tell(hub, a_run(2))
    assert len(hub.issues) == 231
    assert len(hub.comments[1]) == 1


def test_an_issue_that_lost_its_label_is_found_and_an_outsiders_copy_is_not(hub: GitHub) -> None:
    tell(hub, a_run(1))
    body = hub.issues[1]["body"]
    hub.issues[1]["labels"] = []
    hub.issue(body, by="mallory")
    hub.issue(
        body, pull_request={"url": "u", "html_url": None, "diff_url": None, "patch_url": None}
    )
    tell(hub, a_run(2))
    assert (len(hub.comments[1]), len(hub.comments[2]), len(hub.issues)) == (1, 0, 3)


def test_a_token_that_may_not_label_is_said_and_makes_no_second_issue(hub: GitHub) -> None:
    hub.may_label, hub.login = False, "ann"
    with pytest.raises(AnnounceError, match="issue #1 is without the label loopctl"):
        tell(hub, a_run(1))
    tell(hub, a_run(2))
    assert (len(hub.issues), len(hub.comments[1])) == (1, 1)


@pytest.mark.parametrize(
    "how", [{"cut": True}, {"status": 502}, {"status": 500, "body": b"<html>"}]
)
@pytest.mark.parametrize("does", [True, False])
def test_what_may_have_been_made_is_looked_for_before_it_is_made_again(
    hub: GitHub, how: dict[str, object], does: bool
) -> None:
    hub.faults.append(Fault("POST", "/issues", does=does, **how))  # type: ignore[arg-type]
    tell(hub, a_run(1))
    hub.faults.append(Fault("POST", "/comments", does=does, **how))  # type: ignore[arg-type]
    tell(hub, a_run(2))
    assert (len(hub.issues), len(hub.comments[1])) == (1, 1)
    assert "Seen in 2 runs" in hub.issues[1]["body"]


def test_two_runs_at_the_same_moment_end_with_one_issue_that_is_kept_up(hub: GitHub) -> None:
    """The other run's issue appears between this run's look and its own."""

    def meanwhile(request: Request) -> None:
        if request.method == "POST" and request.path.endswith("/issues"):
            hub.before = lambda _: None
            tell(hub, a_run(2))

    hub.before = meanwhile
    tell(hub, a_run(1))
    assert len(hub.issues) == 2
    assert "This is the same as #1" in hub.issues[2]["body"]
    tell(hub, a_run(3))
    assert "Seen in 3 runs" in hub.issues[1]["body"]
    assert run_mark(a_run(3).run_id) in hub.comments[1][-1]["body"]
    assert not hub.comments[2]
