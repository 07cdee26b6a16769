"""A remedy that was about when its run was stopped: nothing rests on it before it was looked at."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from loop_rig import Loop, a_case
from red_loop import a_red_loop, weaken, weakens_and_is_interrupted
from scripted import Killed

from loopctl.journal.worklog import Worklog
from loopctl.model.plan import RemedyRule
from loopctl.model.state import State, StopReason, Verdict

ALWAYS = RemedyRule({}, "run", ("./fix.sh",))
WHEN_RED = replace(ALWAYS, when={"verdict": "red"})


def refused(worklog: Worklog, loop: Loop) -> None:
    assert worklog.ended is not None
    assert worklog.ended.stop_reason is StopReason.REMEDY_REFUSED
    assert worklog.ended.verdict is Verdict.RED
    assert len(worklog.cycles) == 1
    assert loop.platform.traffic("chat") == {"chat-old": 100}


def test_what_an_interrupted_command_has_done_is_judged_when_the_run_is_gone_on_with(
    tmp_path: Path,
) -> None:
    loop = a_red_loop(tmp_path, WHEN_RED)
    loop.command.after["run"] = lambda: weakens_and_is_interrupted(loop)
    first = loop.run()
    assert first.ended is not None
    assert first.ended.verdict is Verdict.INTERRUPTED
    refused(loop.resume(), loop)


def test_a_refusal_that_a_signal_cut_short_still_holds(tmp_path: Path) -> None:
    loop = a_red_loop(tmp_path, WHEN_RED)

    def at_its_end() -> None:
        weaken(loop)
        loop.stop.stop("SIGINT")

    loop.command.after["run"] = at_its_end
    first = loop.run()
    assert first.ended is not None
    assert first.ended.verdict is Verdict.INTERRUPTED
    refused(loop.resume(), loop)


def test_a_cycle_that_says_nothing_asks_for_no_remedy(tmp_path: Path) -> None:
    loop = a_red_loop(tmp_path, ALWAYS)
    loop.suite.cases["p1"] = [a_case()]
    loop.command.after["run"] = lambda: weaken(loop)
    loop.when_entered(State.CONFIRM, lambda: loop.stop.stop("SIGINT"))
    loop.platform.hooks["route chat chat-old"] = loop.kill
    with pytest.raises(Killed):
        loop.run()
    loop.at = lambda _: None
    loop.platform.hooks.clear()
    worklog = loop.resume()
    assert loop.command.effects("run") == []
    assert worklog.ended is not None
    assert worklog.ended.verdict is Verdict.GREEN


def test_a_rollback_in_a_resumed_run_leaves_a_strangers_traffic_alone(tmp_path: Path) -> None:
    loop = a_red_loop(tmp_path, RemedyRule({"verdict": "red"}, "rollback"))
    loop.when_entered(State.REMEDIATE, loop.kill)
    with pytest.raises(Killed):
        loop.run()
    loop.at = lambda _: None
    loop.platform.move("chat", {"stranger": 100})
    ended = loop.resume().ended
    assert ended is not None
    assert (ended.exit_code, ended.stop_reason) == (3, StopReason.ENVIRONMENT_MOVED)
    assert loop.platform.traffic("chat") == {"stranger": 100}
