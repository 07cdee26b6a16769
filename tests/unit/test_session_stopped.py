"""Runs that are stopped: by a signal, the deadline, or a lease that is not theirs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from fakes import EFFECTS, FakeLogs
from loop_rig import (
    AFTER_PREFLIGHT,
    Loop,
    a_case,
    spared,
)

from loopctl.errors import Stopped
from loopctl.model.events import Event, StageFinished
from loopctl.model.evidence import CaseStatus
from loopctl.model.logs import Coverage, LogEntry, LogWindow
from loopctl.model.state import State, StopReason, Verdict
from loopctl.ports.leases import HeldByOther, LeaseError, LeaseLost
from loopctl.ports.platform import PlatformError
from loopctl.process import Stop


@pytest.mark.parametrize("state", AFTER_PREFLIGHT)
@pytest.mark.parametrize(("signal", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_signal_in_any_stage_leaves_users_as_they_were(
    tmp_path: Path, state: State, signal: str, code: int
) -> None:
    loop = Loop(tmp_path)
    loop.when_entered(state, lambda: loop.stop.stop(signal))
    ended = loop.run().ended
    assert ended is not None
    assert (ended.verdict, ended.exit_code) == (Verdict.INTERRUPTED, code)
    spared(loop)


@pytest.mark.parametrize("call", ["build chat", "prove chat", "check"])
def test_a_signal_before_any_write_leaves_nothing_to_put_back(tmp_path: Path, call: str) -> None:
    loop = Loop(tmp_path)
    loop.builder.hooks[call] = lambda: loop.stop.stop("SIGINT")
    ended = loop.run().ended
    assert ended is not None
    assert (ended.exit_code, ended.restored) == (130, "not-needed")
    assert loop.platform.effects(*EFFECTS) == []


@pytest.mark.parametrize("call", ["deploy", "status", "serves_content", "route chat chat-new"])
def test_a_signal_amid_a_call_to_the_platform_is_honoured(tmp_path: Path, call: str) -> None:
    loop = Loop(tmp_path)
    loop.platform.hooks[call] = lambda: loop.stop.stop("SIGINT")
    ended = loop.run().ended
    assert ended is not None
    assert ended.exit_code == 130
    spared(loop)


@pytest.mark.parametrize("strategy", ["candidate", "direct"])
def test_a_deployment_that_was_accepted_but_never_recorded_is_discarded(
    tmp_path: Path, strategy: str
) -> None:
    loop = Loop(tmp_path, strategy=strategy)
    loop.platform.hooks["deploy"] = lambda: loop.stop.stop("SIGINT")
    loop.platform.fails["deploy"] = Stopped("SIGINT")
    ended = loop.run().ended
    assert ended is not None
    assert ended.exit_code == 130
    spared(loop)


def test_a_signal_while_logs_are_collected_does_not_wait_for_them(tmp_path: Path) -> None:
    loop = Loop(tmp_path)
    loop.suite.cases["p1"] = [a_case(status=CaseStatus.FAILED)]
    loop.logs = EndlessLogs(loop.stop)
    ended = loop.run().ended
    assert ended is not None
    assert ended.exit_code == 130
    assert ended.duration_s < 5.0
    spared(loop)


class EndlessLogs(FakeLogs):
    """A log handed over for as long as the reader bears it; the run is stopped meanwhile."""

    def __init__(self, run: Stop) -> None:
        super().__init__()
        self._run = run

    def read(self, window: LogWindow, into: Callable[[LogEntry], None], stop: Stop) -> Coverage:
        self._run.stop("SIGINT")
        stop.wait(30.0)
        return super().read(window, into, stop)


def test_a_signal_after_the_run_is_green_changes_nothing(tmp_path: Path) -> None:
    loop = Loop(tmp_path)

    def at(event: Event) -> None:
        end = event.payload
        if isinstance(end, StageFinished) and end.to is State.GREEN:
            loop.stop.stop("SIGINT")

    loop.at = at
    ended = loop.run().ended
    assert ended is not None
    assert (ended.verdict, ended.exit_code) == (Verdict.GREEN, 0)
    assert ended.left[0].verified


def test_a_restore_that_fails_after_a_signal_is_not_told_as_an_interruption(tmp_path: Path) -> None:
    loop = Loop(tmp_path)
    loop.when_entered(State.CONFIRM, lambda: loop.stop.stop("SIGINT"))
    loop.platform.fails["route chat chat-old"] = PlatformError("the door is stuck")
    ended = loop.run().ended
    assert ended is not None
    assert (ended.exit_code, ended.stop_reason) == (5, StopReason.RESTORE_FAILED)


def test_a_deadline_amid_a_suite_is_unproven_and_restored(tmp_path: Path) -> None:
    loop = Loop(tmp_path, deadline_s=0.3)
    loop.suite.hooks["run"] = lambda: wait_for_the_deadline(loop)
    ended = loop.run().ended
    assert ended is not None
    assert (ended.verdict, ended.exit_code) == (Verdict.UNPROVEN, 3)
    assert ended.stop_reason is StopReason.DEADLINE
    spared(loop)


def wait_for_the_deadline(loop: Loop) -> None:
    while loop.stop.reason is None:
        loop.stop.wait(1.0)


@pytest.mark.parametrize("state", [*AFTER_PREFLIGHT, State.COLLECT, State.SETTLE])
def test_after_the_lease_is_lost_nothing_is_touched(tmp_path: Path, state: State) -> None:
    loop = Loop(tmp_path)
    if state in (State.COLLECT, State.SETTLE):
        loop.suite.cases["p1"] = [a_case(status=CaseStatus.FAILED)]
    before: list[str] = []

    def lose() -> None:
        loop.stop.stop("lease lost")
        before.extend(loop.platform.effects(*EFFECTS))

    loop.when_entered(state, lose)
    ended = loop.run().ended
    assert ended is not None
    assert (ended.verdict, ended.exit_code) == (Verdict.UNPROVEN, 3)
    assert ended.stop_reason is StopReason.ENVIRONMENT_MOVED
    if state is not State.SETTLE:
        assert loop.platform.effects(*EFFECTS) == before


def test_a_lease_lost_as_the_last_check_passes_is_no_green(tmp_path: Path) -> None:
    loop = Loop(tmp_path)
    loop.logs.hooks["read"] = lambda: loop.stop.stop("lease lost")
    ended = loop.run().ended
    assert ended is not None
    assert (ended.exit_code, ended.stop_reason) == (3, StopReason.ENVIRONMENT_MOVED)


def test_a_target_that_is_held_ends_the_run_locked_with_who_holds_it(tmp_path: Path) -> None:
    loop = Loop(tmp_path)
    loop.leases.fails["acquire"] = HeldByOther("chat is held by run 7", hint="wait for it")
    ended = loop.run().ended
    assert ended is not None
    assert (ended.verdict, ended.exit_code) == (Verdict.LOCKED, 6)
    assert ended.problems == ("chat is held by run 7", "wait for it")
    assert not loop.platform.calls


def test_a_lease_that_cannot_be_taken_at_all_is_a_failed_preflight(tmp_path: Path) -> None:
    loop = Loop(tmp_path)
    loop.leases.fails["acquire"] = LeaseError("no permission", hint="mend it")
    ended = loop.run().ended
    assert ended is not None
    assert (ended.exit_code, ended.problems) == (4, ("no permission", "mend it"))
    assert not loop.platform.calls


def test_a_signal_while_the_run_waits_for_its_lease_interrupts_it(tmp_path: Path) -> None:
    loop = Loop(tmp_path)
    loop.leases.fails["acquire"] = Stopped("SIGTERM")
    ended = loop.run().ended
    assert ended is not None
    assert (ended.verdict, ended.exit_code) == (Verdict.INTERRUPTED, 143)


@pytest.mark.parametrize("error", [LeaseError("disk full"), LeaseLost("taken")])
def test_a_lease_that_cannot_be_let_go_of_does_not_hide_how_the_run_ended(
    tmp_path: Path, error: Exception
) -> None:
    loop = Loop(tmp_path)
    loop.leases.fails["release"] = error
    ended = loop.run().ended
    assert ended is not None
    assert ended.verdict is Verdict.GREEN
