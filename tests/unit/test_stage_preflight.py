"""PREFLIGHT names all that is missing at once, and changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from fakes import EFFECTS, FakeBuilder, FakePlatform, FakeProber, FakeSuite
from loop_rig import a_journal, a_service, a_suite

from loopctl.errors import Problem
from loopctl.model.finding import FaultKind
from loopctl.model.outcome import Outcome
from loopctl.model.plan import ServiceSpec, SuiteKind
from loopctl.model.state import OutcomeKind, State
from loopctl.ports.probe import Answer, Unreachable
from loopctl.process import Stop
from loopctl.stages.preflight import Needs, Preflight

GATED = a_service("payments", url="http://pay.example/", source=None)


class Gate:
    """All is well, unless a test says otherwise."""

    def __init__(self, folder: Path, *, existing: bool = True) -> None:
        self.builder, self.platform = FakeBuilder(), FakePlatform("chat", existing=existing)
        self.suite, self.prober = FakeSuite(), FakeProber()
        self.journal = a_journal(folder, [a_service()], [a_suite()])
        self.missing: tuple[str, ...] = ()
        self.gated: Sequence[ServiceSpec] = (GATED,)
        self.refuse_new = False

    def check(self, start: State = State.PREFLIGHT) -> Outcome:
        needs = Needs(
            (a_service(),), tuple(self.gated), (a_suite(),), self.missing, self.refuse_new
        )
        suites = {SuiteKind.PYTEST: self.suite}
        stage = Preflight(needs, self.builder, None, self.platform, suites, self.prober, start)
        return stage(self.journal.fold.cycle(), self.journal, Stop(5.0))


def test_when_nothing_is_missing_the_run_goes_on_and_nothing_was_changed(tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    assert gate.check().kind is OutcomeKind.OK
    assert gate.platform.effects(*EFFECTS) == []


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (State.BUILD, OutcomeKind.GO_BUILD),
        (State.VERIFY, OutcomeKind.GO_VERIFY),
        (State.PREFLIGHT, OutcomeKind.OK),
    ],
)
def test_a_run_may_enter_later_but_never_without_these_checks(
    tmp_path: Path, start: State, kind: OutcomeKind
) -> None:
    gate = Gate(tmp_path)
    assert gate.check(start).kind is kind
    gate.missing = ("API_KEY",)
    assert gate.check(start).kind is OutcomeKind.FAILED


def test_everything_that_is_missing_is_named_at_once(tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    gate.builder.problems = [Problem("git is not installed", hint="install git")]
    gate.platform.problems = [Problem("the runs folder cannot be written", where="/runs")]
    gate.suite.problems = {"p1": [Problem("no module named pytest", hint="pip install pytest")]}
    gate.prober.problems = [Problem("no HTTP request can be made: Invalid port")]
    gate.missing = ("API_KEY", "DB_URL")
    gate.prober.answers["http://pay.example/health"] = [Unreachable("connection refused")]
    outcome = gate.check()
    assert outcome.kind is OutcomeKind.FAILED
    assert outcome.detail == "7 things are missing; nothing was changed"
    said = " | ".join(fault.summary for fault in outcome.faults)
    for part in (
        "git",
        "/runs: the runs folder",
        "Invalid port",
        "pytest",
        "API_KEY",
        "DB_URL",
        "payments",
    ):
        assert part in said
    assert gate.platform.effects(*EFFECTS) == []


def test_a_problem_that_two_checks_see_is_told_once(tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    gate.builder.problems = gate.platform.problems = [Problem("no room")]
    assert gate.check().detail == "one thing is missing; nothing was changed"


def test_a_service_that_is_only_depended_on_and_is_down_is_a_dependency(tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    gate.prober.answers["http://pay.example/health"] = [Answer(503, 0.1, "maintenance")]
    (fault,) = gate.check().faults
    assert fault.kind is FaultKind.DEPENDENCY_DOWN
    assert fault.hint == "curl -i http://pay.example/health"
    assert "maintenance" in fault.quotes[0].quote


def test_a_new_service_on_a_protected_place_is_refused_unless_asked_for(tmp_path: Path) -> None:
    gate = Gate(tmp_path, existing=False)
    assert gate.check().kind is OutcomeKind.OK
    gate.refuse_new = True
    (fault,) = gate.check().faults
    assert fault.hint == "--create, if that is meant"
    assert "unverified" in fault.summary


def test_a_service_that_exists_is_no_new_one(tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    gate.refuse_new = True
    assert gate.check().kind is OutcomeKind.OK
