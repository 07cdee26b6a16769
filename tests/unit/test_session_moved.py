"""What somebody else did to a service is seen before this run writes to it, whenever that is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from fakes import EFFECTS, serving
from loop_rig import Loop, a_case, a_service, spared, two_services
from scripted import Killed

from loopctl.journal.worklog import Worklog
from loopctl.model.events import Event, RemedyDecided, ServiceObserved, StageEntered
from loopctl.model.evidence import CaseStatus
from loopctl.model.plan import Remediation, RemediationMode, RemedyRule
from loopctl.model.state import State, StopReason, Verdict

STRANGER = {"stranger": 100}


def moved(worklog: Worklog) -> None:
    """It ended because somebody else had written, and claims nothing of theirs."""
    ended = worklog.ended
    assert ended is not None
    assert (ended.exit_code, ended.stop_reason) == (3, StopReason.ENVIRONMENT_MOVED)
    assert not any(left.changed_by_run for left in ended.left if left.traffic == STRANGER)


def killed(loop: Loop) -> None:
    with pytest.raises(Killed):
        loop.run()
    loop.at = lambda _: None


@pytest.mark.parametrize("act", [Loop.move_traffic, Loop.write_elsewhere])
def test_after_an_interruption_nobodys_promotion_is_promoted_over(
    tmp_path: Path, act: Callable[[Loop], None]
) -> None:
    loop = Loop(tmp_path)
    loop.when_entered(State.VERIFY, lambda: loop.stop.stop("SIGINT"))
    loop.run()
    spared(loop)
    before = loop.platform.effects(*EFFECTS)
    loop.at = lambda _: None
    act(loop)
    moved(loop.resume())
    assert loop.platform.effects(*EFFECTS) == before


def test_between_two_cycles_nobodys_promotion_is_promoted_over(tmp_path: Path) -> None:
    loop = Loop(tmp_path, [a_service(source=tmp_path / "chat")])
    loop.suite.cases["p1"] = [a_case(status=CaseStatus.FAILED)]
    rule = RemedyRule({"verdict": "red"}, "retry")
    loop.remediation = Remediation(RemediationMode.AUTO, rules=(rule,))

    def at(event: Event) -> None:
        if isinstance(event.payload, RemedyDecided):
            loop.move_traffic()

    loop.at = at
    moved(loop.run())
    assert loop.platform.effects("deploy") == ["deploy chat none"]
    assert loop.platform.traffic("chat") == STRANGER


def test_a_later_wave_is_not_deployed_over_what_came_meanwhile(tmp_path: Path) -> None:
    loop = two_services(tmp_path)

    def at(event: Event) -> None:
        entered = isinstance(event.payload, StageEntered) and event.payload.stage is State.HEALTH
        if entered and not event.wave:
            loop.platform.move("worker", STRANGER)

    loop.at = at
    moved(loop.run())
    assert loop.platform.effects("deploy") == ["deploy chat none"]
    assert loop.platform.traffic("worker") == STRANGER


def test_what_came_while_a_candidate_was_put_beside_it_is_not_promoted_over(
    tmp_path: Path,
) -> None:
    loop = Loop(tmp_path)
    loop.platform.after["deploy"] = loop.move_traffic
    moved(loop.run())
    assert loop.platform.effects("route") == []
    assert loop.platform.traffic("chat") == STRANGER


def test_a_service_that_came_to_be_in_the_pause_is_not_taken_over_untested(tmp_path: Path) -> None:
    loop = Loop(tmp_path, existing=False)

    def at(event: Event) -> None:
        if isinstance(event.payload, ServiceObserved):
            loop.kill()

    loop.at = at
    killed(loop)
    loop.platform.states["chat"] = serving("chat", STRANGER)
    moved(loop.resume())
    assert loop.platform.effects(*EFFECTS) == []


def test_where_nothing_is_put_back_for_a_strangers_sake_it_says_so(tmp_path: Path) -> None:
    loop = Loop(tmp_path)
    loop.when_entered(State.CONFIRM, loop.kill)
    killed(loop)
    loop.write_elsewhere()
    worklog = loop.resume()
    moved(worklog)
    assert worklog.ended is not None
    assert worklog.ended.restored == "moved"
    assert loop.platform.traffic("chat") == {"chat-new": 100}


def test_a_host_that_died_after_the_promotion_is_no_stranger(tmp_path: Path) -> None:
    loop = Loop(tmp_path)
    loop.when_entered(State.CONFIRM, loop.kill)
    killed(loop)
    loop.platform.states["chat"] = None
    loop.suite.cases["p1"] = [a_case(status=CaseStatus.FAILED)]
    ended = loop.resume().ended
    assert ended is not None
    assert (ended.verdict, ended.stop_reason) == (
        Verdict.UNDELIVERED,
        StopReason.RESTORE_FAILED,
    ), "what served before died with its host, and that is what is told"
