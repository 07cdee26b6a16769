"""Before a run that was killed goes on it looks who was there meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from fakes import EFFECTS, FakePlatform, serving
from loop_rig import a_journal, a_service

from loopctl.model.artifact import Revision, ServiceState
from loopctl.model.events import Intent, RevisionDeployed, ServiceObserved
from loopctl.model.finding import FaultKind
from loopctl.model.outcome import Outcome
from loopctl.model.state import OutcomeKind
from loopctl.ports.platform import PlatformError
from loopctl.process import Stop
from loopctl.stages.rejoin import Rejoin
from loopctl.stages.traffic import traffic_moved

KEY = "run/1/chat/sha256:x"


class Pause:
    """A run that has put a candidate beside `chat-old`, and was killed."""

    def __init__(self, folder: Path, *, deployed: bool = True) -> None:
        self.platform = FakePlatform("chat")
        self.journal = a_journal(folder, [a_service()])
        self.tell(ServiceObserved("before", self.state))
        if deployed:
            self.tell(Intent("deploy", KEY))
            new = Revision("chat", "chat-new", "sha256:x", self.state.revisions[0].created_at, KEY)
            changed = replace(self.state, revisions=(*self.state.revisions, new), generation="2")
            self.platform.states["chat"] = changed
            self.tell(RevisionDeployed(new, "none"))
            self.tell(ServiceObserved("deployed", changed))

    def tell(self, payload: ServiceObserved | RevisionDeployed | Intent) -> None:
        self.journal.append(payload, service="chat")

    @property
    def state(self) -> ServiceState:
        state = self.platform.states["chat"]
        assert state is not None
        return state

    def rejoin(self) -> Outcome | None:
        look = Rejoin([a_service()], self.platform)
        return look(self.journal.fold.cycle(), Stop(5.0))

    def moved(self) -> str | None:
        return traffic_moved(self.journal.fold.cycle().services["chat"], self.state)


def test_where_nothing_has_changed_it_goes_on(tmp_path: Path) -> None:
    pause = Pause(tmp_path)
    assert pause.rejoin() is None
    assert not pause.platform.effects(*EFFECTS)


def test_what_was_never_looked_at_is_not_looked_at_now(tmp_path: Path) -> None:
    journal = a_journal(tmp_path, [a_service()])
    platform = FakePlatform("chat")
    assert Rejoin([a_service()], platform)(journal.fold.cycle(), Stop(5.0)) is None
    assert platform.calls == []


def test_a_strangers_traffic_is_told(tmp_path: Path) -> None:
    pause = Pause(tmp_path)
    pause.platform.move("chat", {"stranger": 100})
    outcome = pause.rejoin()
    assert outcome is not None
    assert outcome.kind is OutcomeKind.MOVED
    assert outcome.faults[0].kind is FaultKind.MOVED
    assert "stranger 100 %" in outcome.detail


def test_a_strangers_write_that_left_the_traffic_is_told_by_its_generation(tmp_path: Path) -> None:
    pause = Pause(tmp_path)
    pause.platform.touch("chat")
    outcome = pause.rejoin()
    assert outcome is not None
    assert outcome.kind is OutcomeKind.MOVED
    assert "generation 3, not 2" in outcome.detail


def test_a_host_that_is_gone_is_nobodys_write_and_is_deployed_to_again(tmp_path: Path) -> None:
    pause = Pause(tmp_path)
    pause.platform.states["chat"] = None
    outcome = pause.rejoin()
    assert outcome is not None
    assert outcome.kind is OutcomeKind.GO_DEPLOY


def test_a_service_that_never_was_need_not_be_there(tmp_path: Path) -> None:
    pause = Pause(tmp_path, deployed=False)
    pause.platform.states["chat"] = None
    assert pause.rejoin() is None


def test_a_platform_that_does_not_answer_is_no_stranger(tmp_path: Path) -> None:
    pause = Pause(tmp_path)
    pause.platform.fails["observe"] = PlatformError("silent")
    with pytest.raises(PlatformError):
        pause.rejoin()


@pytest.mark.parametrize("traffic", [{"chat-old": 100}, {"chat-new": 100}])
@pytest.mark.parametrize("touched", [False, True])
def test_a_write_of_its_own_that_nobody_read_back_is_no_strangers(
    tmp_path: Path, traffic: Mapping[str, int], touched: bool
) -> None:
    pause = Pause(tmp_path)
    pause.tell(Intent("route", "1/chat/promote", {"chat-new": 100}))
    pause.platform.states["chat"] = replace(pause.state, traffic=traffic)
    if touched:
        pause.platform.touch("chat")
    assert pause.moved() is None


def test_beside_an_unread_write_a_strangers_traffic_is_still_told(tmp_path: Path) -> None:
    pause = Pause(tmp_path)
    pause.tell(Intent("route", "1/chat/promote", {"chat-new": 100}))
    pause.platform.move("chat", {"stranger": 100})
    assert pause.moved() is not None


def test_a_first_revision_that_serves_already_is_its_own(tmp_path: Path) -> None:
    pause = Pause(tmp_path)
    pause.tell(Intent("deploy", KEY, {"share": "all"}))
    pause.platform.states["chat"] = replace(pause.state, traffic={"chat-new": 100}, generation="9")
    assert pause.moved() is None


def test_a_revision_of_another_key_is_none_of_its_own(tmp_path: Path) -> None:
    pause = Pause(tmp_path)
    pause.tell(Intent("deploy", "run/1/chat/sha256:other", {"share": "all"}))
    pause.platform.states["chat"] = replace(pause.state, traffic={"chat-new": 100})
    assert pause.moved() is not None


def test_before_the_first_write_there_is_only_what_was_seen(tmp_path: Path) -> None:
    pause = Pause(tmp_path, deployed=False)
    assert pause.moved() is None
    assert traffic_moved(pause.journal.fold.cycle().services["chat"], serving("chat", {"x": 100}))
