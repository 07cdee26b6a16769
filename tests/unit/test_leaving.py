"""What a run leaves behind, told as it is and not as it was meant."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes import FakePlatform, revision, serving
from loop_rig import a_journal, a_service, written

from loopctl.errors import Stopped
from loopctl.model.events import Event, Left, NotChecked, RevisionDeployed, ServiceObserved
from loopctl.model.finding import Fault, FaultKind
from loopctl.ports.platform import Dead, PlatformError
from loopctl.process import Stop
from loopctl.stages.leaving import look_around


class End:
    """The end of a run that put `chat-new` beside `chat-old`."""

    def __init__(self, folder: Path) -> None:
        self.platform = FakePlatform("chat")
        self.events: list[Event] = []
        self.journal = a_journal(folder, [a_service()], subscribers=[self.events.append])
        state = serving("chat", {"chat-old": 100})
        self.journal.append(ServiceObserved("before", state), service="chat")
        new = RevisionDeployed(revision("chat", "chat-new"), "none")
        self.journal.append(new, service="chat")

    def look(self, verified: frozenset[str] = frozenset(), *, green: bool = False) -> list[Left]:
        known = {"chat": verified}
        services = [a_service()]
        return list(look_around(services, self.platform, known, green, self.journal, Stop(5.0)))


@pytest.mark.parametrize(
    ("traffic", "green", "verified", "expected"),
    [
        ({"chat-old": 100}, False, frozenset(), (False, False)),
        ({"chat-old": 100}, False, frozenset({"chat-old"}), (True, False)),
        ({"chat-old": 100, "chat-new": 0}, False, frozenset({"chat-old"}), (True, False)),
        ({"chat-new": 100}, True, frozenset(), (True, True)),
        ({"chat-new": 100}, False, frozenset({"chat-old"}), (False, True)),
        ({"stranger": 100}, False, frozenset({"stranger"}), (True, False)),
        ({"chat-new": 50, "chat-old": 50}, True, frozenset(), (False, False)),
        ({}, True, frozenset({"chat-old"}), (False, False)),
    ],
)
def test_only_what_was_shown_is_verified_and_only_what_the_run_sent_there_is_its_change(
    tmp_path: Path,
    traffic: dict[str, int],
    green: bool,
    verified: frozenset[str],
    expected: tuple[bool, bool],
) -> None:
    end = End(tmp_path)
    end.platform.move("chat", traffic)
    (left,) = end.look(verified, green=green)
    assert (left.verified, left.changed_by_run) == expected
    assert 0 not in left.traffic.values()


def test_a_service_that_was_taken_away_is_told_and_not_blamed_on_the_run(tmp_path: Path) -> None:
    end = End(tmp_path)
    end.platform.states["chat"] = None
    (left,) = end.look()
    assert (left.traffic, left.verified, left.changed_by_run) == ({}, False, False)
    assert "its host has ended" in (left.dead or "")
    assert written(end.events, ServiceObserved)[-1] == ServiceObserved("end", None)


def test_a_service_that_never_was_is_left_out(tmp_path: Path) -> None:
    journal = a_journal(tmp_path, [a_service()])
    journal.append(ServiceObserved("before", None), service="chat")
    platform = FakePlatform("chat")
    platform.states["chat"] = None
    assert not look_around(
        [a_service()], platform, {}, green=False, journal=journal, stop=Stop(5.0)
    )


@pytest.mark.parametrize("error", [PlatformError("silent"), Stopped("deadline")])
def test_a_service_that_cannot_be_observed_is_told(tmp_path: Path, error: BaseException) -> None:
    end = End(tmp_path)
    end.platform.fails["observe"] = error
    assert end.look() == []
    (told,) = written(end.events, NotChecked)
    assert isinstance(told, NotChecked)
    assert told.what == "who serves chat now"


def test_a_revision_that_serves_and_is_dead_is_told_with_its_death(tmp_path: Path) -> None:
    end = End(tmp_path)
    fault = Fault(FaultKind.EXIT_CODE, "chat exited with 3 after 9 s", "chat", "3")
    end.platform.statuses["chat-old"] = [Dead(fault)]
    (left,) = end.look(frozenset({"chat-old"}))
    assert (left.dead, left.verified) == ("chat exited with 3 after 9 s", True)
