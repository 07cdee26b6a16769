"""`report.html` opens without a network, runs nothing, and shows what the worklog shows."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest
import worklogs
from slow import but_slow

from loopctl.model.events import ChangeSeen, CommitChanged, NotChecked
from loopctl.model.evidence import CaseStatus
from loopctl.model.finding import Change, Finding, Quote, Sightings, Why
from loopctl.reports.html import report_html

VOID = {"meta", "br", "input"}
OURS = {
    *("html", "head", "meta", "title", "style", "body", "header", "nav", "main", "footer"),
    *("h1", "h2", "h3", "h4", "h5", "p", "dl", "dt", "dd", "div", "section", "article"),
    *("span", "code", "pre", "b", "i", "em", "small", "time", "ol", "ul", "li", "a", "br"),
    *("details", "summary", "table", "thead", "tbody", "tr", "th", "td"),
    *("label", "input", "select", "option", "output", "script"),
    *("svg", "desc", "rect", "text", "path"),
}


class _Page(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def page_of(finding: Finding) -> _Page:
    log = worklogs.red().worklog()
    (cycle,) = log.cycles
    return _Page(report_html(replace(log, cycles=(replace(cycle, findings=(finding,)),))))


@pytest.mark.parametrize("name", worklogs.ALL)
def test_every_run_makes_a_whole_page_of_our_own_tags_that_loads_nothing(name: str) -> None:
    page = _Page(report_html(worklogs.ALL[name]().worklog()))
    assert set(page.tags) <= OURS
    assert page.open == []
    names = {attribute for attribute, _ in page.attributes}
    assert not names & {"src", "srcset", "background", "action", "style"}
    assert not [each for each in names if each.startswith("on")]
    assert page.tags.count("script") == page.tags.count("style") == 1
    assert "url(" not in page.text
    assert "@import" not in page.text


def test_a_line_of_ten_megabytes_leaves_a_page_that_can_be_opened() -> None:
    assert len(report_html(worklogs.hostile("x" * 10_000_000).worklog())) < 300_000


@pytest.mark.parametrize("char", but_slow(["a", "<", "é"], ("<",)))
def test_a_thousand_tests_that_say_as_much_as_they_can_leave_a_page_below_a_megabyte(
    char: str,
) -> None:
    long = char * 1000
    cases = [
        worklogs.case(f"test_{n}{long}", CaseStatus.FAILED, message=long, detail=long * 5)
        for n in range(1000)
    ]
    log = worklogs.red().worklog()
    (cycle,) = log.cycles
    quotes = (Quote("log", "logs/1/chat.jsonl#1", long),) * 50
    whys = (Why(long, long, "observed", 0),) * 10
    findings = tuple(
        replace(worklogs.FINDING, fingerprint=f"{n}", evidence=quotes, whys=whys) for n in range(30)
    )
    suite = replace(cycle.suites["p1-critical"], cases=tuple(cases))
    suites = {"p1-critical": suite}
    page = report_html(replace(log, cycles=(replace(cycle, suites=suites, findings=findings),)))
    assert len(page.encode()) < 1_000_000
    assert "more in result.json" in page


def test_a_thousand_findings_leave_a_page_that_can_be_opened_and_are_counted() -> None:
    log = worklogs.red().worklog()
    (cycle,) = log.cycles
    many = tuple(replace(worklogs.FINDING, fingerprint=f"v1|{n}") for n in range(1000))
    html = report_html(replace(log, cycles=(replace(cycle, findings=many),)))
    assert len(html) < 300_000
    assert "980 findings more in result.json" in html


def test_the_page_shows_verdict_brief_quotes_whys_and_what_was_tried() -> None:
    page = _Page(report_html(worklogs.red().worklog()))
    for text in (
        "golden-path on local: red",
        "LIKELY CAUSE",
        "TypeError: got an unexpected keyword 'success'",
        "(hypothesis, no captured evidence)",
        "What was tried",
        "person (propose), proposed",
    ):
        assert text in page.text, text
    assert page.attributes.count(("role", "img")) == 1


def test_what_changed_since_green_is_listed_and_nothing_is_said_to_be_nothing() -> None:
    assert "nothing that loopctl knows of: no commit" in report_html(worklogs.red().worklog())
    script = worklogs.red()
    touched = CommitChanged("abc123" * 6, "Rewrite it", "R0", ("chat/live.py",))
    script.add(touched, service="chat")
    edits = Change("commit", "edits", "edits that no commit holds", "chat")
    script.add(ChangeSeen(edits, "R0"), service="chat")
    page = _Page(report_html(script.worklog()))
    assert "Rewrite it chat/live.py" in page.text
    assert "chat: edits that no commit holds" in page.text


def test_what_is_unknown_comes_with_the_command_that_would_find_out() -> None:
    script = worklogs.red()
    script.add(NotChecked("the cause", "what chat logged", "docker logs chat-1"))
    html = report_html(script.worklog())
    assert "to find out: <code>docker logs chat-1</code>" in html


def test_a_known_issue_is_named_and_linked_only_where_a_browser_may_go() -> None:
    since = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)
    links = (
        "https://github.com/shop/chat/issues/265",
        "javascript:alert(1)",
        "http://plain.example/1",
        "https://evil.example/\u202egpj",
    )
    seen = Sightings(7, "20261102-080000-golden-path-aaaa", since)
    page = page_of(replace(worklogs.FINDING, links=links, seen=seen))
    led = [value for name, value in page.attributes if name == "href" and value is not None]
    assert [value for value in led if not value.startswith("#")] == [links[0]]
    assert "#265" in page.text
    assert "seen in 7 earlier runs since 2026-11-02" in page.text
