"""The look at one service that this loop deploys: who serves it, how it is, what it said."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, TypeVar

from loopctl.errors import PortError, Stopped
from loopctl.model.artifact import Revision, ServiceState
from loopctl.model.finding import Fault, FaultKind
from loopctl.model.logs import LogWindow, RequestEntry
from loopctl.model.plan import ServiceSpec
from loopctl.ports.leases import Held, Leases
from loopctl.ports.logs import LogSource, Receipts
from loopctl.ports.platform import Absent, Dead, Platform, Starting
from loopctl.ports.probe import Answer, Prober
from loopctl.process import Stop, in_time
from loopctl.stages import survey_looked as seen
from loopctl.stages.callers import Callers
from loopctl.stages.health_check import Asked, check_answer
from loopctl.stages.probing import ask
from loopctl.stages.survey_looked import Health, Looked
from loopctl.stages.survey_reading import LogReading, RequestReading
from loopctl.triage.symptoms import RequestLog, ServiceFacts, ServiceLog
from loopctl.triage.triaged import Captured

T = TypeVar("T")

OBSERVE_S: Final = 5.0
"""So long who serves may take: what is looked at after that needs its time, too."""

STATUS_S: Final = 4.0


@dataclass(frozen=True, slots=True)
class Ports:
    """What a survey looks through; none of them is written to.

    `verified` tells which revisions of a service a green run has verified, the newest first;
    `redact` hides what a service may have said.
    """

    platform: Platform
    logs: LogSource
    receipts: Receipts
    prober: Prober
    callers: Callers
    leases: Leases
    verified: Callable[[str, Stop], Sequence[str]]
    redact: Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Unanswered:
    """A look that came to nothing: why, and what may mend that."""

    why: str
    hint: str | None = None

    @classmethod
    def late(cls, what: str) -> Unanswered:
        """There was no answer in time."""
        return cls(f"{what} cannot be told: no answer in time")


@dataclass(slots=True)
class ServiceSurvey:
    """One look at one service, by `run`, once.

    `since` is from when on logs are read, unless it is only a `glance`; `began` is when the survey
    did: what it asks itself is no evidence.
    """

    spec: ServiceSpec
    ports: Ports
    since: datetime
    began: datetime
    glance: bool = False
    _readings: dict[str, LogReading] = field(default_factory=dict)
    _dead: dict[str, Fault] = field(default_factory=dict)
    _starting: dict[str, Starting] = field(default_factory=dict)
    _unknown: list[str] = field(default_factory=list)
    _asked: RequestReading | None = None
    _faults: tuple[Fault, ...] | None = None
    _latency_s: float | None = None

    def run(self, stop: Stop) -> Looked:
        """Look; raises nothing that a port raises. What has no answer in time is unknown."""
        name = self.spec.name
        state = functools.partial(self.ports.platform.observe, name)
        verified = functools.partial(self.ports.verified, name)
        held = functools.partial(self.ports.leases.peek, self.ports.platform.target(name))
        looks: dict[str, Callable[[Stop], object]] = {
            _WHO: _within(OBSERVE_S, _WHO, state),
            _GOOD: _within(OBSERVE_S, _GOOD, verified),
            _HELD: _within(OBSERVE_S, _HELD, held),
        }
        found = in_time(stop, looks)
        answers = {what: found.get(what, Unanswered.late(what)) for what in looks}
        for what in (_GOOD, _HELD):
            if isinstance(missing := answers[what], Unanswered):
                self._unknown.append(f"{name}: {missing.why}")
        told = answers[_GOOD]
        good = tuple(told) if isinstance(told, Sequence) else ()
        self._look_closer(answers[_WHO], good, stop)
        looked = self._with_evidence(self._as_found(answers[_WHO], good))
        by = answers[_HELD]
        return replace(looked, held=by if isinstance(by, Held) else None, known_good=good)

    def _look_closer(self, found: object, good: Sequence[str], stop: Stop) -> None:
        """Whatever may take its time, side by side."""
        tasks: dict[str, Callable[[Stop], None]] = {}
        if isinstance(found, ServiceState):
            for revision in seen.revisions_of(found):
                tasks[f"revision {revision.name}"] = functools.partial(self._serving, revision)
            tasks["newer revisions"] = functools.partial(self._newer, found)
        elif isinstance(found, Unanswered):
            # Nobody knows which revisions there are: the log of the service has them all.
            tasks["log"] = functools.partial(self._read, None, self.since)
        elif good:
            # What a candidate said that never served is no reason why nothing does now.
            tasks["log"] = functools.partial(self._read, good[0], self.since)
        if url := self._url(found):
            tasks["health"] = functools.partial(self._probe, url)
        if tasks and not self.glance and not isinstance(found, Absent):
            tasks["requests"] = self._requests
        if tasks:
            in_time(stop, tasks)

    def _url(self, found: object) -> str | None:
        """Where users meet it."""
        if isinstance(found, Absent):
            return None
        known = found.url if isinstance(found, ServiceState) else None
        return self.spec.public_url or known

    def _serving(self, revision: Revision, stop: Stop) -> None:
        died = self._is_dead(revision, stop)
        # One that has died may have done so long ago: all that it said is of interest.
        self._read(revision.name, seen.birth(revision) if died else self.since, stop)

    def _newer(self, state: ServiceState, stop: Stop) -> None:
        """The newest that came after what serves, and failed."""
        for revision in seen.newer_than_serving(state, self.since):
            if self._is_dead(revision, stop):
                died = self._dead[revision.name]
                said = f"{died.summary} (revision {revision.name}, which takes no traffic)"
                self._dead[revision.name] = replace(died, summary=said)
                self._read(revision.name, seen.birth(revision), stop)
                return

    def _is_dead(self, revision: Revision, stop: Stop) -> bool:
        look = functools.partial(self.ports.platform.status, revision)
        status = _within(STATUS_S, f"how {revision.name} is", look)(stop)
        match status:
            case Dead(fault=fault):
                of_it = replace(fault, service=self.spec.name)
                self._dead[revision.name] = seen.redacted(of_it, self.ports.redact)
            case Starting():
                self._starting[revision.name] = status
            case Unanswered(why=why):
                self._unknown.append(f"{self.spec.name}: {why}")
            case _:
                pass
        return isinstance(status, Dead)

    def _read(self, revision: str | None, since: datetime, stop: Stop) -> None:
        if self.glance:
            return
        name = self.spec.name
        window = LogWindow(name, since, revision=revision, at_once=True)
        reading = LogReading(f"{name}/{revision}" if revision else name, window)
        self._readings[reading.source] = reading
        reading.read(self.ports.logs, stop)

    def _requests(self, stop: Stop) -> None:
        window = LogWindow(self.spec.name, self.since, at_once=True)
        source = f"{self.spec.name}/requests"
        path = self.spec.health.path
        self._asked = RequestReading(source, window, path, self.ports.redact)
        self._asked.read(self.ports.receipts, stop)

    def _probe(self, url: str, stop: Stop) -> None:
        try:
            fault = self._answer(url, stop)
            if fault is not None and fault.kind is FaultKind.LATENCY:
                # A first answer may be a cold one: the second one counts.
                fault = self._answer(url, stop)
        except Stopped:
            self._unknown.append(f"{self.spec.name}: {url} did not answer in time")
        except PortError as error:
            self._unknown.append(f"{self.spec.name}: its health could not be asked: {error.what}")
        else:
            self._faults = () if fault is None else (seen.redacted(fault, self.ports.redact),)

    def _answer(self, url: str, stop: Stop) -> Fault | None:
        spec = self.spec
        caller = self.ports.callers.of(spec, stop)
        answer = ask(self.ports.prober, url, spec.health, stop, caller)
        if isinstance(answer, Answer):
            self._latency_s = answer.latency_s
        return check_answer(
            answer, Asked(spec.name, spec.health, cold=False, caller=caller, url=url)
        )

    def _as_found(self, found: object, good: tuple[str, ...]) -> Looked:
        name = self.spec.name
        health = Health(self._faults, self._latency_s, self._url(found))
        match found:
            case ServiceState():
                return seen.serving(found, good, self._dead, health)
            case Unanswered(why=why, hint=hint):
                said = Fault(FaultKind.CONTROL_PLANE, f"{name}: {why}", name, hint=hint)
                return seen.unseen(name, seen.redacted(said, self.ports.redact), health)
            case _:
                return seen.absent(name, good)

    def _with_evidence(self, looked: Looked) -> Looked:
        name = self.spec.name
        readings = [self._readings[source] for source in sorted(self._readings)]
        lines = {each.source: each.entries() for each in readings}
        captured = [
            Captured(name, each.source, len(lines[each.source]), each.gap) for each in readings
        ]
        requests: tuple[RequestLog, ...] = ()
        if (asked := self._asked) is not None:
            met = self._met(asked, readings)
            requests = (RequestLog(name, asked.source, met),)
            captured.append(Captured(name, asked.source, len(met), asked.gap))
        return replace(
            looked,
            logs=tuple(ServiceLog(name, source, entries) for source, entries in lines.items()),
            requests=requests,
            facts=tuple(ServiceFacts(name, s.told, s.listening) for s in self._starting.values()),
            captured=tuple(captured),
            unknown=(*self._unknown, *_missing(captured)),
        )

    def _met(
        self, asked: RequestReading, readings: Sequence[LogReading]
    ) -> tuple[RequestEntry, ...]:
        """The requests to the revisions whose logs were read; to all where nobody knows those."""
        told = frozenset(each.window.revision for each in readings if each.window.revision)
        every = told or frozenset(entry.revision for entry in asked.met.held())
        return asked.requests(every, self.began)


def _missing(captured: Sequence[Captured]) -> Iterator[str]:
    """What could not be read, all that is for one reason together."""
    for gap in dict.fromkeys(each.gap for each in captured if each.gap):
        sources = ", ".join(each.source for each in captured if each.gap == gap)
        yield f"what {sources} would tell: {gap}"


_WHO: Final = "who serves it"
_GOOD: Final = "which of its revisions are verified"
_HELD: Final = "whether a run is going on"


def _within(
    seconds: float, what: str, look: Callable[[Stop], T]
) -> Callable[[Stop], T | Unanswered]:
    """The look, for so long at the most; what the port raises is an answer, too."""

    def looked(stop: Stop) -> T | Unanswered:
        try:
            with stop.child(seconds) as limited:
                return look(limited)
        except Stopped:
            return Unanswered.late(what)
        except PortError as error:
            where = f" ({error.where})" if error.where else ""
            return Unanswered(f"{what} cannot be told: {error.what}{where}", error.hint)

    return looked
