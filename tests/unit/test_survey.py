"""A survey: what is told, what is unknown, and that nothing waits or is written."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest
from fakes import (
    BEGAN,
    FakeLeases,
    FakeLogs,
    FakePlatform,
    FakeProber,
    FakeReceipts,
    revision,
    serving,
)
from loop_rig import a_service

from loopctl.errors import Stopped
from loopctl.model.artifact import Revision, ServiceState
from loopctl.model.finding import Fault, FaultKind
from loopctl.model.logs import LogEntry, RequestEntry
from loopctl.ports.logs import LogError
from loopctl.ports.platform import Absent, Dead, PlatformError
from loopctl.ports.probe import Answer
from loopctl.process import Stop, utc_now
from loopctl.stages import survey as survey_module
from loopctl.stages.callers import ANONYMOUS
from loopctl.stages.survey import Survey, Surveyed
from loopctl.stages.survey_looked import Looked
from loopctl.stages.survey_service import Ports

HEALTH = "http://127.0.0.1/chat/health"
EXIT_3 = Dead(Fault(FaultKind.EXIT_CODE, "it ended with exit code 3", "chat", "3"))
SECRET = "hunter2-hunter2"


class DeafPlatform(FakePlatform):
    """Answers nobody, and hears no stop, as a call that waits for a name server."""

    def __init__(self, *services: str) -> None:
        super().__init__(*services)
        self.released = threading.Event()

    def observe(self, service: str, stop: Stop) -> ServiceState | Absent:
        if service == "chat":
            self.released.wait(30)
        return super().observe(service, stop)


@dataclass
class Scene:
    """The ports of one survey; `verified` by service."""

    platform: FakePlatform
    logs: FakeLogs = field(default_factory=FakeLogs)
    receipts: FakeReceipts = field(default_factory=FakeReceipts)
    prober: FakeProber = field(default_factory=FakeProber)
    leases: FakeLeases = field(default_factory=FakeLeases)
    verified: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def ports(self) -> Ports:
        return Ports(
            platform=self.platform,
            logs=self.logs,
            receipts=self.receipts,
            prober=self.prober,
            callers=ANONYMOUS,
            leases=self.leases,
            verified=lambda name, _: self.verified.get(name, ()),
            redact=lambda text: text.replace(SECRET, "[redacted]"),
        )

    def look(self, *names: str, since: timedelta = timedelta(hours=1)) -> Surveyed:
        specs = [a_service(name) for name in names or ("chat",)]
        return Survey(specs, (), self.ports(), utc_now() - since)(Stop())

    def chat(self) -> Looked:
        return self.look().services["chat"]


@pytest.fixture
def scene() -> Iterator[Scene]:
    """One service, healthy, that nobody has verified; after the test nothing was written to it."""
    made = Scene(FakePlatform("chat"))
    yield made
    asked = {call.split()[0] for call in (*made.platform.calls, *made.leases.calls)}
    assert asked <= {"observe", "status", "peek"}


def line(text: str, of: str = "chat-old") -> LogEntry:
    return LogEntry(utc_now(), "chat", of, "stderr", text)


def request(path: str, of: str = "chat-old") -> RequestEntry:
    return RequestEntry(utc_now() - timedelta(seconds=5), "chat", of, "GET", path, 500)


def made(name: str, ago: timedelta) -> Revision:
    return replace(revision("chat", name), created_at=utc_now() - ago)


def test_a_healthy_service_is_told_with_who_serves_and_who_verified_it(scene: Scene) -> None:
    scene.verified["chat"] = ("chat-old",)
    look = scene.chat().look
    assert (look.state, look.traffic, look.since) == ("healthy", {"chat-old": 100}, BEGAN)
    assert look.verified == {"chat-old"}
    assert look.faults == ()


def test_what_answers_ill_was_healthy_once_only_if_it_was_verified(scene: Scene) -> None:
    scene.prober.answers[HEALTH] = [Answer(503, 0.01, f"no {SECRET}")]
    (never,) = scene.chat().faults
    scene.verified["chat"] = ("chat-old",)
    (once,) = scene.chat().faults
    assert (never.kind, once.kind) == (FaultKind.STATUS, FaultKind.UNSTABLE)
    assert SECRET not in str((never, once))


def test_the_first_slow_answer_is_a_cold_one(scene: Scene) -> None:
    slow, quick = Answer(200, 9.0, ""), Answer(200, 0.1, "")
    spec = a_service("chat")
    spec = replace(spec, health=replace(spec.health, expect=None, max_latency_s=1.0))
    for answers, state in (([slow, quick], "healthy"), ([slow, slow], "unhealthy")):
        scene.prober.answers[HEALTH] = list(answers)
        found = Survey([spec], (), scene.ports(), BEGAN)(Stop())
        assert found.services["chat"].look.state == state


def test_a_dead_service_is_not_told_twice_because_nobody_answers_for_it(scene: Scene) -> None:
    scene.platform.statuses["chat-old"] = [EXIT_3]
    scene.prober.answers[HEALTH] = [Answer(503, 0.01, "", own=False)]
    looked = scene.chat()
    assert looked.look.state == "unhealthy"
    assert [fault.kind for fault in looked.faults] == [FaultKind.EXIT_CODE]


def test_the_newest_revision_that_failed_is_told_beside_what_serves(scene: Scene) -> None:
    state = serving("chat", {"chat-old": 100})
    newer = made("chat-newer", timedelta(minutes=20)), made("chat-newest", timedelta(minutes=5))
    scene.platform.states["chat"] = replace(state, revisions=(*state.revisions, *newer))
    scene.platform.statuses |= {"chat-newer": [EXIT_3], "chat-newest": [EXIT_3]}
    looked = scene.chat()
    assert looked.look.state == "healthy"
    (fault,) = looked.faults
    assert "revision chat-newest, which takes no traffic" in fault.summary
    assert [log.source for log in looked.logs] == ["chat/chat-newest", "chat/chat-old"]
    earlier = scene.look(since=timedelta(minutes=1)).services["chat"]
    assert earlier.faults == (), "it failed before the window"


def test_what_loopctl_asks_itself_is_no_evidence(scene: Scene) -> None:
    late = replace(request("/rooms"), at=utc_now() + timedelta(hours=1))
    scene.receipts.logged = [
        request("/rooms"),
        request("/health"),
        late,
        request("/rooms", of="chat-candidate"),
        request(f"/rooms/{SECRET}"),
    ]
    (log,) = scene.chat().requests
    assert [entry.path for entry in log.requests] == ["/rooms", "/rooms/[redacted]"]


def test_logs_that_cannot_be_read_leave_the_rest_to_be_told(scene: Scene) -> None:
    scene.platform.statuses["chat-old"] = [EXIT_3]
    scene.logs.fails["read"] = LogError("permission denied")
    looked = scene.chat()
    assert [fault.kind for fault in looked.faults] == [FaultKind.EXIT_CODE]
    assert looked.unknown == ("what chat/chat-old would tell: permission denied",)


def test_a_platform_that_refuses_makes_it_unknown_and_its_log_is_read_all_the_same(
    scene: Scene,
) -> None:
    scene.platform.fails["observe"] = PlatformError("no permission", hint="ask for it")
    scene.logs.entries = [line("KeyError: 'room'")]
    looked = scene.chat()
    assert looked.look.state == "unknown"
    (said,) = looked.look.faults
    assert ("no permission" in said.summary, said.hint) == (True, "ask for it")
    assert looked.faults == (), "that it cannot be asked is no fault of the service"
    assert [len(tuple(log.entries)) for log in looked.logs] == [1]


def test_what_does_not_answer_is_unknown_and_keeps_nobody_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(survey_module, "LIMIT_S", 1.5)
    deaf = DeafPlatform("chat", "auth")
    try:
        found = Scene(deaf).look("chat", "auth").services
    finally:
        deaf.released.set()
    assert {name: looked.look.state for name, looked in found.items()} == {
        "chat": "unknown",
        "auth": "healthy",
    }
    assert found["chat"].look.faults


def test_who_stops_it_is_obeyed(scene: Scene) -> None:
    stop = Stop()
    scene.platform.hooks["observe"] = lambda: stop.stop("SIGINT")
    with pytest.raises(Stopped):
        Survey([a_service("chat")], (), scene.ports(), BEGAN)(stop)


def test_what_was_there_and_what_never_was_are_told_apart() -> None:
    scene = Scene(FakePlatform("chat", existing=False))
    never = scene.chat().look
    scene.verified["chat"] = ("chat-old",)
    gone = scene.chat().look
    assert never.state == gone.state == "absent"
    assert "was never deployed" in never.faults[0].summary
    assert "is not there any more" in gone.faults[0].summary


def test_a_run_that_is_going_on_is_named(scene: Scene) -> None:
    scene.leases.taken_by("20250910-203000-chat-1a2b")
    held = scene.look().held
    assert held is not None
    assert held.run_id == "20250910-203000-chat-1a2b"
