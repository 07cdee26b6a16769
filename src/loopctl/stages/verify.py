"""VERIFY: the suites against the candidates, and the chain read again after them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from loopctl.journal.store import Journal
from loopctl.journal.worklog import CycleRecord, ServiceRecord
from loopctl.model.artifact import Revision, ServiceState
from loopctl.model.events import ChainChecked
from loopctl.model.finding import Fault, FaultKind, Quote
from loopctl.model.outcome import Outcome, worst
from loopctl.model.plan import ServiceSpec
from loopctl.model.references import Endpoint
from loopctl.model.state import OutcomeKind
from loopctl.ports.platform import Absent, Dead, Platform, PlatformError, Ready
from loopctl.process import Stop
from loopctl.stages.collected import fewer_than_before, relaxed_since
from loopctl.stages.criteria import NO_CRITERIA, CriteriaGate
from loopctl.stages.suite_run import UnderTest
from loopctl.stages.suites import Course
from loopctl.stages.traffic import GONE, traffic_moved


class Verify:
    """Runs the verify-phase suites. `partial` says why this run may not promote.

    `unselected` are services that this run leaves alone: tests may meet what serves of them now.
    """

    def __init__(
        self,
        services: Sequence[ServiceSpec],
        unselected: Sequence[str],
        gated: Mapping[str, str],
        course: Course,
        platform: Platform,
        partial: str | None,
        criteria: CriteriaGate = NO_CRITERIA,
    ) -> None:
        self._services = services
        self._unselected = unselected
        self._gated = gated
        self._course = course
        self._platform = platform
        self._partial = partial
        self._criteria = criteria

    def __call__(self, cycle: CycleRecord, journal: Journal, stop: Stop) -> Outcome:
        """The worst of the suites, of the criteria, of the services' own end and of the chain."""
        try:
            where = self._where(cycle, stop)
        except PlatformError as error:
            return _not_shown(error)
        fewer = fewer_than_before(journal.fold.snapshot().cycles)
        if fewer is not None:
            return fewer
        tests = self._course.run(where, journal, stop)
        met = self._criteria.judge(journal)
        relaxed = relaxed_since(journal.fold.snapshot().cycles)
        if relaxed is not None:
            return relaxed
        merged = worst([tests, met, self._after(cycle, where, journal, stop)])
        if merged.kind is OutcomeKind.OK and self._partial is not None:
            return Outcome(OutcomeKind.PARTIAL, f"{tests.detail}; {self._partial}")
        return merged

    def _where(self, cycle: CycleRecord, stop: Stop) -> UnderTest:
        """Each candidate's own address; what serves now where this run deployed nothing."""
        endpoints = {name: Endpoint.of(url) for name, url in self._gated.items()}
        revisions: dict[str, Revision] = {}
        for spec in self._services:
            record = cycle.services[spec.name]
            revision = record.revision or self._serving(spec.name, stop)
            status = self._platform.status(revision, stop)
            if isinstance(status, Ready):
                endpoints[spec.name] = Endpoint(status.url, status.ws_url)
            elif isinstance(status, Dead):
                raise PlatformError(status.fault.summary, fault=status.fault)
            else:
                raise PlatformError(f"{revision.name} is not ready", where=spec.name)
            revisions[spec.name] = revision
        for name in self._unselected:
            state = self._platform.observe(name, stop)
            if isinstance(state, ServiceState):
                endpoints[name] = Endpoint(state.url, state.ws_url)
        return UnderTest(endpoints, revisions)

    def _serving(self, service: str, stop: Stop) -> Revision:
        state = self._platform.observe(service, stop)
        if isinstance(state, Absent):
            raise PlatformError(
                f"{service} is not deployed, there is nothing to test",
                where=service,
                hint="run the loop without --from",
            )
        name = max(state.traffic, key=lambda n: state.traffic[n], default="")
        revision = state.revision(name)
        if revision is None:
            raise PlatformError(f"nothing serves {service} now", where=service)
        return revision

    def _after(self, cycle: CycleRecord, where: UnderTest, journal: Journal, stop: Stop) -> Outcome:
        """The services and the chain after the tests; what the tests showed stands beside it."""
        try:
            return self._chain(cycle, where, journal, stop)
        except PlatformError as error:
            return _not_shown(error)

    def _chain(self, cycle: CycleRecord, where: UnderTest, journal: Journal, stop: Stop) -> Outcome:
        """A service that died under the tests is at fault, whatever the tests say: the dead have
        no content to be compared.
        """
        outcomes = []
        for name, revision in where.revisions.items():
            record = cycle.services[name]
            state = self._platform.observe(name, stop)
            status = self._platform.status(revision, stop)
            if isinstance(status, Dead):
                fault = status.fault
                outcomes.append(Outcome(OutcomeKind.FAILED, fault.summary, (fault,)))
            died = isinstance(status, Dead)
            broken, kind = self._broken(record, revision, state, stop, died=died)
            share = 0 if isinstance(state, Absent) else state.traffic.get(revision.name, 0)
            journal.append(ChainChecked(revision.name, share, broken), service=name)
            if broken is not None and kind is not OutcomeKind.FAILED:
                quote = Quote("condition", f"chain of {name} after the tests", broken)
                fault = Fault(FaultKind.PROVENANCE, f"{name}: {broken}", name, None, (quote,))
                outcomes.append(Outcome(kind, fault.summary, (fault,)))
        return worst(outcomes)

    def _broken(
        self,
        record: ServiceRecord,
        revision: Revision,
        state: ServiceState | Absent,
        stop: Stop,
        *,
        died: bool,
    ) -> tuple[str | None, OutcomeKind]:
        """The broken link, in words, and what it means for the run; FAILED: it has died, which
        its own fault tells.
        """
        if isinstance(state, Absent) or state.revision(revision.name) is None:
            return f"{revision.name} is gone: {GONE}", OutcomeKind.MOVED
        if record.observed_before and (moved := traffic_moved(record, state)) is not None:
            return moved, OutcomeKind.MOVED
        if died:
            return f"{revision.name} has died", OutcomeKind.FAILED
        if record.artifact is None:
            return None, OutcomeKind.OK
        if revision.digest != record.artifact.digest:
            broken = f"{revision.name} runs {revision.digest}, not {record.artifact.digest}"
            return broken, OutcomeKind.UNPROVEN
        differs = self._platform.serves_content(revision, record.artifact, stop)
        return differs, OutcomeKind.UNPROVEN


def _not_shown(error: PlatformError) -> Outcome:
    fault = error.fault or Fault(FaultKind.CONTROL_PLANE, error.what, hint=error.hint)
    return Outcome(OutcomeKind.UNPROVEN, error.what, (fault,))
