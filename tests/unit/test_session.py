"""Whole runs on scripted ports: what users are left with, however a run ends."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from fakes import EFFECTS, FakeLogs
from loop_rig import Loop, a_case, a_disk_that_can_fill_up, a_service, a_suite, path_of

from loopctl.errors import Stopped
from loopctl.journal.store import read
from loopctl.model.artifact import Revision
from loopctl.model.events import Event, LogsKept, Result, RunEnded, StageFinished
from loopctl.model.evidence import CaseStatus
from loopctl.model.logs import Coverage, LogEntry, LogWindow
from loopctl.model.options import RunOptions
from loopctl.model.plan import Priority
from loopctl.model.state import OutcomeKind, State, StopReason, Verdict
from loopctl.ports.leases import HeldByOther, LeaseError, LeaseLost
from loopctl.ports.logs import LogError
from loopctl.ports.platform import PlatformError
from loopctl.process import Stop

NEW = {"chat-new": 100}
AFTER_PREFLIGHT = [
    State.BUILD,
    State.DEPLOY,
    State.HEALTH,
    State.VERIFY,
    State.PROMOTE,
    State.CONFIRM,
]


def spared(loop: Loop, service: str = "chat") -> None:
    """Users are met by what served before, and no candidate is left."""
    assert loop.platform.traffic(service) == {f"{service}-old": 100}
    assert loop.platform.revisions(service) == [f"{service}-old"]


def two_services(folder: Path, **facts: object) -> Loop:
    services = [a_service(), a_service("worker", needs=("chat",))]
    return Loop(folder, services=services, **facts)  # type: ignore[arg-type]


def test_a_green_run_sends_all_traffic_to_what_was_verified(tmp_path: Path) -> None:
    loop = Loop(tmp_path)
    ended = loop.run().ended
    assert ended is not None
    assert (ended.verdict, ended.exit_code, ended.restored) == (Verdict.GREEN, 0, "not-needed")
    assert loop.platform.traffic("chat") == NEW
    assert [(left.verified, left.changed_by_run) for left in ended.left] == [(True, True)]
    assert loop.leases.calls == ["acquire", "release"]


def test_every_event_of_a_run_can_be_read_back_and_the_last_one_is_its_end(tmp_path: Path) -> None:
    loop = Loop(tmp_path)
    loop.run()
    events = list(read(tmp_path / "journal.jsonl"))
    assert events == loop.events
    assert isinstance(events[-1].payload, RunEnded)


def test_a_red_run_puts_traffic_back_after_the_logs_were_kept(tmp_path: Path) -> None:
    loop = Loop(tmp_path)
    loop.suite.cases["p1"] = [a_case(status=CaseStatus.FAILED)]
    ended = loop.run().ended
    assert ended is not None
    assert (ended.verdict, ended.exit_code) == (Verdict.RED, 1)
    spared(loop)
    kept = next(i for i, e in enumerate(loop.events) if isinstance(e.payload, LogsKept))
    dropped = next(i for i, e in enumerate(loop.events) if is_result(e, "discard"))
    assert kept < dropped


def is_result(event: Event, effect: str) -> bool:
    return isinstance(event.payload, Result) and event.payload.effect == effect


def test_a_run_that_fails_after_promotion_takes_the_traffic_back(tmp_path: Path) -> None:
    loop = Loop(tmp_path)
    loop.platform.hooks["route"] = lambda: setattr(loop.platform, "content", "main.py differs")
    ended = loop.run().ended
    assert ended is not None
    assert ended.exit_code == 3
    assert ended.restored == "done"
    spared(loop)


def test_a_restore_that_fails_says_so_and_how_to_mend_it(tmp_path: Path) -> None:
    loop = Loop(tmp_path)
    loop.platform.hooks["route"] = lambda: setattr(loop.platform, "content", "main.py differs")
    refused = PlatformError("the door is stuck", hint="curl the door yourself")
    loop.platform.fails["route chat chat-old"] = refused
    ended = loop.run().ended
    assert ended is not None
    assert (ended.verdict, ended.exit_code) == (Verdict.UNDELIVERED, 5)
    assert ended.stop_reason is StopReason.RESTORE_FAILED
    assert (ended.restored, ended.mend) == ("failed", "curl the door yourself")
    assert "chat-new" in loop.platform.revisions("chat"), "who serves is never discarded"


def test_keep_leaves_the_failed_cycle_as_it_is(tmp_path: Path) -> None:
    loop = Loop(tmp_path, options=RunOptions(keep=True))
    loop.suite.cases["p1"] = [a_case(status=CaseStatus.FAILED)]
    ended = loop.run().ended
    assert ended is not None
    assert ended.restored == "kept"
    assert loop.platform.effects(*EFFECTS) == ["deploy chat none"]


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


def test_when_the_second_promotion_fails_both_services_go_back_in_reverse(tmp_path: Path) -> None:
    loop = two_services(tmp_path)
    loop.platform.fails["route worker worker-new"] = PlatformError("refused")
    ended = loop.run().ended
    assert ended is not None
    assert ended.exit_code == 5
    spared(loop)
    spared(loop, "worker")
    assert loop.platform.effects(*EFFECTS) == [
        "deploy chat none",
        "deploy worker none",
        "route chat chat-new=100",
        "route worker worker-new=100",
        "route chat chat-old=100",
        "discard worker worker-new",
        "discard chat chat-new",
    ]


def test_traffic_goes_back_in_the_reverse_order_before_anything_is_discarded(
    tmp_path: Path,
) -> None:
    loop = two_services(tmp_path)
    loop.when_entered(State.CONFIRM, lambda: loop.stop.stop("SIGINT"))
    loop.run()
    assert loop.platform.effects(*EFFECTS)[-4:] == [
        "route worker worker-old=100",
        "route chat chat-old=100",
        "discard worker worker-new",
        "discard chat chat-new",
    ]


def test_one_service_that_cannot_be_put_back_does_not_hold_up_the_other(tmp_path: Path) -> None:
    loop = two_services(tmp_path)
    loop.when_entered(State.CONFIRM, lambda: loop.stop.stop("SIGINT"))
    loop.platform.fails["route worker worker-old"] = PlatformError("refused")
    ended = loop.run().ended
    assert ended is not None
    assert ended.stop_reason is StopReason.RESTORE_FAILED
    spared(loop)
    assert loop.platform.traffic("worker") == {"worker-new": 100}


@pytest.mark.parametrize("options", [{"suites": ("p1",)}, {"priorities": ("P1",)}])
def test_a_partial_run_never_promotes_and_verifies_nothing(
    tmp_path: Path, options: dict[str, tuple[str, ...]]
) -> None:
    suites = [a_suite(), a_suite("p2", Priority.P2)]
    loop = Loop(tmp_path, suites=suites, options=RunOptions(**options))  # type: ignore[arg-type]
    ended = loop.run().ended
    assert ended is not None
    assert ended.exit_code == 0
    assert loop.platform.effects(*EFFECTS) == ["deploy chat none", "discard chat chat-new"]
    assert [left.verified for left in ended.left] == [False]


def test_from_verify_tests_what_serves_and_changes_nothing(tmp_path: Path) -> None:
    loop = Loop(tmp_path, options=RunOptions(start=State.VERIFY))
    ended = loop.run().ended
    assert ended is not None
    assert ended.exit_code == 0
    assert loop.platform.effects(*EFFECTS) == []
    assert loop.builder.effects("build") == []
    assert loop.suite.contexts["p1"].endpoints["chat"].url == "http://own/chat-old"


def test_a_first_revision_that_fails_stays_and_is_told_as_unverified(tmp_path: Path) -> None:
    loop = Loop(tmp_path, existing=False)
    loop.suite.cases["p1"] = [a_case(status=CaseStatus.FAILED)]
    ended = loop.run().ended
    assert ended is not None
    assert ended.exit_code == 1
    assert loop.platform.traffic("chat") == NEW
    assert loop.platform.effects(*EFFECTS) == ["deploy chat all"]
    assert [(left.verified, left.changed_by_run) for left in ended.left] == [(False, True)]


@pytest.mark.parametrize("call", ["status", "serves_content chat-new"])
def test_traffic_that_a_stranger_moved_is_left_alone(tmp_path: Path, call: str) -> None:
    loop = Loop(tmp_path)
    loop.platform.hooks[call] = lambda: loop.platform.move("chat", {"stranger": 100})
    ended = loop.run().ended
    assert ended is not None
    assert (ended.exit_code, ended.stop_reason) == (3, StopReason.ENVIRONMENT_MOVED)
    assert loop.platform.traffic("chat") == {"stranger": 100}
    assert not loop.platform.effects("route", "discard")


def test_a_strangers_traffic_is_not_overwritten_by_the_restore(tmp_path: Path) -> None:
    loop = Loop(tmp_path)
    loop.suite.cases["p1"] = [a_case(status=CaseStatus.FAILED)]
    loop.when_entered(State.SETTLE, lambda: loop.platform.move("chat", {"stranger": 100}))
    ended = loop.run().ended
    assert ended is not None
    assert (ended.exit_code, ended.stop_reason) == (3, StopReason.ENVIRONMENT_MOVED)
    assert not loop.platform.effects("route", "discard")


def test_traffic_moved_after_promotion_is_left_alone_too(tmp_path: Path) -> None:
    loop = Loop(tmp_path)
    loop.when_entered(State.CONFIRM, lambda: loop.platform.move("chat", {"stranger": 100}))
    ended = loop.run().ended
    assert ended is not None
    assert (ended.exit_code, ended.stop_reason) == (3, StopReason.ENVIRONMENT_MOVED)
    assert loop.platform.traffic("chat") == {"stranger": 100}


def test_if_one_of_two_services_has_moved_neither_is_promoted(tmp_path: Path) -> None:
    loop = two_services(tmp_path)
    loop.when_entered(State.PROMOTE, lambda: loop.platform.move("worker", {"stranger": 100}))
    ended = loop.run().ended
    assert ended is not None
    assert ended.exit_code == 3
    assert not loop.platform.effects("route")


@pytest.mark.parametrize("state", [*AFTER_PREFLIGHT, State.COLLECT])
def test_a_fault_of_loopctl_in_any_stage_puts_traffic_back(tmp_path: Path, state: State) -> None:
    loop = Loop(tmp_path)
    fault = KeyError("what nobody thought of")
    scripts: dict[State, Callable[[], None]] = {
        State.BUILD: lambda: loop.builder.fails.update({"build": fault}),
        State.DEPLOY: lambda: loop.platform.fails.update({"deploy": fault}),
        State.HEALTH: lambda: loop.prober.fails.update({"get": fault}),
        State.VERIFY: lambda: loop.suite.fails.update({"run": fault}),
        State.PROMOTE: lambda: loop.platform.fails.update({"route chat chat-new": fault}),
        State.CONFIRM: lambda: loop.prober.fails.update({"get http://127": fault}),
        State.COLLECT: lambda: loop.logs.fails.update({"read": fault}),
    }
    scripts[state]()
    if state is State.COLLECT:
        loop.suite.cases["p1"] = [a_case(status=CaseStatus.FAILED)]
    ended = loop.run().ended
    assert ended is not None
    assert (ended.verdict, ended.exit_code) == (Verdict.INTERNAL, 70)
    assert ended.stop_reason is StopReason.FATAL
    assert "KeyError" in ended.detail
    assert loop.crashes == [fault]
    spared(loop)


def test_logs_that_cannot_be_kept_do_not_keep_traffic_from_going_back(tmp_path: Path) -> None:
    loop = Loop(tmp_path)
    loop.suite.cases["p1"] = [a_case(status=CaseStatus.FAILED)]
    loop.logs.fails["read"] = LogError("gone")
    ended = loop.run().ended
    assert ended is not None
    assert ended.exit_code == 1
    spared(loop)


def test_a_disk_that_is_full_at_any_event_is_no_green_and_users_are_spared(tmp_path: Path) -> None:
    whole = Loop(tmp_path)
    whole.run()
    confirmed = len(whole.events) - 2
    for number in range(1, len(whole.events)):
        loop, ended = run_with_a_disk_full_after(number, tmp_path / str(number))
        assert ended.exit_code != 0, number
        assert ended.verdict is not Verdict.GREEN, number
        if number < confirmed:
            spared(loop)
        else:
            assert loop.platform.traffic("chat") == NEW


def run_with_a_disk_full_after(number: int, folder: Path) -> tuple[Loop, RunEnded]:
    folder.mkdir()
    loop = Loop(folder)
    with a_disk_that_can_fill_up() as fill:

        def at(event: Event) -> None:
            if event.seq == number:
                fill(folder / "journal.jsonl")

        loop.at = at
        ended = loop.run().ended
    assert ended is not None
    return loop, ended


def test_a_disk_that_fills_up_amid_the_restore_does_not_stop_it(tmp_path: Path) -> None:
    loop = Loop(tmp_path)
    loop.platform.hooks["route chat chat-new"] = lambda: setattr(loop.platform, "content", "stale")
    with a_disk_that_can_fill_up() as fill:
        loop.when_entered(State.SETTLE, lambda: fill(tmp_path / "journal.jsonl"))
        ended = loop.run().ended
    assert ended is not None
    assert ended.exit_code == 3
    assert ended.restored == "done"
    spared(loop)


def test_a_crash_that_cannot_be_written_down_does_not_keep_traffic_from_going_back(
    tmp_path: Path,
) -> None:
    loop = Loop(tmp_path)
    loop.suite.fails["run"] = KeyError("x")
    with a_disk_that_can_fill_up() as fill:
        loop.when_entered(State.VERIFY, lambda: fill(tmp_path / "journal.jsonl"))
        ended = loop.run().ended
    assert ended is not None
    assert ended.exit_code != 0
    spared(loop)


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


@pytest.mark.parametrize("error", [PlatformError("silent"), Stopped("deadline")])
def test_a_last_look_that_fails_is_told_and_does_not_hide_the_verdict(
    tmp_path: Path, error: BaseException
) -> None:
    loop = Loop(tmp_path)

    def at(event: Event) -> None:
        end = event.payload
        if isinstance(end, StageFinished) and end.to is State.GREEN:
            loop.platform.fails["observe"] = error

    loop.at = at
    worklog = loop.run()
    assert worklog.ended is not None
    assert worklog.ended.verdict is Verdict.GREEN
    assert worklog.ended.left == ()
    assert [n.what for n in worklog.not_checked] == ["who serves chat now"]


def test_services_in_two_waves_are_deployed_in_the_order_of_their_needs(tmp_path: Path) -> None:
    loop = two_services(tmp_path)
    worklog = loop.run()
    assert path_of(worklog.last)[:6] == [
        (State.PREFLIGHT, OutcomeKind.OK),
        (State.BUILD, OutcomeKind.OK),
        (State.DEPLOY, OutcomeKind.OK),
        (State.HEALTH, OutcomeKind.MORE_WAVES),
        (State.DEPLOY, OutcomeKind.OK),
        (State.HEALTH, OutcomeKind.OK),
    ]
    assert loop.platform.effects("route") == [
        "route chat chat-new=100",
        "route worker worker-new=100",
    ]
    assert worklog.last is not None
    assert [stage.wave for stage in worklog.last.stages][2:6] == [0, 0, 1, 1]


def test_a_failure_in_the_second_wave_spares_the_first(tmp_path: Path) -> None:
    loop = two_services(tmp_path)
    loop.platform.fails["deploy worker"] = PlatformError("no room")
    ended = loop.run().ended
    assert ended is not None
    assert (ended.exit_code, ended.problems) == (5, ("no room",))
    spared(loop)
    spared(loop, "worker")


def test_a_candidate_is_known_by_its_key(tmp_path: Path) -> None:
    loop = Loop(tmp_path)
    worklog = loop.run()
    assert worklog.last is not None
    revision = worklog.last.services["chat"].revision
    assert isinstance(revision, Revision)
    assert revision.key == f"{worklog.run.run_id}/1/chat/{revision.digest}"
