"""What CI sees: one line per transition with its time, nothing that moves a cursor, a heartbeat."""

from __future__ import annotations

import contextlib
import io
import re
import threading
from dataclasses import replace

import pytest
import worklogs

from loopctl.console.brief_view import print_brief
from loopctl.console.output import Output, wants_colour
from loopctl.console.plain import PlainView
from loopctl.journal.brief import brief
from loopctl.model.events import (
    CriteriaJudged,
    Intent,
    Note,
    Payload,
    RemedyDecided,
    Result,
    StageEntered,
    StageFinished,
    SuiteCollected,
)
from loopctl.model.evidence import CriterionJudgement
from loopctl.model.finding import Fault, FaultKind, Quote
from loopctl.model.state import OutcomeKind, State


def _said(script: worklogs.Script, *, verbose: bool = False) -> list[str]:
    stream = io.StringIO()
    with contextlib.closing(PlainView(stream, verbose=verbose)) as view:
        for event in script.events:
            view(event)
    return stream.getvalue().splitlines()


def test_every_transition_is_one_line_that_begins_with_the_utc_time() -> None:
    script = worklogs.red()

    lines = _said(script)

    assert all(re.match(r"\d\d:\d\d:\d\dZ ", line) for line in lines)
    entered = [e for e in script.events if isinstance(e.payload, StageEntered)]
    finished = [e for e in script.events if isinstance(e.payload, StageFinished)]
    assert sum("begins (cycle 1)" in line for line in lines) == len(entered)
    assert sum(", then " in line for line in lines) == len(finished)
    assert any("failed tests/test_chat.py::test_answer: AssertionError" in line for line in lines)


def test_a_partial_run_says_so_once() -> None:
    script = worklogs.Script(replace(worklogs.RUN, partial="partial, by --suite"))
    first, *_ = _said(script)
    assert first.endswith(": golden-path on local, PARTIAL: by --suite")


def test_passed_cases_are_told_only_when_asked() -> None:
    quiet, verbose = _said(worklogs.green()), _said(worklogs.green(), verbose=True)

    assert not any("test_0" in line for line in quiet)
    assert any("passed proven tests/test_chat.py::test_0" in line for line in verbose)
    assert set(quiet) <= set(verbose)


def _in_verify(*payloads: Payload) -> worklogs.Script:
    return worklogs.Script().stage(
        State.VERIFY, inside=[(payload, None, "smoke") for payload in payloads]
    )


def test_what_a_suite_would_run_is_told_when_it_is_known() -> None:
    script = worklogs.Script()
    script.stage(State.BUILD, inside=[(SuiteCollected(11, 0, 0), None, "smoke")])
    assert any(line.endswith("Z smoke: 11 cases collected") for line in _said(script))


def test_a_note_that_names_its_suite_is_not_told_its_name_twice() -> None:
    lines = _said(_in_verify(Note("smoke: changed shape at x"), Note("another thing")))
    assert [line[10:] for line in lines if "shape" in line] == ["smoke: changed shape at x"]
    assert [line[10:] for line in lines if "another" in line] == ["smoke: another thing"]


def test_what_a_person_is_to_do_is_no_remedy_of_loopctls() -> None:
    advice = RemedyDecided("person", "propose", "mend the test", None, "proposed")
    lines = _said(worklogs.Script().stage(State.REMEDIATE, inside=[(advice, None, None)]))
    assert any(line.endswith("Z for a person to do: mend the test") for line in lines)


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("1/smoke/control", "control run begins: what has passed runs once more, without its"),
        ("1/smoke/control-errors", "control run begins: what needs its services runs once more, w"),
        ("1/smoke/retry-2", "retry 2 begins: what did not pass runs once more"),
    ],
)
def test_that_a_suite_runs_again_is_told_with_what_for(key: str, said: str) -> None:
    lines = _said(_in_verify(Intent("suite", key), Result("suite", key, ok=True)))
    assert sum(f"Z smoke: {said}" in line for line in lines) == 1
    assert not any("once more" in line for line in _said(_in_verify(Intent("suite", "1/smoke"))))


def test_criteria_are_counted_and_those_that_are_not_met_are_named() -> None:
    judged = (
        CriterionJudgement("http.p95", "<=", "2s", 2.3141, 200, 20, met=False),
        CriterionJudgement("error_rate", "<=", "0", 0.0, 200, 1, met=True),
        CriterionJudgement("cart.total", "<=", "1s", None, 0, 3, met=None),
    )
    script = worklogs.Script().stage(State.VERIFY, inside=[(CriteriaJudged(judged), None, None)])
    said = "1 of 3 met; missed http.p95; too few samples of cart.total"
    assert any(line.endswith(f"Z criteria: {said}") for line in _said(script))
    told = "\n".join(_said(script, verbose=True))
    assert "criterion met: error_rate is 0, wanted <= 0 (200 samples)" in told
    assert "criterion undecided: cart.total has 0 of at least 3 samples" in told


def test_a_fault_that_quotes_itself_is_said_once() -> None:
    said = "criterion missed: http.p95 is 2.31 s, wanted <= 2s (200 samples)"
    quotes = (Quote("condition", "criteria/http.p95", said), Quote("log", "a#1", "slow query"))
    fault = Fault(FaultKind.CRITERION, said, quotes=quotes)
    lines = _said(worklogs.Script().stage(State.VERIFY, OutcomeKind.FAILED, "x", (fault,)))
    assert sum(said in line for line in lines) == 1
    assert any('"slow query" at a#1' in line for line in lines)


def test_everything_missing_at_preflight_is_told_with_what_to_do() -> None:
    text = "\n".join(_said(worklogs.preflight(40)))

    assert all(f"export KEY_{n}=" in text for n in range(40))


@pytest.mark.parametrize("verbose", [False, True])
def test_hostile_text_makes_no_line_of_its_own_and_no_escape(verbose: bool) -> None:
    lines = _said(worklogs.hostile("x" * 1_000_000), verbose=verbose)

    assert all(re.match(r"\d\d:\d\d:\d\dZ ", line) for line in lines)
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u202e\udc80]", "".join(lines))
    assert not any(line.startswith("::") for line in lines)
    assert max(map(len, lines)) < 5000


class _Waiting(io.StringIO):
    """A stream that tells when a line of interest was written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.beat = threading.Event()

    def write(self, text: str) -> int:
        if "still in" in text:
            self.beat.set()
        return super().write(text)


def test_a_silent_stage_gives_a_sign_of_life() -> None:
    stream = _Waiting()
    with contextlib.closing(PlainView(stream, heartbeat_s=0.05)) as view:
        for event in worklogs.green().events[:2]:
            view(event)
        assert stream.beat.wait(10)

    assert re.search(r"Z still in preflight, \d+ ms so far", stream.getvalue())


def test_nothing_is_written_after_the_view_was_closed() -> None:
    stream = io.StringIO()
    view = PlainView(stream, heartbeat_s=0.01)
    view.close()
    view.close()
    before = stream.getvalue()

    assert not any(thread.name == "heartbeat" for thread in threading.enumerate())
    assert stream.getvalue() == before


class _Broken(io.StringIO):
    """A pipe whose reader went away."""

    def write(self, text: str) -> int:
        raise BrokenPipeError(text)


def test_a_reader_that_went_away_does_not_stop_the_run() -> None:
    with contextlib.closing(PlainView(_Broken())) as view:
        for event in worklogs.green().events:
            view(event)


def test_a_stream_without_unicode_shows_escapes() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")

    Output(stream).line("cut… here")

    assert raw.getvalue() == b"cut\\u2026 here\n"


def test_colour_is_for_terminals_where_nobody_said_no() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    assert wants_colour(Terminal(), no_color=False, environ={})
    assert not wants_colour(Terminal(), no_color=True, environ={})
    assert not wants_colour(Terminal(), no_color=False, environ={"NO_COLOR": "1"})
    assert not wants_colour(Terminal(), no_color=False, environ={"TERM": "dumb"})
    assert not wants_colour(io.StringIO(), no_color=False, environ={})


@pytest.mark.parametrize("name", worklogs.ALL)
def test_the_brief_is_printed_bare_without_colour(name: str) -> None:
    told = brief(worklogs.ALL[name]().worklog())
    bare, coloured = io.StringIO(), io.StringIO()

    print_brief(told, bare, colour=False)
    print_brief(told, coloured, colour=True)

    assert bare.getvalue() == str(told) + "\n"
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured.getvalue()) == bare.getvalue()
