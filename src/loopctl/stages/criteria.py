"""The criteria of the loop file, judged at the end of VERIFY and again at the end of CONFIRM."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from loopctl.evidence.criteria import (
    SUITE_DURATION,
    Series,
    furthest,
    judge_criteria,
    measured,
    place_of,
    series_of,
    told,
)
from loopctl.journal.store import Journal
from loopctl.journal.worklog import CycleRecord, SuiteRecord
from loopctl.model.events import CriteriaJudged, NotChecked
from loopctl.model.evidence import CriterionJudgement, Sample, SuiteOutcome
from loopctl.model.finding import Fault, FaultKind, Quote
from loopctl.model.outcome import Outcome, worst
from loopctl.model.plan import Criterion
from loopctl.model.state import OutcomeKind

_PARTIAL = "which decides nothing in a partial run"


@dataclass(frozen=True, slots=True)
class CriteriaGate:
    """Judges every criterion over the samples that the cycle has so far.

    `more_to_come`: suites of the CONFIRM phase will measure too, so that too few samples are left
    to the gate there. `partial` says why the run may not promote: a run of some of the suites need
    not have the samples of all.
    """

    criteria: tuple[Criterion, ...]
    more_to_come: bool = False
    partial: str | None = None

    def judge(self, journal: Journal) -> Outcome:
        """OK; FAILED when a criterion is missed, UNPROVEN when one has too few samples.

        Writes the judgement down; with no criteria it does nothing.
        """
        if not self.criteria:
            return Outcome(OutcomeKind.OK)
        cycle = journal.fold.cycle()
        judged = self._judged(cycle)
        journal.append(CriteriaJudged(judged))
        missed = [each for each in judged if each.met is False]
        few = [each for each in judged if each.met is None]
        if self.partial is not None:
            for each in few:
                journal.append(NotChecked(_named(each), f"{told(each)}, {_PARTIAL}"))
        undecided = [] if self.partial is not None or self.more_to_come else few
        return worst([_missed(missed), _too_few(undecided, cycle)])

    def _judged(self, cycle: CycleRecord) -> tuple[CriterionJudgement, ...]:
        judged = judge_criteria(self.criteria, samples_of(cycle))
        return tuple(
            replace(each, furthest=furthest(criterion, _measured_at(cycle)))
            if each.met is False
            else each
            for criterion, each in zip(self.criteria, judged, strict=True)
        )


NO_CRITERIA = CriteriaGate(())


def samples_of(cycle: CycleRecord) -> Series:
    """Every sample of a cycle."""
    suites = cycle.suites.values()
    return series_of(
        (case for suite in suites for case in suite.cases),
        (took_s for suite in suites if (took_s := _took_s(suite)) is not None),
    )


def _measured_at(cycle: CycleRecord) -> Iterator[tuple[str, Sample]]:
    """Every measurement of the cycle and where it was taken."""
    for suite in cycle.suites.values():
        for case in suite.cases:
            for sample in case.samples:
                yield case.id, sample
        if (took_s := _took_s(suite)) is not None:
            yield f"suite {suite.facts.id}", Sample(SUITE_DURATION, took_s)


def _took_s(suite: SuiteRecord) -> float | None:
    """How long a suite took; None of one that has not ended, or could not be started."""
    if suite.judgement is None or suite.end is None or suite.end.usage_error is not None:
        return None
    return suite.judgement.duration_s


def _missed(missed: Sequence[CriterionJudgement]) -> Outcome:
    if not missed:
        return Outcome(OutcomeKind.OK)
    return Outcome(OutcomeKind.FAILED, _detail(missed), tuple(map(_fault, missed)))


def _too_few(few: Sequence[CriterionJudgement], cycle: CycleRecord) -> Outcome:
    """No fault where a suite has not passed: what it did not measure is no news beside that."""
    if not few:
        return Outcome(OutcomeKind.OK)
    all_ran = all(
        suite.judgement is None or suite.judgement.outcome is SuiteOutcome.PASSED
        for suite in cycle.suites.values()
    )
    faults = tuple(map(_fault, few)) if all_ran else ()
    return Outcome(OutcomeKind.UNPROVEN, _detail(few), faults)


def _detail(judged: Sequence[CriterionJudgement]) -> str:
    return "; ".join(map(told, judged))


def _fault(judged: CriterionJudgement) -> Fault:
    """Quotes whose sample it is: what the figure is made of says where to look."""
    said = told(judged)
    quoted = f"furthest from it: {judged.furthest}" if judged.furthest else said
    quote = Quote("condition", place_of(judged.metric), quoted)
    return Fault(FaultKind.CRITERION, said, value=measured(judged), quotes=(quote,))


def _named(judged: CriterionJudgement) -> str:
    return f"criterion {judged.metric} {judged.op} {judged.limit}"
