"""`worklog.md` renders as meant, whatever tests and services print, and its sums are right."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
import worklogs
from markdown_it import MarkdownIt

from loopctl.journal.fold import fold
from loopctl.model.events import CriteriaJudged
from loopctl.model.evidence import (
    CaseStatus,
    Control,
    CriterionJudgement,
    Grade,
    GradedCase,
    SuiteOutcome,
)
from loopctl.model.finding import ProposedRemedy
from loopctl.model.state import OutcomeKind, State
from loopctl.reports.markdown import worklog_markdown

OURS = {
    *("h1", "h2", "h3", "p", "ul", "ol", "li", "strong", "code", "pre", "details", "summary"),
    *("table", "thead", "tbody", "tr", "th", "td"),
}


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.headings: list[str] = []
        self.open = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.open += tag == "details"

    def handle_endtag(self, tag: str) -> None:
        self.open -= tag == "details"


def _render(markdown: str) -> tuple[str, _Tags]:
    html = (
        MarkdownIt("commonmark", {"html": True, "linkify": False}).enable("table").render(markdown)
    )
    tags = _Tags()
    tags.feed(html)
    return html, tags


@pytest.mark.parametrize("name", worklogs.ALL)
def test_every_run_renders_to_tags_that_are_ours_alone(name: str) -> None:
    _, tags = _render(worklog_markdown(worklogs.ALL[name]().worklog()))

    assert set(tags.seen) <= OURS
    assert tags.open == 0


def test_hostile_text_adds_no_heading_no_list_item_and_no_cell() -> None:
    markdown = worklog_markdown(worklogs.hostile("").worklog())
    hostile, tags = _render(markdown)

    assert "<script" not in hostile
    assert "<a " not in hostile
    assert "\x1b" not in hostile
    assert "\u202e" not in hostile
    assert tags.seen.count("h1") == 1
    for table in re.findall(r"(?:^\|.*\n)+", markdown, re.MULTILINE):
        edges = {len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()}
        assert len(edges) == 1, "a row has a cell more than its table has columns"


def test_a_line_of_ten_megabytes_leaves_a_report_that_can_be_opened() -> None:
    text = worklog_markdown(worklogs.hostile("x" * 10_000_000).worklog())

    assert len(text) < 1_000_000
    assert max(map(len, text.splitlines())) < 20_000


@pytest.mark.parametrize("status", [CaseStatus.PASSED, CaseStatus.FAILED])
def test_a_run_of_a_thousand_cases_stays_below_a_megabyte(status: CaseStatus) -> None:
    noise = "\n".join(f"line {n} of what it printed, over and over" for n in range(500))
    cases = [
        worklogs.case(f"test_{n}", status, detail=noise, output=noise, message="no " + "x" * 500)
        for n in range(1000)
    ]
    script = worklogs.Script().until_health({worklogs.OLD: 100}).healthy()
    script.verify(cases, SuiteOutcome.FAILED, ("many",), OutcomeKind.FAILED)

    text = worklog_markdown(script.worklog())

    assert len(text.encode()) < 1_000_000
    assert text.count("test\\_999") + text.count("test_999") > 0


def test_the_first_heading_is_the_verdict_and_the_brief_follows() -> None:
    lines = worklog_markdown(worklogs.red().worklog()).splitlines()

    assert lines[0] == "# golden-path on local: red"
    assert lines[2].startswith("- **USERS**: chat: chat-00001-old 100 %")


def test_a_failed_case_stands_there_with_assertion_place_and_output() -> None:
    html, _ = _render(worklog_markdown(worklogs.red().worklog()))

    assert "AssertionError: no agent_completed" in html
    assert "<code>tests/test_chat.py:41</code>" in html
    assert "closed 1000 main cleanup" in html


def test_the_counts_in_the_table_of_suites_add_up() -> None:
    script = worklogs.Script().until_health({worklogs.OLD: 100}).healthy()
    cases = [
        worklogs.case(f"test_{status}_{n}", status)
        for number, status in enumerate(CaseStatus, start=1)
        for n in range(number)
    ]
    script.verify(cases, SuiteOutcome.FAILED, ("so it is",), OutcomeKind.FAILED)

    text = worklog_markdown(script.worklog())

    (row,) = re.findall(r"^\| p1-critical \|.*$", text, re.MULTILINE)
    collected, *by_status = [int(cell) for cell in row.split("|") if cell.strip().isdigit()]
    assert by_status == [1, 2, 3, 4, 5, 6, 7]
    assert collected == sum(by_status)
    assert "## Cases that did not pass: 23" in text


def test_what_was_not_checked_is_listed() -> None:
    script = worklogs.Script(replace(worklogs.RUN, partial="--suite p1-critical"))
    script.until_health({worklogs.OLD: 100}).healthy()
    observed = worklogs.case("test_weak", grade=Grade.OBSERVED, reason="12 B out, 5 B in")
    skipped = worklogs.case("test_skipped", CaseStatus.SKIPPED)
    script.verify([*worklogs.PASSES, observed, skipped], SuiteOutcome.PASSED)

    text = worklog_markdown(script.worklog())
    listed = text[text.index("## Not checked") : text.index("## Timeline")]

    assert "1 case of suite p1-critical: skipped" in listed
    assert "1 of 5 passes of suite p1-critical: no receipt from the target itself" in listed
    assert "partial: --suite p1-critical" in listed
    assert "its journal has no end" in listed


def test_a_suite_that_never_ran_is_not_left_out() -> None:
    text = worklog_markdown(worklogs.preflight().worklog())

    assert "p1-critical counts as not-run, because the run ended before it" in text
    assert "suite p1-critical: the run ended before it" in text


def test_an_impact_is_never_printed_without_its_source() -> None:
    html, _ = _render(worklog_markdown(worklogs.green().worklog()))

    assert "Impact of chat: $120K MRR (source: finance 2025-Q3)." in html


def test_a_hypothesis_is_called_one() -> None:
    text = worklog_markdown(worklogs.red().worklog())

    assert "(observed, line 1 above)" in text
    assert "(hypothesis, no captured evidence)" in text


def test_cycles_tell_what_was_fixed_what_is_new_and_what_persists() -> None:
    text = worklog_markdown(worklogs.two_cycles().worklog())

    assert "Compared with cycle 1: 1 fixed, 1 new, 1 persisting." in text


@pytest.mark.parametrize("name", worklogs.ALL)
def test_a_run_that_was_killed_anywhere_has_a_worklog(name: str) -> None:
    events = worklogs.ALL[name]().events

    for end in range(1, len(events), 3):
        assert "not ended" in worklog_markdown(fold(events[:end])).splitlines()[0]


def test_a_new_revision_that_no_grade_rests_on_is_not_checked() -> None:
    script = worklogs.Script().until_health({worklogs.OLD: 100}).healthy()
    elsewhere = worklogs.case("test_other", reason="receipt: GET / 200 on files-00001-abc")
    script.verify([elsewhere], SuiteOutcome.PASSED)

    text = worklog_markdown(script.worklog())
    listed = text[text.index("## Not checked") : text.index("## Timeline")]

    assert f"what {worklogs.NEW} does: no pass rests on a receipt from it; who called" in listed
    assert "no pass rests on" not in worklog_markdown(worklogs.green().worklog())


def test_criteria_stand_in_a_table_with_what_was_measured() -> None:
    script = worklogs.Script().until_health({worklogs.OLD: 100}).healthy()
    judged = (
        CriterionJudgement("http.p95", "<=", "2s", 2.3141, 200, 20, met=False),
        CriterionJudgement("error_rate", "<=", "0.05", 0.0, 200, 1, met=True),
        CriterionJudgement("ws.connect.p95", "<=", "500ms", None, 0, 5, met=None),
        CriterionJudgement("a|b`c", "<=", "<script>", 1.0, 1, 1, met=True),
    )
    script.stage(State.VERIFY, inside=[(CriteriaJudged(judged), None, None)])
    text = worklog_markdown(script.worklog())

    html, tags = _render(text)
    assert set(tags.seen) <= OURS
    rows = re.findall(r"<td>(.*?)</td>", html[html.index("Criteria</h2>") :])[:15]
    assert rows == [
        *("http.p95", "&lt;= 2s", "2.31 s", "200 of at least 20", "NO"),
        *("error_rate", "&lt;= 0.05", "0", "200 of at least 1", "yes"),
        *("ws.connect.p95", "&lt;= 500ms", "not measured", "0 of at least 5", "too few samples"),
    ]
    assert "## Criteria" not in worklog_markdown(worklogs.green().worklog())


REFUSED = "it fails while web is refused (control run)"
BORNE_OUT = worklogs.case("test_a", control=Control("borne-out", REFUSED))
CONTRADICTED = worklogs.case("test_b", control=Control("contradicted", "it still passes"))
UNAVAILABLE = worklogs.case("test_c", control=Control("unavailable", "a child process ran"))


@pytest.mark.parametrize(
    ("cases", "said"),
    [
        ([BORNE_OUT], "1 pass fails then, as it should."),
        (
            [BORNE_OUT, replace(BORNE_OUT, id="d"), CONTRADICTED],
            "2 passes fail then, as they should;"
            " 1 still passes and proves nothing: `tests/test_chat.py::test_b`.",
        ),
        (
            [UNAVAILABLE],
            "of 1 nothing can be told (`tests/test_chat.py::test_c`: a child process ran).",
        ),
    ],
    ids=["borne out", "contradicted", "unavailable"],
)
def test_a_control_run_is_told_without_what_did_not_happen(
    cases: list[GradedCase], said: str
) -> None:
    script = worklogs.Script().until_health({worklogs.OLD: 100}).healthy()
    script.verify(cases, SuiteOutcome.PASSED)
    text = worklog_markdown(script.worklog())
    assert f"Control run of `p1-critical`, without its services: {said}\n" in text


def test_what_a_person_has_to_do_is_said_as_such() -> None:
    script = worklogs.red()
    log = script.worklog()
    remedy = ProposedRemedy("person", "mend the test")
    (cycle,) = log.cycles
    told = replace(
        log, cycles=(replace(cycle, findings=(replace(worklogs.FINDING, remedy=remedy),)),)
    )
    assert "\nTo do: mend the test.\n" in worklog_markdown(told)


def test_the_cases_of_a_finding_that_are_not_named_are_counted() -> None:
    log = worklogs.red().worklog()
    (cycle,) = log.cycles
    seven = replace(worklogs.FINDING, cases=tuple(f"t::test_{n}" for n in range(7)))
    text = worklog_markdown(replace(log, cycles=(replace(cycle, findings=(seven,)),)))
    assert "\n7 cases: `t::test_0`, `t::test_1`," in text
    assert "`t::test_4` and 2 more.\n" in text


def test_quarantined_failures_are_named_with_whose_they_are_and_until_when() -> None:
    text = worklog_markdown(worklogs.quarantined().worklog())
    html, _ = _render(text)

    assert (
        "not counted: tests/test_chat.py::test_known failed, quarantined until 2026-12-31 (ana)"
        in html
    )
    assert "## Cases that did not pass: 1, of which 1 quarantined" in text
    assert (
        "case tests/test_chat.py::test_gone of suite p1-critical: quarantined until 2027-01-31"
        " (bo); no case of that name ran" in html
    )
