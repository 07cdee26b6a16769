"""What a run marks in a CI job: the worst ten, at places that are there; a green run nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import worklogs

from loopctl.errors import LockedError, Problem, UsageError
from loopctl.model.events import FindingMade
from loopctl.model.evidence import CaseStatus, GradedCase, SuiteOutcome
from loopctl.model.finding import ProposedRemedy
from loopctl.model.state import OutcomeKind, State, StopReason, Verdict
from loopctl.reports.annotations import annotations_of, annotations_of_error
from loopctl.reports.checkout import Checkout, Place


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    tests = tmp_path / "app" / "tests"
    tests.mkdir(parents=True)
    (tests / "test_chat.py").write_text("def test_answer(): ...\n")
    (tmp_path / "loop.yaml").write_text("version: 1\n")
    return Checkout(tmp_path)


def _red(checkout: Checkout) -> worklogs.Script:
    """The red run, as if it had been made in the checkout, its suite in `app`."""
    script = worklogs.red()
    suites = (replace(worklogs.RUN.suites[0], cwd="app"),)
    run = replace(worklogs.RUN, root=str(checkout.root), suites=suites)
    script.events[0] = replace(script.events[0], payload=run)
    return script


def test_causes_come_first_and_a_case_stands_at_its_line(checkout: Checkout) -> None:
    cause, case = annotations_of(_red(checkout).worklog(), checkout)

    assert (cause.level, cause.title) == ("error", "chat: A caller uses an argument that is gone")
    assert "got an unexpected keyword 'success'\" at logs/1/chat.jsonl#812" in cause.message
    assert cause.place is None
    assert case.title == "failed: tests/test_chat.py::test_answer"
    assert case.message.startswith("AssertionError: no agent_completed\nat tests/test_chat.py:41")
    assert case.place == Place("app/tests/test_chat.py", 41)


def test_a_place_that_is_not_in_the_checkout_is_not_named(checkout: Checkout) -> None:
    (checkout.root / "app" / "tests" / "test_chat.py").unlink()
    assert all(each.place is None for each in annotations_of(_red(checkout).worklog(), checkout))
    assert all(each.place is None for each in annotations_of(_red(checkout).worklog(), None))


@pytest.mark.parametrize(
    "named",
    ["/etc/passwd:1", "../outside.py:3", "app/../../outside.py:3", "app:3", "\0:1", "a" * 9000],
)
def test_nothing_outside_of_the_checkout_is_a_place(checkout: Checkout, named: str) -> None:
    (checkout.root.parent / "outside.py").write_text("")
    assert checkout.place(named) is None


def test_a_repository_below_the_workspace_has_places_of_its_own(checkout: Checkout) -> None:
    (checkout.root / "app" / ".git").mkdir()
    found = checkout.place("tests/test_chat.py:7:2 in x", checkout.root / "app")
    assert found == Place("tests/test_chat.py", 7, 2)


def test_a_green_run_has_none() -> None:
    assert annotations_of(worklogs.green().worklog(), None) == ()


@pytest.mark.parametrize("name", worklogs.ALL)
def test_a_run_that_is_not_green_has_some_and_never_more_than_ten(name: str) -> None:
    worklog = worklogs.ALL[name]().worklog()
    found = annotations_of(worklog, None)
    green = worklog.ended is not None and worklog.ended.verdict is Verdict.GREEN
    assert (1 if not green else 0) <= len(found) <= 10


def _of(cases: list[GradedCase], verdict: Verdict) -> worklogs.Script:
    script = worklogs.Script().until_health({worklogs.OLD: 100}).healthy()
    script.verify(cases, SuiteOutcome.FAILED, ("so it is",), OutcomeKind.FAILED)
    return script.ended(verdict, 0, StopReason.NEEDS_HUMAN)


def test_what_is_flaky_or_tolerated_is_a_warning() -> None:
    flaky = worklogs.case("test_a", CaseStatus.FLAKY)
    (found,) = annotations_of(_of([flaky], Verdict.RED).worklog(), None)
    assert found.level == "warning"
    failed = worklogs.case("test_a", CaseStatus.FAILED)
    (found,) = annotations_of(_of([failed], Verdict.GREEN).worklog(), None)
    assert found.level == "warning"


def test_a_suite_that_proves_too_little_is_a_warning_with_the_reasons() -> None:
    (found,) = annotations_of(worklogs.unproven().worklog(), None)
    assert (found.level, found.title) == ("warning", "unproven: suite p1-critical")
    assert "6 skipped" in found.message


def test_cases_that_failed_alike_are_one_so_that_ten_differ() -> None:
    alike = [
        worklogs.case(f"test_{n}", CaseStatus.FAILED, message=f"took {n} s", where="a.py:3 in ask")
        for n in range(40)
    ]
    others = [
        worklogs.case(f"test_x{n}", CaseStatus.FAILED, message="no " + "abcdefghijklmnop"[n])
        for n in range(12)
    ]
    flaky = worklogs.case("test_flaky", CaseStatus.FLAKY)

    found = annotations_of(_of([flaky, *alike, *others], Verdict.RED).worklog(), None)

    assert len(found) == 10
    assert {each.level for each in found} == {"error"}
    assert found[0].title == "failed: tests/test_chat.py::test_0, and 39 alike"
    assert found[-1].message.endswith("(and 4 more like these in the report)")


def test_what_to_do_is_said_with_the_cause() -> None:
    finding = replace(worklogs.FINDING, remedy=ProposedRemedy("retry", "once, then look"))
    script = worklogs.Script().until_health({worklogs.OLD: 100})
    script.stage(State.DIAGNOSE, inside=[(FindingMade(finding), "chat", None)])
    script.ended(Verdict.UNDELIVERED, 5, StopReason.NEEDS_HUMAN)
    (found,) = annotations_of(script.worklog(), None)
    assert found.message.endswith("To do: retry: once, then look")


def test_a_bad_loop_file_is_marked_line_by_line(checkout: Checkout) -> None:
    where = f"{checkout.root / 'loop.yaml'}:1:10"
    problems = [Problem("unknown key", where, hint="leave it out"), Problem("no LOOP", "--env")]

    first, second = annotations_of_error(UsageError("nothing was done", problems), checkout)

    assert first.place == Place("loop.yaml", 1, 10)
    assert first.message == "unknown key\nTo do: leave it out"
    assert (second.place, second.message) == (None, "--env: no LOOP")
    (locked,) = annotations_of_error(LockedError("run x goes on"), checkout)
    assert locked.message == "run x goes on"


def test_a_finding_that_nothing_is_known_of_takes_no_room_from_its_cases() -> None:
    unknown = replace(worklogs.FINDING, signature=None, title="No known cause")
    for cases, titles in (
        (("p1-critical::tests/test_chat.py::test_answer",), 0),
        ((), 1),
    ):
        script = worklogs.red()
        found = FindingMade(replace(unknown, cases=cases))
        script.events[:] = [
            replace(event, payload=found) if isinstance(event.payload, FindingMade) else event
            for event in script.events
        ]
        told = annotations_of(script.worklog(), None)
        assert sum("No known cause" in each.title for each in told) == titles
        assert any(each.title.startswith("failed: ") for each in told)
