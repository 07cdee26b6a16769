"""CONFIRM: what users meet now is what was verified."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from loopctl.journal.store import Journal
from loopctl.journal.worklog import CycleRecord
from loopctl.model.events import ChainChecked, NotChecked
from loopctl.model.finding import Fault, FaultKind, Quote
from loopctl.model.outcome import Outcome, worst
from loopctl.model.plan import Criterion, ServiceSpec
from loopctl.model.references import Endpoint
from loopctl.model.state import OutcomeKind
from loopctl.ports.identity import IdentityError
from loopctl.ports.platform import Absent, Platform, PlatformError
from loopctl.ports.probe import Prober
from loopctl.process import Stop
from loopctl.stages.callers import ANONYMOUS, Callers
from loopctl.stages.criteria import CriteriaGate
from loopctl.stages.deploy import as_fault
from loopctl.stages.health_check import Asked, check_answer
from loopctl.stages.keep_logs import LogKeeper
from loopctl.stages.note_verified import NoteVerified
from loopctl.stages.probing import ask
from loopctl.stages.suite_run import UnderTest
from loopctl.stages.suites import Course
from loopctl.stages.traffic import GONE, as_moved, said, traffic_moved


class Confirm:
    """Reads the chain at the public address, runs the confirm suites, keeps the green logs.

    With suites of its own it judges `criteria` again, over the samples of the whole cycle. `note`
    writes down where the services are, once all is well, that they were verified; None where no
    such place is.
    """

    def __init__(
        self,
        services: Sequence[ServiceSpec],
        course: Course,
        platform: Platform,
        prober: Prober,
        keeper: LogKeeper,
        criteria: Sequence[Criterion] = (),
        note: NoteVerified | None = None,
        callers: Callers = ANONYMOUS,
    ) -> None:
        self._services = services
        self._course = course
        self._platform = platform
        self._prober = prober
        self._keeper = keeper
        self._gate = CriteriaGate(tuple(criteria))
        self._note = note
        self._callers = callers

    def __call__(self, cycle: CycleRecord, journal: Journal, stop: Stop) -> Outcome:
        """OK when address, revision and content agree and the confirm suites have passed."""
        endpoints: dict[str, Endpoint] = {}
        merged = self._addresses(cycle, endpoints, journal, stop)
        if merged.kind is OutcomeKind.OK and self._course.suites:
            revisions = {n: r.revision for n, r in cycle.services.items() if r.revision}
            tests = self._course.run(UnderTest(endpoints, revisions), journal, stop)
            met = self._gate.judge(journal)
            merged = worst([tests, met, self._addresses(cycle, endpoints, journal, stop)])
        if merged.kind is OutcomeKind.OK:
            for problem in self._keeper.keep(cycle, journal, stop):
                journal.append(NotChecked("service logs", problem))
            if self._note is not None:
                noted = self._note(self._services, journal, stop)
                if noted.kind is not OutcomeKind.OK:
                    return noted
                detail = f"the public address serves what was verified; {noted.detail}"
                return Outcome(OutcomeKind.OK, detail)
            return Outcome(OutcomeKind.OK, "the public address serves what was verified")
        return merged

    def _addresses(
        self, cycle: CycleRecord, endpoints: dict[str, Endpoint], journal: Journal, stop: Stop
    ) -> Outcome:
        outcomes = []
        for spec in self._services:
            try:
                outcomes.append(self._address(spec, cycle, endpoints, journal, stop))
            except (PlatformError, IdentityError) as error:
                fault = as_fault(spec.name, error)
                outcomes.append(Outcome(OutcomeKind.ERRORED, error.what, (fault,)))
        return worst(outcomes)

    def _address(
        self,
        spec: ServiceSpec,
        cycle: CycleRecord,
        endpoints: dict[str, Endpoint],
        journal: Journal,
        stop: Stop,
    ) -> Outcome:
        record = cycle.services[spec.name]
        state = self._platform.observe(spec.name, stop)
        if isinstance(state, Absent) or record.revision is None:
            fault = Fault(FaultKind.MOVED, f"{spec.name} is gone: {GONE}", spec.name)
            return Outcome(OutcomeKind.MOVED, fault.summary, (fault,))
        public = Endpoint.of(spec.public_url) if spec.public_url else None
        met = endpoints[spec.name] = public or Endpoint(state.url, state.ws_url)
        if (moved := traffic_moved(record, state)) is not None:
            return as_moved(spec.name, moved)
        share = state.traffic.get(record.revision.name, 0)
        broken = None if share == 100 else f"traffic is {said(state.traffic)}"
        if broken is None and record.artifact is not None:
            broken = self._platform.serves_content(record.revision, record.artifact, stop)
        journal.append(ChainChecked(record.revision.name, share, broken), service=spec.name)
        if broken is not None:
            quote = Quote("condition", f"chain of {spec.name} at {state.url}", broken)
            fault = Fault(FaultKind.PROVENANCE, f"{spec.name}: {broken}", spec.name, None, (quote,))
            return Outcome(OutcomeKind.UNPROVEN, fault.summary, (fault,))
        return self._healthy(spec, met.url, stop)

    def _healthy(self, spec: ServiceSpec, url: str, stop: Stop) -> Outcome:
        caller = self._callers.of(spec, stop)
        answer = ask(self._prober, url, spec.health, stop, caller)
        fault = check_answer(
            answer, Asked(spec.name, spec.health, cold=True, caller=caller, url=url)
        )
        if fault is None:
            return Outcome(OutcomeKind.OK)
        summary = f"at its public address {fault.summary}"
        at = replace(fault, summary=summary)
        return Outcome(OutcomeKind.FAILED, summary, (at,))
