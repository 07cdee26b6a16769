"""The summary of a CI job: what a person sees first, within what the runner takes, and inert."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
import worklogs
from ci_logs import values_of
from markdown_it import MarkdownIt
from markdown_it.token import Token

from loopctl.api import in_ci
from loopctl.errors import LoopctlError
from loopctl.journal.worklog import Worklog
from loopctl.model.ci_job import CiJob, CiSystem
from loopctl.model.evidence import CaseStatus, SuiteOutcome
from loopctl.model.state import OutcomeKind, StopReason, Verdict
from loopctl.reports.fitting import Part, fitted
from loopctl.reports.job_summary import LIMIT, job_summary

FOLDER = Path(".loopctl/runs/x")
JOB = CiJob(CiSystem.GITHUB)
OURS = {"details", "summary", "br"}


def _tokens(markdown: str) -> list[Token]:
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    found = parser.parse(markdown)
    return [inner for token in found for inner in (token, *(token.children or ()))]


class _Html(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert not attrs
        self.tags.append(tag)
        self.open += tag == "details"

    def handle_endtag(self, tag: str) -> None:
        self.open -= tag == "details"


def _assert_inert(markdown: str) -> None:
    """No link, image or HTML but ours, nothing left open, no character that acts."""
    tokens = _tokens(markdown)
    assert not {"link_open", "image", "s_open"} & {token.type for token in tokens}
    html = _Html()
    html.feed("".join(t.content for t in tokens if t.type in ("html_block", "html_inline")))
    assert set(html.tags) <= OURS
    assert html.open == 0
    fences = [token for token in tokens if token.type == "fence"]
    assert all(token.markup not in token.content for token in fences)
    for table in re.findall(r"(?:^\|.*\n)+", markdown, re.MULTILINE):
        edges = {len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()}
        assert len(edges) == 1, "a row has another number of cells than its table"
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", markdown)


@pytest.mark.parametrize("name", worklogs.ALL)
def test_every_runs_summary_begins_with_the_verdict_and_its_first_screen(name: str) -> None:
    worklog = worklogs.ALL[name]().worklog()
    text = job_summary(worklog, FOLDER)
    _assert_inert(text)
    first, _, *screen = text.splitlines()
    assert first.startswith("## ")
    assert any(line.startswith("- **VERDICT**: ") for line in screen[:3])


def test_a_red_run_tells_cause_quote_why_and_case() -> None:
    text = job_summary(worklogs.red().worklog(), FOLDER)
    assert "## golden-path on local: red" in text
    assert "| p1-critical | P1 | failed | 4 | 3 | 1 |" in text
    assert "`TypeError: got an unexpected keyword 'success'`" in text
    assert "Why did it fail? ExecutionResult has no argument success (observed, line 1" in text
    assert "```mermaid" in text
    assert "**failed** `tests/test_chat.py::test_answer`" in text
    assert "```text\nassert 'agent_completed' in events\n```" in text


def test_hostile_text_makes_no_link_no_image_and_no_html() -> None:
    text = job_summary(worklogs.hostile("").worklog(), FOLDER)
    _assert_inert(text)
    headings = [token for token in _tokens(text) if token.type == "heading_open"]
    assert [token.tag for token in headings].count("h2") == 1
    assert "javascript" in text


def _many(number: int) -> Worklog:
    cases = [
        worklogs.case(
            f"test_{n}[{worklogs.HOSTILE}\U0001f600漢]",
            CaseStatus.FAILED,
            message="no " + "ü" * 300,
        )
        for n in range(number)
    ]
    script = worklogs.Script().until_health({worklogs.OLD: 100}).healthy()
    script.verify(cases, SuiteOutcome.FAILED, ("many",), OutcomeKind.FAILED)
    return script.ended(Verdict.RED, 1, StopReason.NEEDS_HUMAN).worklog()


def test_more_than_the_runner_takes_is_cut_by_bytes_and_said() -> None:
    text = job_summary(_many(3000), FOLDER)

    assert LIMIT - 8000 < len(text.encode()) <= LIMIT
    _assert_inert(text)
    assert "test\\_0" in text or "test_0" in text
    told = re.search(r"left out: (\d+) of 3000 failed cases", text)
    assert told
    shown = len(re.findall(r"^- \*\*failed\*\*", text, re.MULTILINE))
    assert shown == 3000 - int(told[1])
    assert "All of it is in `.loopctl/runs/x/worklog.md`." in text


def test_what_was_not_even_made_is_counted_with_what_was_left_out() -> None:
    part = Part("case", ("a\n",), of=7)
    assert "left out: 6 of 7 cases." in fitted((part,), 9000, "All is elsewhere.")


def test_wherever_it_is_cut_it_is_whole_markdown_within_the_limit() -> None:
    worklog = _many(12)
    whole = len(job_summary(worklog, FOLDER).encode())
    for limit in itertools.chain(range(0, 3000, 250), range(3000, whole + 200, 997)):
        text = job_summary(worklog, FOLDER, limit)
        assert len(text.encode()) <= max(limit, 0)
        _assert_inert(text)
        assert limit >= whole or not text or "left out: " in text


def test_a_part_that_does_not_fit_keeps_no_later_part_from_being_shown() -> None:
    parts = (
        Part("finding", ("x" * 5000 + "\n",)),
        Part("case", ("a\n", "b\n"), "head\n", "tail\n"),
    )
    text = fitted(parts, 2000, "All is elsewhere.")
    assert text.startswith("head\na\nb\ntail\n")
    assert "left out: 1 of 1 finding." in text


def _told(worklog: Worklog, variables: Mapping[str, str]) -> list[str]:
    return list(in_ci.tell_job(JOB, worklog, FOLDER, variables))


def test_summary_and_outputs_are_added_to_what_is_there(tmp_path: Path) -> None:
    summary, outputs = tmp_path / "summary", tmp_path / "outputs"
    summary.write_text("# before\n")
    outputs.write_text("mine=1\n")
    variables = {"GITHUB_STEP_SUMMARY": str(summary), "GITHUB_OUTPUT": str(outputs)}

    assert _told(worklogs.red().worklog(), variables) == []

    assert summary.read_text().startswith("# before\n\n## golden-path on local: red\n")
    values = values_of(outputs.read_text())
    assert values.items() >= {"mine": "1", "verdict": "red", "exit-code": "1"}.items()
    assert values["run-id"] == worklogs.RUN_ID
    assert values["report"].endswith("worklog.md")


def test_what_others_have_written_in_the_step_counts_too(tmp_path: Path) -> None:
    summary = tmp_path / "summary"
    summary.write_bytes(b"x" * (LIMIT - 3000))
    assert _told(_many(100), {"GITHUB_STEP_SUMMARY": str(summary)}) == []
    assert LIMIT - 3000 < summary.stat().st_size <= LIMIT

    summary.write_bytes(b"x" * (LIMIT - 10))
    (said,) = _told(_many(100), {"GITHUB_STEP_SUMMARY": str(summary)})
    assert said.startswith(f"the job's summary was not written: of {LIMIT} bytes {LIMIT - 10} are")
    assert summary.stat().st_size == LIMIT - 10


@pytest.mark.parametrize("name", [None, "nowhere/summary", "."])
def test_a_summary_that_cannot_be_written_is_said_and_no_more(
    tmp_path: Path, name: str | None
) -> None:
    variables = {} if name is None else {"GITHUB_STEP_SUMMARY": str(tmp_path / name)}
    (said,) = _told(worklogs.green().worklog(), variables)
    assert "summary" in said


def test_outputs_hold_no_line_of_others(tmp_path: Path) -> None:
    outputs = tmp_path / "outputs"
    script = worklogs.red()
    run = replace(worklogs.RUN, run_id="a\nverdict=green\nb<<c\n")
    script.events[0] = replace(script.events[0], payload=run)
    in_ci.tell_job(JOB, script.worklog(), Path("a\nexit-code=0"), {"GITHUB_OUTPUT": str(outputs)})
    values = values_of(outputs.read_text())
    assert (values["verdict"], values["exit-code"]) == ("red", "1")
    assert len(values) == 5


def test_a_command_that_ended_before_a_run_began_leaves_its_verdict(tmp_path: Path) -> None:
    outputs = tmp_path / "outputs"
    fault = LoopctlError("a fault")
    assert not in_ci.tell_job_of_error(JOB, fault, "internal", {"GITHUB_OUTPUT": str(outputs)})
    assert values_of(outputs.read_text()) == {"verdict": "internal", "exit-code": "70"}
    (said,) = in_ci.tell_job_of_error(JOB, fault, "internal", {"GITHUB_OUTPUT": str(tmp_path)})
    assert said.startswith("the step's outputs were not written: ")
    assert not in_ci.tell_job_of_error(CiJob(CiSystem.GITLAB), fault, "internal", {})
