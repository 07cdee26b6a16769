"""Which suites run when: by priority, by need, side by side, and what they come to together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from loopctl.journal.store import Journal
from loopctl.journal.wording import count
from loopctl.journal.worklog import CycleRecord
from loopctl.model.evidence import SuiteJudgement, SuiteOutcome
from loopctl.model.finding import Fault, FaultKind, Quote
from loopctl.model.outcome import Outcome
from loopctl.model.plan import SuiteSpec
from loopctl.model.state import OutcomeKind
from loopctl.process import Stop, in_parallel
from loopctl.stages.suite_files import suite_digest
from loopctl.stages.suite_run import Ran, SuiteRunner, UnderTest, nobody_met

_CANNOT_REACH_HINT = "look at the addresses the tests use: LOOPCTL_URL_… and the suite's env"


@dataclass(frozen=True, slots=True)
class Course:
    """The suites of one phase, in order of priority; `jobs` run side by side."""

    suites: tuple[SuiteSpec, ...]
    jobs: int
    runner: SuiteRunner

    def run(self, where: UnderTest, journal: Journal, stop: Stop) -> Outcome:
        """OK; FAILED when a suite is red; UNPROVEN when one is, or was not run."""
        done = _ended_before(self.suites, where, journal.fold.cycle())
        left = [spec for spec in self.suites if spec.id not in done]
        while left:
            stop.remaining(0)
            group = _next(left)
            left = [spec for spec in left if spec not in group]
            alone = len(group) == 1 or self.jobs == 1
            tasks: dict[str, Callable[[Stop], Ran | SuiteJudgement]] = {
                spec.id: self._task(spec, done, where, journal, alone) for spec in group
            }
            done.update(in_parallel(stop, self.jobs, tasks))
        return _outcome(self.suites, done)

    def _task(
        self,
        spec: SuiteSpec,
        done: Mapping[str, Ran | SuiteJudgement],
        where: UnderTest,
        journal: Journal,
        alone: bool,
    ) -> Callable[[Stop], Ran | SuiteJudgement]:
        reason = self._held_back(spec, done)
        if reason is not None:
            return lambda _: self.runner.not_run(spec, reason, journal)
        return lambda stop: self.runner.run(spec, where, journal, stop, alone=alone)

    def _held_back(self, spec: SuiteSpec, done: Mapping[str, Ran | SuiteJudgement]) -> str | None:
        for need in spec.needs:
            if need in done and _judgement(done[need]).outcome is not SuiteOutcome.PASSED:
                return f"it needs {need}, which has not passed"
        for other in self.suites:
            stops = other.on_fail == "stop" and other.id in done
            if stops and _judgement(done[other.id]).outcome in _ENDS_THE_COURSE:
                word = _judgement(done[other.id]).outcome.value
                return f"{other.id} ({other.priority.value}) is {word}, and its on_fail is stop"
        return None


def _ended_before(
    suites: Sequence[SuiteSpec], where: UnderTest, cycle: CycleRecord
) -> dict[str, Ran | SuiteJudgement]:
    """What suites came to before the run was resumed, where the same revisions are still met."""
    tested = {name: service.revision for name, service in cycle.services.items()}
    if any(tested.get(name) != revision for name, revision in where.revisions.items()):
        return {}
    records = {spec.id: cycle.suites[spec.id] for spec in suites}
    begun = [spec for spec in suites if records[spec.id].folder is not None]
    if not all(_is_as_it_was(spec, records[spec.id].files) for spec in begun):
        # Somebody may have edited a test meanwhile: old passes do not stand beside new tests.
        return {}
    return {
        spec.id: Ran(judged, nobody_met(spec, record.cases)) if record.end is not None else judged
        for spec in suites
        if (judged := (record := records[spec.id]).judgement) is not None
    }


def _is_as_it_was(spec: SuiteSpec, files: str | None) -> bool:
    return files is not None and suite_digest(spec) == files


def _next(left: Sequence[SuiteSpec]) -> Sequence[SuiteSpec]:
    """The suites of the highest priority that wait for no other."""
    waiting = {spec.id for spec in left}
    free = [spec for spec in left if not waiting.intersection(spec.needs)]
    return [spec for spec in free if spec.priority == free[0].priority]


_ENDS_THE_COURSE = (SuiteOutcome.FAILED, SuiteOutcome.UNPROVEN)


def _judgement(end: Ran | SuiteJudgement) -> SuiteJudgement:
    return end.judgement if isinstance(end, Ran) else end


def _is_red(end: Ran | SuiteJudgement) -> bool:
    """Failed, and not for want of ever reaching the service."""
    reached = not (isinstance(end, Ran) and end.nobody_met)
    return _judgement(end).outcome is SuiteOutcome.FAILED and reached


def _outcome(suites: Sequence[SuiteSpec], done: Mapping[str, Ran | SuiteJudgement]) -> Outcome:
    faults = [fault for spec in suites if (fault := _fault(spec, done[spec.id])) is not None]
    outcomes = {_judgement(end).outcome for end in done.values()}
    detail = "; ".join(
        f"{spec.id} {judged.outcome.value}" + (f" ({judged.reasons[0]})" if judged.reasons else "")
        for spec in suites
        if (judged := _judgement(done[spec.id])).outcome is not SuiteOutcome.PASSED
    )
    if any(_is_red(end) for end in done.values()):
        return Outcome(OutcomeKind.FAILED, detail, tuple(faults))
    if outcomes - {SuiteOutcome.PASSED}:
        return Outcome(OutcomeKind.UNPROVEN, detail, tuple(faults))
    cases = sum(_judgement(end).collected for end in done.values())
    return Outcome(OutcomeKind.OK, f"{count(cases, 'case')} in {count(len(suites), 'suite')}")


def _fault(spec: SuiteSpec, end: Ran | SuiteJudgement) -> Fault | None:
    judged = _judgement(end)
    if judged.outcome in (SuiteOutcome.PASSED, SuiteOutcome.NOT_RUN):
        return None
    reason = judged.reasons[0] if judged.reasons else judged.outcome.value
    quote = Quote("test", f"suites/{spec.id}", reason)
    if judged.outcome is SuiteOutcome.FAILED and not _is_red(end):
        targets = ", ".join(spec.evidence.target) or "its target"
        summary = f"{spec.id}: no case reached {targets}, which is healthy"
        return Fault(
            FaultKind.CANNOT_REACH, summary, spec.protects, None, (quote,), _CANNOT_REACH_HINT
        )
    return Fault(FaultKind.SUITE, f"{spec.id}: {reason}", spec.protects, None, (quote,))
