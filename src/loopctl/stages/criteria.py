"""The criteria of the loop file, judged at the end of VERIFY and again at the end of CONFIRM."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from loopctl.evidence.criteria import Series, judge_criteria, measured, series_of, told
from loopctl.journal.store import Journal
from loopctl.journal.worklog import CycleRecord
from loopctl.model.events import CriteriaJudged, NotChecked
from loopctl.model.evidence import CriterionJudgement, SuiteOutcome
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
        judged = judge_criteria(self.criteria, samples_of(cycle))
        journal.append(CriteriaJudged(judged))
        missed = [each for each in judged if each.met is False]
        few = [each for each in judged if each.met is None]
        if self.partial is not None:
            for each in few:
                journal.append(NotChecked(_named(each), f"{told(each)}, {_PARTIAL}"))
        undecided = [] if self.partial is not None or self.more_to_come else few
        return worst([_missed(missed), _too_few(undecided, cycle)])


NO_CRITERIA = CriteriaGate(())


def samples_of(cycle: CycleRecord) -> Series:
    """Every sample of a cycle; a suite that could not even be started took no time."""
    suites = cycle.suites.values()
    return series_of(
        (case for suite in suites for case in suite.cases),
        (
            suite.judgement.duration_s
            for suite in suites
            if suite.judgement is not None
            and suite.end is not None
            and suite.end.usage_error is None
        ),
    )


def place_of(judged: CriterionJudgement) -> str:
    """Where a quote of it is from."""
    return f"criteria/{judged.metric}"


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
    said = told(judged)
    quote = Quote("condition", place_of(judged), said)
    return Fault(FaultKind.CRITERION, said, value=measured(judged), quotes=(quote,))


def _named(judged: CriterionJudgement) -> str:
    return f"criterion {judged.metric} {judged.op} {judged.limit}"
