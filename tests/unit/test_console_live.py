"""The live view fits 40 columns and more, obeys nothing it shows, and gives the terminal back."""

from __future__ import annotations

import contextlib
import io
import re
import threading
from collections.abc import Mapping

import pyte
import pytest
import worklogs

from loopctl.console.canvas import Canvas, Moment
from loopctl.console.frame import frame
from loopctl.console.lines import text_of, width_of
from loopctl.console.live import LiveView
from loopctl.console.marks import UNICODE
from loopctl.journal.fold import fold
from loopctl.model.events import (
    CasesGraded,
    CriteriaJudged,
    Intent,
    Result,
    StageEntered,
    SuiteFinished,
    SuiteStarted,
)
from loopctl.model.evidence import CaseStatus, CriterionJudgement, SuiteEnd, SuiteOutcome
from loopctl.model.state import State

WIDTHS = (40, 80, 200)


def _picture(
    script: worklogs.Script,
    width: int,
    upto: int | None = None,
    again: Mapping[str, str] | None = None,
) -> str:
    worklog = fold(script.events[:upto])
    moment = Moment(61.0, 2.5, said="the last thing said", again=again or {})
    lines = frame(worklog, moment, Canvas(width))
    assert max(map(width_of, lines)) <= width
    return "\n".join(map(text_of, lines))


class _Terminal(io.StringIO):
    """A terminal of 24 lines and 80 columns; tells when what is awaited was drawn on it."""

    def __init__(self, awaited: str = "golden-path on local") -> None:
        super().__init__()
        self.awaited = awaited
        self.drawn = threading.Event()

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        written = super().write(text)
        if self.awaited in text:
            self.drawn.set()
        return written

    def shown(self) -> str:
        """What a person would see now."""
        screen = pyte.Screen(80, 24)
        pyte.Stream(screen).feed(self.getvalue())
        return "\n".join(screen.display)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", worklogs.ALL)
def test_no_line_is_wider_than_the_terminal_at_any_moment(name: str, width: int) -> None:
    script = worklogs.ALL[name]()

    for upto in range(1, len(script.events), 4):
        picture = _picture(script, width, upto)
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", picture)


@pytest.mark.parametrize("width", WIDTHS)
def test_stages_services_counts_and_failures_are_in_the_picture(width: int) -> None:
    picture = _picture(worklogs.red(), width)

    assert f"golden-path on local · {'' if width == 40 else 'cycle '}1/3 · 1 mi" in picture
    assert "✓ health 1.5 s" in picture
    assert "✗ verify 1.5 s" in picture
    assert "healthy chat-00002-new" in picture
    if width == 40:
        assert "p1-critical  failed 4/4 1 failed" in picture
        assert "✗ test_answer: AssertionError" in picture
    else:
        assert "4/4 3 passed 1 failed → failed" in picture
        name = "tests/test_chat.py::test_answer" if width == 200 else "test_answer"
        assert f"✗ {name}: AssertionError" in picture


def test_of_a_suite_that_has_passed_whole_that_is_said_once() -> None:
    assert re.search(
        r"\b(\d+)/\1 passed · lowest proven · 8\.2 s$", _picture(worklogs.green(), 80), re.M
    )


def test_a_running_stage_shows_its_time_so_far_and_what_is_to_come() -> None:
    script = worklogs.Script().until_health({worklogs.OLD: 100})
    entered = worklogs.green().events[len(script.events)]
    script.add(entered.payload)

    picture = _picture(script, 80)

    assert "▸ health 2 s" in picture
    assert "· verify" in picture


def test_a_partial_run_says_so_all_the_time() -> None:
    assert _picture(worklogs.partial(), 40).startswith("PARTIAL ")


def test_a_suite_that_runs_again_says_so_and_criteria_are_told() -> None:
    suite = "p1-critical"
    script = worklogs.Script().until_health({worklogs.OLD: 100}).healthy()
    script.add(StageEntered(State.VERIFY))
    script.add(SuiteStarted("suites/1/p1-critical", 4), suite=suite)
    script.add(CasesGraded(worklogs.PASSES), suite=suite)
    again = {suite: "control run"}
    assert "4/4 4 passed · lowest proven · ▸ control run" in _picture(script, 80, again=again)
    end = SuiteEnd(complete=True, exit_code=0, duration_s=1.0)
    judged = worklogs.judged(worklogs.PASSES, SuiteOutcome.PASSED)
    script.add(SuiteFinished(judged, end), suite=suite)
    missed = CriterionJudgement("http.p95", "<=", "2s", 2.3, 9, 1, met=False)
    met = CriterionJudgement("error_rate", "<=", "0", 0.0, 9, 1, met=True)
    script.add(CriteriaJudged((met, missed)))
    picture = _picture(script, 80, again=again)
    assert "control run" not in picture
    assert "1 of 2 criteria met; missed http.p95" in picture


def test_the_view_shows_a_control_run_while_it_goes_on_and_no_longer() -> None:
    terminal = _Terminal("▸ control run")
    key, suite = "1/p1-critical/control", "p1-critical"
    script = worklogs.Script().until_health({worklogs.OLD: 100}).healthy()
    script.add(StageEntered(State.VERIFY))
    script.add(SuiteStarted("suites/1/p1-critical", 4), suite=suite)
    script.add(Intent("suite", key), suite=suite)
    with contextlib.closing(LiveView(terminal, colour=False, marks=UNICODE)) as view:
        for event in script.events:
            view(event)
        assert terminal.drawn.wait(10)
        script.add(Result("suite", key, ok=True), suite=suite)
        terminal.drawn.clear()
        terminal.awaited = "4 cases expected"
        view(script.events[-1])
        script.add(SuiteStarted("suites/1/p1-critical", 4), suite=suite)
        view(script.events[-1])
        assert terminal.drawn.wait(10)
        assert "▸ control run" not in terminal.shown()


def test_markup_of_rich_in_names_is_text() -> None:
    script = worklogs.Script()
    bad = worklogs.case("[bold red]x[/]", CaseStatus.FAILED, message="[link=http://e]y[/]")
    script.until_health({worklogs.OLD: 100})
    script.verify([bad], SuiteOutcome.FAILED)

    assert "[bold red]x[/]: [link=http://e]y[/]" in _picture(script, 200)


def test_the_cursor_is_given_back_after_an_error() -> None:
    terminal = _Terminal()

    def fail() -> None:
        with contextlib.closing(LiveView(terminal, colour=False, marks=UNICODE)) as view:
            for event in worklogs.green().events:
                view(event)
            assert terminal.drawn.wait(10)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()

    written = terminal.getvalue()
    assert "\x1b[?25l" in written
    assert written.rindex("\x1b[?25h") > written.rindex("\x1b[?25l")
    assert not any(thread.name == "live view" for thread in threading.enumerate())


def test_a_terminal_that_went_away_does_not_stop_the_run() -> None:
    terminal = _Terminal()
    with contextlib.closing(LiveView(terminal)) as view:
        view(worklogs.green().events[0])
        assert terminal.drawn.wait(10)
        terminal.close()
        for event in worklogs.green().events[1:]:
            view(event)


def test_closing_twice_is_harmless() -> None:
    view = LiveView(_Terminal())
    view.close()
    view.close()
