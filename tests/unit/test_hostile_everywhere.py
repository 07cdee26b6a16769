"""Whatever tests, services and commits say, no output of loopctl obeys it or renders it.

Every text of real journals is made hostile, field by field, so that none is forgotten; each output
is read by a parser of its own kind. `report.html` is looked at in a browser: test_report_page.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import worklogs
from announced import JOB
from hostile import (
    EVIL,
    ci_alive,
    markdown_alive,
    poisoned,
    terminal_alive,
    xml_alive,
)
from notice_forms import slack_faults, teams_faults

from loopctl.api.looking_back import log_line
from loopctl.api.showing import event_document
from loopctl.cli import output
from loopctl.console.brief_view import print_brief
from loopctl.console.canvas import Canvas, Moment
from loopctl.console.ci_commands import annotation_line
from loopctl.console.ci_view import CiView
from loopctl.console.frame import frame
from loopctl.console.lines import ansi, text_of, width_of
from loopctl.console.plain import PlainView
from loopctl.console.triage_view import LineView
from loopctl.errors import Problem, UsageError
from loopctl.integrations.github import wording
from loopctl.integrations.github.seen import Seen, Sightings
from loopctl.integrations.notice_apprise import plain_text
from loopctl.integrations.notice_reason import Reason
from loopctl.integrations.notice_slack import slack_message
from loopctl.integrations.notice_teams import teams_message
from loopctl.integrations.notice_text import message_of
from loopctl.journal.brief import brief
from loopctl.journal.fold import fold
from loopctl.journal.worklog import Worklog
from loopctl.model.ci_job import CiJob, CiSystem
from loopctl.model.events import Event
from loopctl.model.finding import Change, Fault, FaultKind, Finding, Quote
from loopctl.ports.announcer import Announcement
from loopctl.reports.annotations import annotations_of, annotations_of_error
from loopctl.reports.announcement import announcement_of
from loopctl.reports.compared_document import compared_document
from loopctl.reports.compared_text import compared_lines
from loopctl.reports.comparing import Around, Side, compare
from loopctl.reports.job_summary import job_summary
from loopctl.reports.junit import junit
from loopctl.reports.markdown import worklog_markdown
from loopctl.reports.result import result_document
from loopctl.reports.summary import summary_of
from loopctl.reports.trends_text import run_line
from loopctl.reports.triaged_json import triaged_document
from loopctl.reports.triaged_text import triaged_lines
from loopctl.reports.write import result_json
from loopctl.triage.diagnose import NovelLine
from loopctl.triage.triaged import Captured, ServiceLook, Triaged

FOLDER = Path(".loopctl/runs/x")
FIXED = frozenset({"require", "phase"})
"""Words of a fixed set, though they are plain texts in the journal."""

CHECKED = FIXED | {"run_id", "loop", "environment", "loop_file", "root"}
"""Names and paths that loopctl has checked or made in a run of its own; a copy may say anything."""

OWN = re.compile(r"\x1b\[(?:K\x1b\[\d+G|[\d;]*m)")
"""What the live view tells a terminal itself: a colour, a column."""

JUNIT = frozenset(
    {"testsuites", "testsuite", "testcase", "failure", "error", "skipped", "properties"}
    | {"property", "system-out", "system-err"}
)
RUNS = sorted(set(worklogs.ALL) - {"hostile"})


def events(name: str, evil: str = EVIL, keep: frozenset[str] = FIXED) -> list[Event]:
    return [
        replace(event, payload=poisoned(event.payload, evil, keep=keep))
        for event in worklogs.ALL[name]().events
    ]


def worklog(name: str, evil: str = EVIL, keep: frozenset[str] = FIXED) -> Worklog:
    return fold(events(name, evil, keep))


def announcement(name: str) -> Announcement:
    made = announcement_of(worklog(name, keep=CHECKED), FOLDER, None, JOB)
    assert made is not None
    return made


@pytest.mark.parametrize("name", RUNS)
def test_the_reports_of_a_run_are_inert(name: str) -> None:
    run = worklog(name)
    assert "EVIL" in worklog_markdown(run, FOLDER)
    assert markdown_alive(worklog_markdown(run, FOLDER)) == []
    assert xml_alive(junit(run), JUNIT) == []
    document = result_json(result_document(run)).decode()
    json.loads(document)
    assert terminal_alive(document) == []
    assert terminal_alive("\n".join(map(str, brief(run, FOLDER).lines))) == []
    assert terminal_alive(run_line(summary_of(run))) == []


@pytest.mark.parametrize("name", RUNS)
def test_the_views_of_a_run_are_inert(name: str) -> None:
    for verbose in (False, True):
        stream = io.StringIO(newline="")
        with contextlib.closing(PlainView(stream, verbose=verbose)) as view:
            for event in events(name):
                view(event)
        assert terminal_alive(stream.getvalue()) == []
    run = worklog(name)
    for width in (40, 80, 200):
        lines = frame(run, Moment(61.0, said=EVIL, logged=EVIL, again={EVIL: EVIL}), Canvas(width))
        assert max(map(width_of, lines)) <= width
        assert terminal_alive("".join(map(text_of, lines))) == []
        drawn = "".join(ansi(each, colour=True) for each in lines)
        assert OWN.sub("", drawn) == "".join(map(text_of, lines))


@pytest.mark.parametrize("name", RUNS)
def test_the_log_of_a_ci_job_is_inert_and_so_is_its_summary(name: str) -> None:
    run = worklog(name)
    for system in CiSystem:
        stream = io.StringIO(newline="")
        with contextlib.closing(CiView(system, stream, verbose=True)) as view:
            for event in events(name):
                view(event)
        print_brief(brief(run, FOLDER), stream, colour=False, in_ci=True)
        assert ci_alive(stream.getvalue()) == []
    annotations = [annotation_line(each) for each in annotations_of(run, None)]
    assert all(line.startswith("::") and "\n" not in line for line in annotations)
    assert ci_alive("\n".join(annotations)) == []
    assert markdown_alive(job_summary(run, FOLDER)) == []


@pytest.mark.parametrize("name", RUNS)
def test_what_others_are_told_is_inert(name: str) -> None:
    run = announcement(name)
    assert JOB.url is not None
    for cause in run.causes:
        body = wording.issue_body(cause, Sightings().plus(Seen.of(run, cause)))
        assert body is not None
        for text in (body, wording.sighting(run, cause, closed=True)):
            assert markdown_alive(text, links=(JOB.url,)) == []
        assert terminal_alive(wording.issue_title(cause).replace("\u200b", "")) == []
        assert "@evil" not in wording.issue_title(cause)
    assert markdown_alive(wording.pull_comment(run), links=(JOB.url,)) == []
    assert terminal_alive(wording.description(run)) == []
    for reason in Reason:
        message = message_of(run, reason)
        assert slack_faults(slack_message(message)) == []
        assert teams_faults(teams_message(message)) == []
        assert terminal_alive("".join(plain_text(message)).replace("\u200b", "")) == []


def test_two_runs_beside_each_other_are_inert() -> None:
    sides = Side(worklog("red", "v1" + EVIL)), Side(worklog("two cycles", "v2" + EVIL))
    compared = compare(*sides, Around())
    for verbose in (False, True):
        assert terminal_alive("".join(compared_lines(compared, verbose=verbose))) == []
    json.loads(json.dumps(compared_document(compared), ensure_ascii=True))


def triaged() -> Triaged:
    """A look in which everything that can be said is."""
    at = datetime(2026, 3, 4, tzinfo=UTC)
    fault = Fault(FaultKind.STATUS, "web: /health answers 503", "web")
    shown = (Quote("log", "a#1", "x"),)
    finding = Finding("service.crash", "it crashed", "critical", 0.9, "f", evidence=shown)
    look = ServiceLook("web", "unhealthy", {"web-1": 100}, faults=(fault,), url="http://h")
    novel = NovelLine("t", 1, Quote("log", "web/web-1#1", "KeyError: 1"), "web")
    made = Triaged(
        at,
        (finding,),
        (novel,),
        ("what it said before",),
        "nothing",
        "web",
        "staging",
        (look,),
        (Captured("web", "web-1", 3, "the last minute"),),
        (Change("commit", "abc", "a subject"),),
        next=("loopctl logs",),
        owner="#us",
        runbook="docs/x.md",
    )
    return poisoned(made, keep=frozenset({"at", "kind"}))


def test_a_look_at_an_environment_is_inert() -> None:
    found = triaged()
    assert terminal_alive("".join(triaged_lines(found))) == []
    stream = io.StringIO(newline="")
    LineView(stream, None)(found)
    assert terminal_alive(stream.getvalue().rstrip("\n")) == []
    assert ci_alive(stream.getvalue()) == []
    json.loads(json.dumps(triaged_document(found), ensure_ascii=True))


KEPT = {"at": "2026-03-04T05:06:07+00:00", "service": EVIL, "revision": EVIL}


@pytest.mark.parametrize("job", [None, CiJob(CiSystem.GITHUB), CiJob(CiSystem.GITLAB)])
@pytest.mark.parametrize(
    "say",
    [
        lambda: output.say(log_line(json.dumps({**KEPT, "stream": "stdout", "text": EVIL}))),
        lambda: output.say(log_line(json.dumps({**KEPT, "method": EVIL, EVIL: EVIL}))),
        lambda: output.say(log_line(EVIL)),
        lambda: output.warn(EVIL),
        lambda: output.document({EVIL: [EVIL, {"message": EVIL}]}),
        lambda: output.failed(UsageError(EVIL, [Problem(EVIL, EVIL, EVIL, EVIL)]), as_json=False),
        lambda: output.failed(UsageError(EVIL, [Problem(EVIL, EVIL, EVIL, EVIL)]), as_json=True),
        *(
            (lambda event=event: output.line(event_document(event)))
            for event in (events("red")[0], events("red")[-1])
        ),
    ],
)
def test_what_the_command_line_prints_is_inert(
    say: Callable[[], object], job: CiJob | None, capsys: pytest.CaptureFixture[str]
) -> None:
    output.begin(job)
    try:
        say()
    finally:
        output.begin(None)
    said = capsys.readouterr()
    printed = said.out + said.err
    assert terminal_alive(printed) == []
    if job is not None:
        assert ci_alive(printed) == []


def test_an_error_is_annotated_inertly() -> None:
    error = UsageError(EVIL, [Problem(EVIL, "loops/a.yaml:1:2", EVIL, EVIL)])
    lines = [annotation_line(each) for each in annotations_of_error(error, None)]
    assert all("\n" not in line for line in lines)
    assert ci_alive("\n".join(lines)) == []


@pytest.mark.parametrize("size", [1_000_000])
def test_lines_of_a_megabyte_leave_outputs_that_can_be_read(size: int) -> None:
    name = "red"
    run = worklog(name, EVIL + "x" * size, CHECKED)
    assert len(worklog_markdown(run, FOLDER)) < 1_000_000
    assert len(job_summary(run, FOLDER).encode()) <= 1 << 20
    assert max(len(annotation_line(each)) for each in annotations_of(run, None)) < 64 * 1024
    assert all(len(str(line)) < 3000 for line in brief(run, FOLDER).lines)
    made = announcement_of(run, FOLDER, None, JOB)
    assert made is not None
    assert len(wording.pull_comment(made)) < 65_536
    assert slack_faults(slack_message(message_of(made, Reason.FAILED))) == []


def test_the_parsers_find_what_they_look_for() -> None:
    """A parser that finds nothing in the attack itself would let everything pass."""
    assert terminal_alive(EVIL)
    assert len(ci_alive(EVIL)) >= 5
    assert ci_alive("\x1b[0Ksection_start:1:EVIL\r\x1b[0Kx")
    alive = "\n".join(markdown_alive(EVIL.replace("\x00", "")))
    for kind in ("html script", "html img", "link https", "image", "reference", "strong", "source"):
        assert kind in alive, alive
    assert "a link's name" in markdown_alive("[x]\n\n[x]: https://evil.test/e\n")[0]
