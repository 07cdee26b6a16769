"""Runs whose own ground gives way: a full disk, a fault of loopctl."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from loop_rig import (
    AFTER_PREFLIGHT,
    Loop,
    a_case,
    a_disk_that_can_fill_up,
    spared,
)

from loopctl.errors import Stopped
from loopctl.model.events import Event, RunEnded, StageFinished
from loopctl.model.evidence import CaseStatus
from loopctl.model.state import State, StopReason, Verdict
from loopctl.ports.logs import LogError
from loopctl.ports.platform import PlatformError

NEW = {"chat-new": 100}


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
