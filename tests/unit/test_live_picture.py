"""What a person reads in the live view: times left, what is cut, what is shown of much."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import worklogs

from loopctl.console.canvas import Canvas, Moment
from loopctl.console.frame import frame
from loopctl.console.lines import Line, Span, ansi, table, text_of, width_of
from loopctl.console.marks import ASCII, UNICODE, marks_for
from loopctl.journal.codec import from_json, to_json
from loopctl.journal.fold import fold
from loopctl.model.events import (
    CasesGraded,
    RunStarted,
    ServiceFacts,
    StageEntered,
    SuiteFacts,
    SuiteStarted,
    UsualTimes,
)
from loopctl.model.evidence import CaseStatus, Grade
from loopctl.model.state import State

STAGES = {"preflight": 1.0, "build": 10.0, "deploy": 2.0, "health": 5.0, "verify": 60.0}
KNOWN = replace(
    worklogs.RUN,
    usual=UsualTimes(3, {**STAGES, "promote": 1.0, "confirm": 2.0}, {"p1-critical": 50.0}),
)


def _shown(
    script: worklogs.Script, moment: Moment, width: int = 80, height: int = 24, **canvas: object
) -> str:
    lines = frame(fold(script.events), moment, Canvas(width, height, **canvas))  # type: ignore[arg-type]
    assert len(lines) <= height
    assert max(map(width_of, lines)) <= width
    return "\n".join(map(text_of, lines))


def _verifying(run: RunStarted, *cases: CaseStatus) -> worklogs.Script:
    script = worklogs.Script(run).until_health({worklogs.OLD: 100}).healthy()
    script.add(StageEntered(State.VERIFY))
    script.add(SuiteStarted("suites/1/p1-critical", 4), suite="p1-critical")
    graded = tuple(worklogs.case(f"test_{n}", status) for n, status in enumerate(cases))
    return script.add(CasesGraded(graded), suite="p1-critical")


RUNNING = {"p1-critical": 20.0}


def test_time_left_is_what_earlier_green_runs_took_less_what_has_passed() -> None:
    shown = _shown(_verifying(KNOWN), Moment(40.0, 20.0, suites_s=RUNNING))
    assert "40 s · 43 s left" in shown, "40 s of verify, then promote and confirm"
    assert "0/4 · 30 s left" in shown


def test_longer_than_ever_is_said_so_and_nothing_is_made_up() -> None:
    shown = _shown(_verifying(KNOWN), Moment(99.0, 72.0, suites_s={"p1-critical": 62.0}))
    assert "▸ verify 1 min 12 s, 12 s over the usual" in shown
    assert "0/4 · 12 s over the usual" in shown
    assert "at least 3 s left" in shown


def test_without_a_past_nothing_is_estimated() -> None:
    shown = _shown(_verifying(worklogs.RUN), Moment(40.0, 20.0, suites_s=RUNNING))
    assert "left" not in shown
    assert "0/4 · 20 s" in shown


def test_what_comes_after_a_failure_nobody_estimates() -> None:
    shown = _shown(_verifying(KNOWN, CaseStatus.FAILED), Moment(40.0, 20.0, suites_s=RUNNING))
    assert "43 s left" not in shown
    assert "30 s left" in shown, "the suite itself goes on"


def test_several_waves_have_the_times_of_all_their_stages_before_them() -> None:
    services = (ServiceFacts("chat"), ServiceFacts("front", needs=("chat",)))
    script = worklogs.Script(replace(KNOWN, services=services)).until_health({worklogs.OLD: 100})
    script.add(StageEntered(State.HEALTH))
    # 0.5 s of deploy and 4 s of health are left, then verify, promote, confirm.
    assert "68 s left" in _shown(script, Moment(10.0, 1.0)).replace("1 min 08 s", "68 s")


def test_the_lowest_grade_so_far_is_shown() -> None:
    script = _verifying(worklogs.RUN, CaseStatus.PASSED)
    weak = worklogs.case("test_weak", grade=Grade.SUSPECT)
    script.add(CasesGraded((weak,)), suite="p1-critical")
    assert "2/4 2 passed · lowest suspect" in _shown(script, Moment())


def test_services_tell_since_when_they_are_healthy_and_who_serves() -> None:
    since = {"chat": datetime(2025, 9, 10, 20, 30, 5, tzinfo=UTC)}
    shown = _shown(_verifying(worklogs.RUN), Moment(since=since))
    assert "chat  healthy chat-00002-new since 20:30:05Z  chat-00001-old 100 %" in shown


def _many(number: int) -> RunStarted:
    suites = tuple(
        SuiteFacts(f"suite-{n:02d}", "", "P2", "pytest", "verify", "observed")
        for n in range(number)
    )
    return replace(worklogs.RUN, suites=suites)


@pytest.mark.parametrize("height", [8, 12, 24, 60])
def test_of_forty_suites_those_that_tell_something_are_shown(height: int) -> None:
    script = worklogs.Script(_many(40)).until_health({worklogs.OLD: 100}).healthy()
    script.add(StageEntered(State.VERIFY))
    for name in ("suite-05", "suite-37"):
        script.add(SuiteStarted(f"suites/1/{name}", 4), suite=name)
    failed = (worklogs.case("test_x", CaseStatus.FAILED),)
    script.add(CasesGraded(failed), suite="suite-37")
    moment = Moment(suites_s={"suite-05": 1.0, "suite-37": 1.0}, said="said", logged="a log line")

    shown = _shown(script, moment, 80, height, hint="a hint")

    if height >= 12:
        assert "suite-05" in shown
        assert "suite-37" in shown
        assert "✗ test_x" in shown
        assert "said" in shown
    assert (" more suites: " in shown) == (height < 60)


def test_of_many_failures_the_last_are_named_and_the_others_counted() -> None:
    shown = _shown(_verifying(worklogs.RUN, *[CaseStatus.FAILED] * 12), Moment(), height=16)
    assert "✗ test_11" in shown
    assert "✗ test_0:" not in shown
    assert re.search(r"and \d more before these", shown)


NAMES = ("東京-サービス", "😀👩‍👩‍👧", "שירות", "plain")


@pytest.mark.parametrize("name", NAMES)
def test_columns_stand_below_each_other_whatever_a_name_is_made_of(name: str) -> None:
    cells: list[list[Line]] = [[(Span(name),), (Span("second"),)], [(Span("x"),), (Span("2nd"),)]]
    for row in table(cells, (20, 20), "…"):
        second = next(span for span in row if span.column)
        told = ansi(row, colour=False)
        at = f"\x1b[{(second.column or 0) + 1}G"
        assert text_of(row).isascii() or at in told


def test_a_terminal_without_unicode_is_shown_none() -> None:
    script = _verifying(worklogs.RUN, CaseStatus.PASSED)
    strange = worklogs.case("test_東京", CaseStatus.FAILED)
    script.add(CasesGraded((strange,)), suite="p1-critical")
    shown = _shown(script, Moment(said="ein Größer…", logged="东"), marks=ASCII)
    assert shown.isascii()
    assert "> verify" in shown
    assert "x test_\\u6771\\u4eac" in shown


class _Stream:
    def __init__(self, encoding: str) -> None:
        self.encoding = encoding


@pytest.mark.parametrize(
    ("encoding", "environ", "unicode"),
    [
        ("utf-8", {"LANG": "de_DE.UTF-8"}, True),
        ("utf-8", {"LC_CTYPE": "C.UTF-8", "LANG": "de_DE"}, True),
        ("utf-8", {"LC_ALL": "C", "LANG": "C.UTF-8"}, False),
        ("utf-8", {"LANG": "C"}, False),
        ("utf-8", {}, False),
        ("iso8859-1", {"LANG": "de_DE.UTF-8"}, False),
    ],
)
def test_the_locale_tells_what_a_terminal_can_show(
    encoding: str, environ: dict[str, str], *, unicode: bool
) -> None:
    marks = marks_for(_Stream(encoding), environ)  # type: ignore[arg-type]
    assert marks == (UNICODE if unicode else ASCII)


def test_usual_times_are_kept_in_the_journal_and_an_old_one_has_none() -> None:
    document = to_json(worklogs.Script(KNOWN).events[0])
    assert from_json(document).payload == KNOWN
    del document["data"]["usual"]
    assert from_json(document).payload == replace(KNOWN, usual=None)
