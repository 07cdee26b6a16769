"""What has come to its end stays there: no signal, kill or clock makes another cycle of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from loop_rig import Loop, a_case, a_suite, path_of, spared
from red_loop import a_red_loop, weaken, weakens_and_is_interrupted
from scripted import Killed

from loopctl.errors import Stopped
from loopctl.model.events import Event, Note, RemedyDecided
from loopctl.model.plan import Priority, RemedyRule
from loopctl.model.state import OutcomeKind, State, StopReason, Verdict

ALWAYS = RemedyRule({}, "run", ("./fix.sh",), limit=5)
RETRY = RemedyRule({"verdict": "red"}, "retry", limit=5)


def killed(loop: Loop, *, first: bool = False) -> None:
    with pytest.raises(Killed):
        loop.run() if first else loop.resume()
    loop.at = lambda _: None
    loop.platform.hooks.clear()


def test_a_refused_remedy_is_no_reason_for_another_cycle_however_it_was_stopped(
    tmp_path: Path,
) -> None:
    loop = a_red_loop(tmp_path, ALWAYS)
    loop.command.after["run"] = lambda: weaken(loop)
    loop.when_entered(State.COLLECT, lambda: loop.stop.stop("SIGINT"))
    loop.platform.hooks["discard chat"] = loop.kill
    killed(loop, first=True)
    worklog = loop.resume()
    assert worklog.ended is not None
    assert worklog.ended.stop_reason is StopReason.REMEDY_REFUSED
    assert len(worklog.cycles) == 1


def test_a_refusal_that_was_killed_before_its_end_was_written_still_holds(tmp_path: Path) -> None:
    loop = a_red_loop(tmp_path, ALWAYS)

    loop.command.after["run"] = lambda: weakens_and_is_interrupted(loop)
    loop.run()

    def at(event: Event) -> None:
        if isinstance(event.payload, RemedyDecided):
            loop.kill()

    loop.at = at
    killed(loop)
    worklog = loop.resume()
    assert worklog.ended is not None
    assert worklog.ended.stop_reason is StopReason.REMEDY_REFUSED
    assert len(worklog.cycles) == 1


@pytest.mark.parametrize("state", [State.COLLECT, State.SETTLE, State.DIAGNOSE, State.REMEDIATE])
def test_a_signal_after_the_failure_buys_no_cycle_beyond_the_limit(
    tmp_path: Path, state: State
) -> None:
    loop = a_red_loop(tmp_path, RETRY, max_cycles=1)
    loop.when_entered(state, lambda: loop.stop.stop("SIGTERM"))
    first = loop.run()
    assert first.ended is not None
    assert first.ended.verdict is Verdict.INTERRUPTED
    loop.at = lambda _: None
    worklog = loop.resume()
    assert worklog.ended is not None
    assert (worklog.ended.verdict, worklog.ended.stop_reason) == (
        Verdict.RED,
        StopReason.MAX_CYCLES,
    )
    assert len(worklog.cycles) == 1
    spared(loop)


def test_a_red_cycle_that_was_stopped_in_collect_goes_on_with_its_remedy(tmp_path: Path) -> None:
    loop = a_red_loop(tmp_path, RETRY)
    loop.when_entered(State.COLLECT, lambda: loop.stop.stop("SIGINT"))
    loop.run()
    loop.at = lambda _: None
    worklog = loop.resume()
    diagnosed = path_of(worklog.cycles[0])[-2:]
    assert diagnosed == [
        (State.DIAGNOSE, OutcomeKind.OK),
        (State.REMEDIATE, OutcomeKind.GO_DEPLOY),
    ]
    assert len(worklog.cycles) == 2


@pytest.mark.parametrize("rule", [ALWAYS, RETRY, replace(RETRY, do="rollback")])
def test_once_the_time_is_up_no_remedy_is_begun_and_the_verdict_is_the_tests(
    tmp_path: Path, rule: RemedyRule
) -> None:
    loop = a_red_loop(tmp_path, rule)
    loop.when_entered(State.COLLECT, loop.time_is_up)
    worklog = loop.run()
    assert worklog.ended is not None
    assert (worklog.ended.exit_code, worklog.ended.stop_reason) == (1, StopReason.DEADLINE)
    assert loop.command.effects("run") == []
    assert worklog.last is not None
    assert worklog.last.remedy is not None
    assert worklog.last.remedy.result == "proposed"
    spared(loop)


@pytest.mark.parametrize("signal", [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_candidate_that_takes_long_to_stop_is_no_failed_restore(
    tmp_path: Path, signal: tuple[str, int]
) -> None:
    loop = Loop(tmp_path)
    loop.when_entered(State.VERIFY, lambda: loop.stop.stop(signal[0]))
    loop.platform.fails["discard"] = Stopped("deadline")
    ended = loop.run().ended
    assert ended is not None
    assert (ended.verdict, ended.exit_code) == (Verdict.INTERRUPTED, signal[1])
    assert any("still ending" in e.payload.text for e in loop.events if isinstance(e.payload, Note))


def test_passes_do_not_stand_when_nobody_can_tell_whether_the_tests_are_the_same(
    tmp_path: Path,
) -> None:
    gone = tmp_path / "gone"
    suites = [a_suite(cwd=gone), a_suite("p2", Priority.P2, cwd=gone)]
    loop = Loop(tmp_path, suites=suites)
    loop.suite.cases["p2"] = [a_case("test_b")]
    loop.suite.after["run p2"] = loop.kill
    killed(loop, first=True)
    loop.suite.after.clear()
    loop.resume()
    assert loop.suite.effects("run") == ["run p1", "run p2", "run p1", "run p2"]
