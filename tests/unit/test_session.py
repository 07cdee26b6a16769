"""Whole runs on scripted ports: what users are left with, however a run ends."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes import EFFECTS
from loop_rig import (
    Loop,
    a_case,
    a_suite,
    path_of,
    spared,
    two_services,
)

from loopctl.journal.tail import read
from loopctl.model.artifact import Revision
from loopctl.model.events import Event, LogsKept, Result, RunEnded
from loopctl.model.evidence import CaseStatus
from loopctl.model.options import RunOptions
from loopctl.model.plan import Priority
from loopctl.model.state import OutcomeKind, State, StopReason, Verdict
from loopctl.ports.platform import PlatformError

NEW = {"chat-new": 100}


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


MENDS = {
    "where loopctl is the only way": (None, "loopctl run golden-path --env local"),
    "where the platform knows a command": ("door --to chat-old", "door --to chat-old"),
}


@pytest.mark.parametrize("where", MENDS)
def test_a_restore_that_fails_says_so_and_the_command_that_mends_it(
    tmp_path: Path, where: str
) -> None:
    known, mend = MENDS[where]
    loop = Loop(tmp_path)
    loop.platform.hooks["route"] = lambda: setattr(loop.platform, "content", "main.py differs")
    refused = PlatformError("the door is stuck", hint="its log is door.log", mend=known)
    loop.platform.fails["route chat chat-old"] = refused
    ended = loop.run().ended
    assert ended is not None
    assert (ended.verdict, ended.exit_code) == (Verdict.UNDELIVERED, 5)
    assert ended.stop_reason is StopReason.RESTORE_FAILED
    assert (ended.restored, ended.mend) == ("failed", mend)
    assert "chat-new" in loop.platform.revisions("chat"), "who serves is never discarded"


def test_keep_leaves_the_failed_cycle_as_it_is(tmp_path: Path) -> None:
    loop = Loop(tmp_path, options=RunOptions(keep=True))
    loop.suite.cases["p1"] = [a_case(status=CaseStatus.FAILED)]
    ended = loop.run().ended
    assert ended is not None
    assert ended.restored == "kept"
    assert loop.platform.effects(*EFFECTS) == ["deploy chat none"]


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


@pytest.mark.parametrize("word", ["confirm", "settle", "failed", "revision", "traffic"])
def test_a_secret_that_reads_like_a_word_of_ours_cannot_break_a_run(
    tmp_path: Path, word: str
) -> None:
    loop = Loop(tmp_path, secrets={"MODE": word})
    loop.platform.hooks["route"] = lambda: setattr(loop.platform, "content", "main.py differs")
    ended = loop.run().ended
    assert ended is not None
    assert (ended.exit_code, ended.restored) == (3, "done")
    spared(loop)
