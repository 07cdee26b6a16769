"""HEALTH waits for a revision, and for a corpse no longer than it takes to see that it is dead."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import pytest
from fakes import HEALTHY, FakePlatform, FakeProber, revision
from loop_rig import a_journal, a_service, written

from loopctl.errors import Stopped
from loopctl.model.events import Event, HealthJudged, RevisionDeployed
from loopctl.model.finding import Fault, FaultKind, Quote
from loopctl.model.outcome import Outcome
from loopctl.model.plan import HealthSpec, ServiceSpec
from loopctl.model.state import OutcomeKind
from loopctl.ports.platform import Dead, PlatformError, Ready, Starting
from loopctl.ports.probe import Answer, Unreachable
from loopctl.process import Stop
from loopctl.redact import Secret
from loopctl.stages.health import Health
from loopctl.stages.health_check import Asked, check_answer

URL = "http://own/chat-new/health"
EXIT_3 = Dead(
    Fault(FaultKind.EXIT_CODE, "chat exited with 3", "chat", "3", (Quote("log", "x#1", "boom"),))
)


class Ward:
    """One wave of services, deployed and waited for."""

    def __init__(self, folder: Path, *waves: tuple[ServiceSpec, ...]) -> None:
        self.waves = waves or ((a_service(health=HealthSpec(timeout_s=5.0)),),)
        self.platform, self.prober = FakePlatform(), FakeProber()
        self.events: list[Event] = []
        specs = [spec for wave in self.waves for spec in wave]
        self.journal = a_journal(folder, specs, subscribers=[self.events.append])
        for spec in specs:
            deployed = RevisionDeployed(revision(spec.name, f"{spec.name}-new"), "none")
            self.journal.append(deployed, service=spec.name)

    def wait(self, stop: Stop | None = None, wave: int = 0) -> Outcome:
        self.journal.wave = wave
        stage = Health(self.waves, self.platform, self.prober)
        return stage(self.journal.fold.cycle(), self.journal, stop or Stop(10.0))

    def judged(self) -> HealthJudged:
        (judged,) = written(self.events, HealthJudged)
        assert isinstance(judged, HealthJudged)
        return judged


def with_health(**facts: object) -> tuple[ServiceSpec, ...]:
    given = {"timeout_s": 5.0, **facts}
    return (a_service(health=HealthSpec(**given)),)  # type: ignore[arg-type]


def fault_of(outcome: Outcome) -> Fault:
    assert outcome.kind is OutcomeKind.FAILED
    return outcome.faults[0]


def test_a_healthy_service_is_healthy_at_its_first_answer(tmp_path: Path) -> None:
    ward = Ward(tmp_path)
    assert ward.wait().kind is OutcomeKind.OK
    judged = ward.judged()
    assert (judged.healthy, judged.probes, judged.url) == (True, 1, "http://own/chat-new")


def test_a_candidate_that_dies_is_seen_at_once_with_its_exit_code(tmp_path: Path) -> None:
    ward = Ward(tmp_path)
    ward.platform.statuses["chat-new"] = [Starting(), EXIT_3]
    began = time.monotonic()
    fault = fault_of(ward.wait())
    assert time.monotonic() - began < 1.0
    assert (fault.kind, fault.value) == (FaultKind.EXIT_CODE, "3")
    assert fault.quotes[0].quote == "boom"
    assert not ward.judged().healthy


def test_a_candidate_that_dies_after_it_was_healthy_is_dead(tmp_path: Path) -> None:
    ward = Ward(tmp_path, with_health(stable_for_s=4.0))
    ward.platform.statuses["chat-new"] = [Ready("http://own/chat-new", "ws://x"), EXIT_3]
    assert fault_of(ward.wait()).kind is FaultKind.EXIT_CODE
    assert ward.judged().first_healthy_s is not None


def test_a_wrong_port_is_named_after_a_moment_of_grace(tmp_path: Path) -> None:
    ward = Ward(tmp_path)
    ward.platform.statuses["chat-new"] = [Starting(told=8080, listening=(3000,))]
    fault = fault_of(ward.wait())
    assert fault.kind is FaultKind.WRONG_PORT
    assert "8080" in fault.summary
    assert "3000" in fault.summary
    assert 1.0 <= ward.judged().duration_s < 2.0


def test_a_service_on_the_loopback_of_its_container_is_told_how_to_be_reached(
    tmp_path: Path,
) -> None:
    ward = Ward(tmp_path)
    shut_in = Starting(told=8080, listening=(8080, 9000), loopback_only=(8080,))
    ward.platform.statuses["chat-new"] = [shut_in]
    fault = fault_of(ward.wait())
    assert (fault.kind, fault.value) == (FaultKind.WRONG_PORT, "127.0.0.1:8080")
    assert fault.summary == (
        "chat listens on 127.0.0.1:8080 only, which nobody outside the container reaches"
    )
    assert fault.hint == "make it listen on 0.0.0.0"


def test_an_admin_port_that_opens_first_is_no_wrong_port(tmp_path: Path) -> None:
    ward = Ward(tmp_path)
    admin = Starting(told=8080, listening=(9000,))
    both = Starting(told=8080, listening=(8080, 9000))
    ready = Ready("http://own/chat-new", "ws://own/chat-new")
    ward.platform.statuses["chat-new"] = [admin, admin, both, ready]
    assert ward.wait().kind is OutcomeKind.OK


def test_a_redirect_is_never_waited_on(tmp_path: Path) -> None:
    ward = Ward(tmp_path)
    ward.prober.answers[URL] = [Answer(307, 0.001, "", location="https://login")]
    fault = fault_of(ward.wait())
    assert (fault.kind, fault.value) == (FaultKind.REDIRECT, "307")
    assert "https://login" in fault.summary
    assert ward.judged().probes == 1


def test_a_redirect_that_is_allowed_is_followed(tmp_path: Path) -> None:
    ward = Ward(tmp_path, with_health(redirects="follow"))
    assert ward.wait().kind is OutcomeKind.OK
    assert ward.prober.calls == [f"get {URL} follow"]


def test_a_slow_first_answer_is_forgiven_and_a_second_is_measured(tmp_path: Path) -> None:
    ward = Ward(tmp_path, with_health(max_latency_s=0.5))
    ward.prober.answers[URL] = [Answer(200, 3.0, ""), HEALTHY]
    assert ward.wait().kind is OutcomeKind.OK
    assert ward.judged().probes == 2


def test_a_service_that_stays_slow_fails_even_if_it_need_not_be_stable(tmp_path: Path) -> None:
    ward = Ward(tmp_path, with_health(max_latency_s=0.5))
    ward.prober.answers[URL] = [Answer(200, 3.0, "")]
    fault = fault_of(ward.wait())
    assert fault.kind is FaultKind.LATENCY
    assert "0.5 s are allowed" in fault.summary


def test_healthy_once_is_not_healthy_where_it_must_stay_so(tmp_path: Path) -> None:
    ward = Ward(tmp_path, with_health(stable_for_s=0.3))
    assert ward.wait().kind is OutcomeKind.OK
    assert ward.judged().duration_s >= 0.3
    assert ward.judged().probes > 2


def test_a_service_that_falls_over_is_unstable(tmp_path: Path) -> None:
    ward = Ward(tmp_path, with_health(stable_for_s=4.0))
    ward.prober.answers[URL] = [HEALTHY, HEALTHY, Answer(503, 0.001, "tired")]
    fault = fault_of(ward.wait())
    assert (fault.kind, fault.value) == (FaultKind.UNSTABLE, "503")
    assert "tired" in fault.quotes[0].quote


def test_one_that_never_listens_is_given_up_at_its_own_time_limit(tmp_path: Path) -> None:
    ward = Ward(tmp_path, with_health(timeout_s=0.2))
    ward.platform.statuses["chat-new"] = [Starting()]
    fault = fault_of(ward.wait())
    assert fault.kind is FaultKind.NEVER_READY
    assert "within 0.2 s" in fault.summary
    assert not ward.judged().healthy


def test_at_the_time_limit_the_last_answer_is_the_reason(tmp_path: Path) -> None:
    ward = Ward(tmp_path, with_health(timeout_s=0.2))
    ward.prober.answers[URL] = [Answer(503, 0.001, "starting up")]
    fault = fault_of(ward.wait())
    assert (fault.kind, fault.value) == (FaultKind.STATUS, "503")
    assert "not healthy within 0.2 s" in fault.summary


def test_a_silent_service_is_waited_for(tmp_path: Path) -> None:
    ward = Ward(tmp_path)
    refused = Unreachable("connection refused")
    ward.prober.answers[URL] = [refused, refused, HEALTHY]
    assert ward.wait().kind is OutcomeKind.OK
    assert ward.judged().probes == 3


def test_a_wrong_field_is_named_with_what_it_should_be(tmp_path: Path) -> None:
    ward = Ward(tmp_path, with_health(timeout_s=0.2, expect={"status": "healthy"}))
    ward.prober.answers[URL] = [Answer(200, 0.001, '{"status": "degraded"}')]
    fault = fault_of(ward.wait())
    assert fault.kind is FaultKind.BODY
    assert '"degraded", not "healthy"' in fault.summary


def test_a_platform_that_fails_is_no_fault_of_the_service(tmp_path: Path) -> None:
    ward = Ward(tmp_path)
    ward.platform.fails["status"] = PlatformError("the host is gone")
    outcome = ward.wait()
    assert outcome.kind is OutcomeKind.ERRORED
    assert outcome.faults[0].kind is FaultKind.CONTROL_PLANE


def test_a_run_that_is_stopped_is_no_time_limit_of_the_service(tmp_path: Path) -> None:
    ward = Ward(tmp_path)
    ward.platform.statuses["chat-new"] = [Starting()]
    stop = Stop()
    ward.platform.hooks["status"] = lambda: stop.stop("SIGINT")
    with pytest.raises(Stopped, match="SIGINT"):
        ward.wait(stop)
    assert not written(ward.events, HealthJudged)


def test_the_faults_of_all_services_of_a_wave_are_told(tmp_path: Path) -> None:
    ward = Ward(tmp_path, (a_service("chat"), a_service("worker")))
    ward.platform.statuses["chat-new"] = [EXIT_3]
    died = Fault(FaultKind.SIGNAL, "worker died by SIGSEGV", "worker")
    ward.platform.statuses["worker-new"] = [Dead(died)]
    assert {f.service for f in ward.wait().faults} == {"chat", "worker"}


def test_a_wave_that_is_healthy_leads_to_the_next(tmp_path: Path) -> None:
    ward = Ward(tmp_path, (a_service("chat"),), (a_service("worker"),))
    assert ward.wait(wave=0).kind is OutcomeKind.MORE_WAVES
    assert ward.wait(wave=1).kind is OutcomeKind.OK


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Answer(502, 0.0, "", own=False), FaultKind.UNREACHABLE),
        (Answer(200, 0.0, "<html>"), FaultKind.BODY),
        (Answer(200, 0.0, "[1]"), FaultKind.BODY),
        (Answer(200, 0.0, '{"a": 1}'), FaultKind.BODY),
        (Answer(200, 0.0, '{"a": {"b": 2}}'), FaultKind.BODY),
        (Answer(404, 0.0, '{"a": {"b": 1}}'), FaultKind.STATUS),
        (Answer(200, 0.0, '{"a": {"b": 1}}'), None),
    ],
)
def test_an_answer_is_healthy_only_with_its_status_and_its_fields(
    answer: Answer, kind: FaultKind | None
) -> None:
    fault = check_answer(answer, Asked("chat", HealthSpec(expect={"a.b": 1}), cold=False))
    assert (fault.kind if fault else None) is kind


def test_an_answer_with_control_characters_is_quoted_inert() -> None:
    answer = Answer(500, 0.0, "\x1b[31mred\x1b[0m\nsecond line")
    fault = check_answer(answer, Asked("chat", HealthSpec(), cold=True))
    assert fault is not None
    assert "\x1b" not in fault.quotes[0].quote
    assert "\n" not in fault.quotes[0].quote


class SlowProber(FakeProber):
    """Answers 503 at first, and then not before whoever asks has no time left."""

    def get(
        self,
        url: str,
        timeout_s: float,
        follow_redirects: bool,
        stop: Stop,
        bearer: Secret | None = None,
    ) -> Answer | Unreachable:
        if self.bearers:
            with contextlib.suppress(Stopped):
                stop.wait(5.0)
            return Unreachable("no whole answer in time")
        return super().get(url, timeout_s, follow_redirects, stop, bearer)


def test_a_try_that_the_time_limit_cuts_short_hides_no_answer(tmp_path: Path) -> None:
    ward = Ward(tmp_path, with_health(timeout_s=0.2))
    ward.prober = SlowProber()
    ward.prober.answers[URL] = [Answer(503, 0.001, "starting up")]
    fault = fault_of(ward.wait())
    assert (fault.kind, fault.value) == (FaultKind.STATUS, "503")
