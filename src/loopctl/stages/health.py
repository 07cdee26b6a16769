"""HEALTH: a revision is healthy when it says so, as it should, for as long as was asked.

It fails the moment that is certain: a dead process, a wrong port or a redirect is never waited on.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from loopctl.errors import Stopped
from loopctl.journal.store import Journal
from loopctl.journal.worklog import CycleRecord
from loopctl.model.artifact import Revision, ServiceState
from loopctl.model.events import HealthJudged
from loopctl.model.finding import Fault, FaultKind, Quote
from loopctl.model.outcome import Outcome, worst
from loopctl.model.plan import ServiceSpec
from loopctl.model.state import OutcomeKind
from loopctl.ports.identity import IdentityError
from loopctl.ports.platform import Dead, Platform, PlatformError, Ready, Starting
from loopctl.ports.probe import Answer, Prober, Unreachable
from loopctl.process import Stop, in_parallel
from loopctl.stages.callers import ANONYMOUS, Callers
from loopctl.stages.deploy import as_fault, note_arrival
from loopctl.stages.health_check import Asked, check_answer, quoted
from loopctl.stages.probing import ask
from loopctl.stages.suite_collection import SuiteCollection

FIRST_POLL_S = 0.02
LAST_POLL_S = 0.1
_POLL_SHARE = 0.02
"""Looks are so far apart that what is there is known at most that share of the wait too late."""
STABLE_POLL_S = 0.1

WRONG_PORT_GRACE_S = 1.0
"""A service may open an admin port before its own: that long, both may come."""

_CERTAIN = (FaultKind.REDIRECT,)
"""Faults of an answer that waiting does not mend."""

ROUTED_S = 10.0
"""So long Google's front end may not know a new address yet, and answer as for one that is none."""

SETTLED_S = 3.0
"""A service that answers, but wrongly in the same way, for that long will not heal by itself."""


class Health:
    """Waits for every revision of the wave side by side, and has the suites collected meanwhile.

    `collection` is None where BUILD has done that.
    """

    def __init__(
        self,
        waves: tuple[tuple[ServiceSpec, ...], ...],
        platform: Platform,
        prober: Prober,
        collection: SuiteCollection | None = None,
        callers: Callers = ANONYMOUS,
    ) -> None:
        self._waves = waves
        self._platform = platform
        self._prober = prober
        self._collection = collection
        self._callers = callers

    def __call__(self, cycle: CycleRecord, journal: Journal, stop: Stop) -> Outcome:
        """OK or MORE_WAVES when all of them are healthy; else FAILED with each one's fault.

        UNPROVEN where a suite that was collected meanwhile has too few tests.
        """
        wave = journal.wave or 0
        services = self._waves[wave] if self._waves else ()

        def wait(on_healthy: Callable[[], None], inner: Stop) -> Outcome:
            waits = {
                spec.name: _Waiting(self, spec, revision, journal, on_healthy).run
                for spec in services
                if (revision := cycle.services[spec.name].revision) is not None
            }
            return worst(list(in_parallel(inner, len(waits), waits).values()))

        if self._collection is None:
            merged = wait(lambda: None, stop)
        else:
            merged = self._collection.beside(wait, journal, stop)
        if merged.kind is not OutcomeKind.OK:
            return merged
        for spec in services:
            try:
                self._note_arrival(spec.name, journal, stop)
            except PlatformError as error:
                return Outcome(OutcomeKind.ERRORED, error.what, (as_fault(spec.name, error),))
        more = wave + 1 < len(self._waves)
        return Outcome(OutcomeKind.MORE_WAVES if more else OutcomeKind.OK, merged.detail)

    def _note_arrival(self, service: str, journal: Journal, stop: Stop) -> None:
        """Read back the traffic of what was deployed with all of it and had to be ready first."""
        record = journal.fold.cycle().services[service]
        if record.revision is None or not record.writing:
            return
        state = self._platform.observe(service, stop)
        if isinstance(state, ServiceState):
            note_arrival(state, record.revision, journal)

    @property
    def platform(self) -> Platform:
        """Where the revisions run."""
        return self._platform

    @property
    def prober(self) -> Prober:
        """Asks them."""
        return self._prober

    @property
    def callers(self) -> Callers:
        """As whom."""
        return self._callers


@dataclass(slots=True)
class _Waiting:
    """The wait for one revision."""

    stage: Health
    spec: ServiceSpec
    revision: Revision
    journal: Journal
    on_healthy: Callable[[], None]
    began: float = field(default_factory=time.monotonic)
    probes: int = 0
    first_healthy: float | None = None
    last_answer: Answer | Unreachable | None = None
    last_fault: Fault | None = None
    fault_since: float | None = None
    wrong_port_since: float | None = None
    ready: Ready | None = None

    def run(self, stop: Stop) -> Outcome:
        """Poll until it is certain, one way or the other."""
        try:
            with stop.child(self.spec.health.timeout_s) as limited:
                fault = self._poll(limited)
        except Stopped:
            # Either the whole run was stopped, or only the time for this service is up.
            stop.remaining(0)
            fault = self._timed_out()
        except (PlatformError, IdentityError) as error:
            return Outcome(OutcomeKind.ERRORED, error.what, (as_fault(self.spec.name, error),))
        self._judged(fault)
        if fault is None:
            return Outcome(OutcomeKind.OK, f"{self.spec.name} healthy in {self._elapsed():.2f} s")
        return Outcome(OutcomeKind.FAILED, fault.summary, (fault,))

    def _poll(self, limited: Stop) -> Fault | None:
        while True:
            status = self.stage.platform.status(self.revision, limited)
            match status:
                case Dead(fault=fault):
                    return fault
                case Starting():
                    if (fault_ := self._wrong_port(status)) is not None:
                        return fault_
                case Ready():
                    self.ready = status
                    done, fault_ = self._probe(status, limited)
                    if done:
                        return fault_
            limited.wait(self._pause())

    def _pause(self) -> float:
        if self.first_healthy is not None:
            return STABLE_POLL_S
        return min(LAST_POLL_S, max(FIRST_POLL_S, self._elapsed() * _POLL_SHARE))

    def _probe(self, ready: Ready, stop: Stop) -> tuple[bool, Fault | None]:
        """Whether it is certain now, and the fault if it is certain to be one."""
        health = self.spec.health
        caller = self.stage.callers.of(self.spec, stop)
        answer = ask(self.stage.prober, ready.url, health, stop, caller)
        self.probes += 1
        cold = self.first_healthy is None
        fault = check_answer(answer, Asked(self.spec.name, health, cold, caller, ready.url))
        if self.last_fault is None or not _cut_short(answer, stop):
            self.last_answer, self.last_fault = answer, fault
        now = time.monotonic()
        if fault is None:
            if self.first_healthy is None:
                self.first_healthy = now
                self.on_healthy()
            self.fault_since = None
            # The first answer may be a cold one: where latency is limited, a second is measured.
            measured = health.max_latency_s is None or not cold
            return measured and now - self.first_healthy >= health.stable_for_s, None
        if self.first_healthy is not None and fault.kind is not FaultKind.LATENCY:
            return True, _unstable(fault, now - self.first_healthy)
        if fault.kind is FaultKind.LATENCY or fault.kind in _CERTAIN:
            return True, fault
        if fault.kind is FaultKind.NOT_ADMITTED:
            known = fault.value != "404" or now - self.began >= ROUTED_S
            return known, fault if known else None
        return self._settled(fault, now)

    def _settled(self, fault: Fault, now: float) -> tuple[bool, Fault | None]:
        """One that says for long that it is unhealthy is believed, a silent one is waited for."""
        if fault.kind is FaultKind.UNREACHABLE:
            self.fault_since = None
            return False, None
        self.fault_since = self.fault_since or now
        long_enough = now - self.fault_since >= max(SETTLED_S, self.spec.health.stable_for_s)
        return (True, fault) if long_enough and fault.kind is FaultKind.BODY else (False, None)

    def _wrong_port(self, status: Starting) -> Fault | None:
        told, shut_in = status.told, status.told in status.loopback_only
        if told is None or not status.listening or (told in status.listening and not shut_in):
            self.wrong_port_since = None
            return None
        now = time.monotonic()
        self.wrong_port_since = self.wrong_port_since or now
        if now - self.wrong_port_since < WRONG_PORT_GRACE_S:
            return None
        return self._shut_in(told) if shut_in else self._elsewhere(told, status)

    def _elsewhere(self, told: int, status: Starting) -> Fault:
        ports = ", ".join(map(str, status.listening))
        return self._port_fault(
            f"{self.spec.name} was told PORT={told} and listens on {ports}",
            ports,
            "make it listen on the port that the PORT variable names",
        )

    def _shut_in(self, told: int) -> Fault:
        where = f"127.0.0.1:{told}"
        return self._port_fault(
            f"{self.spec.name} listens on {where} only, which nobody outside the container reaches",
            where,
            "make it listen on 0.0.0.0",
        )

    def _port_fault(self, summary: str, value: str, hint: str) -> Fault:
        quote = Quote("condition", f"ports of {self.revision.name}", summary)
        return Fault(FaultKind.WRONG_PORT, summary, self.spec.name, value, (quote,), hint=hint)

    def _timed_out(self) -> Fault:
        limit = self.spec.health.timeout_s
        if self.last_fault is not None:
            summary = f"{self.last_fault.summary}; not healthy within {limit:g} s"
            return Fault(
                self.last_fault.kind,
                summary,
                self.spec.name,
                self.last_fault.value,
                self.last_fault.quotes,
            )
        summary = f"{self.spec.name} did not listen within {limit:g} s"
        quote = Quote("condition", self.revision.name, f"{summary}; {self.probes} probes answered")
        return Fault(FaultKind.NEVER_READY, summary, self.spec.name, None, (quote,))

    def _judged(self, fault: Fault | None) -> None:
        first = None if self.first_healthy is None else self.first_healthy - self.began
        answer = self.last_answer
        self.journal.append(
            HealthJudged(
                revision=self.revision.name,
                healthy=fault is None,
                url=self.ready.url if self.ready else None,
                ws_url=self.ready.ws_url if self.ready else None,
                probes=self.probes,
                duration_s=self._elapsed(),
                first_healthy_s=first,
                latency_s=answer.latency_s if isinstance(answer, Answer) else None,
                detail=fault.summary if fault else (quoted(answer) if answer else ""),
            ),
            service=self.spec.name,
        )

    def _elapsed(self) -> float:
        return time.monotonic() - self.began


def _cut_short(answer: Answer | Unreachable, stop: Stop) -> bool:
    """Whether the end of the wait, and not the service, kept an answer from coming."""
    return isinstance(answer, Unreachable) and stop.reason is not None


def _unstable(fault: Fault, healthy_s: float) -> Fault:
    return Fault(
        FaultKind.UNSTABLE,
        f"{fault.summary}, after it had been healthy for {healthy_s:.1f} s",
        fault.service,
        fault.value,
        fault.quotes,
    )
