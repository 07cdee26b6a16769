"""A suite against its tolerances: passed, failed or unproven, each with its reasons in words.

`failed` is row 1 of the contract's verdicts (failures, time-outs and flaky cases beyond what is
tolerated), `unproven` row 3 (all that keeps a green from being shown). Failed comes first; the
reasons name both.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from loopctl.evidence.status import stands_for_many
from loopctl.model.evidence import (
    CaseStatus,
    Grade,
    GradedCase,
    SuiteEnd,
    SuiteJudgement,
    SuiteOutcome,
)
from loopctl.model.plan import Limit, SuiteKind, SuiteSpec

_NAMED = 3


def judge(
    spec: SuiteSpec, cases: Iterable[GradedCase], end: SuiteEnd, expected: int | None = None
) -> SuiteJudgement:
    """What the suite comes to. Needs every case once, with its last status.

    `expected` were collected beforehand (None: nobody looked).
    """
    all_cases = tuple(cases)
    collected = len(all_cases) if end.collected is None else end.collected
    quarantined = {entry.case for entry in spec.quarantine}
    counted = [
        case
        for case in all_cases
        if case.id not in quarantined or _is_pass(case) or stands_for_many(case)
    ]
    red = _red(spec, counted, collected)
    unproven = [
        *_process(spec, end),
        *_collection(spec, end, collected, expected or 0),
        *_beyond(counted, (CaseStatus.SKIPPED,), spec.tolerance.skipped, collected),
        *_beyond(counted, (CaseStatus.BROKEN,), spec.tolerance.broken, collected),
        *_lost(spec, all_cases, end, collected),
        *_grades(spec, all_cases),
    ]
    if not (red or unproven or any(map(_shows, all_cases))):
        unproven.append("no case passed: all that happened is tolerated, and nothing is shown")
    judgement = _judgement(all_cases, collected, end, red, unproven)
    if more := _beside_the_lost(spec, all_cases, end, collected):
        counts = {**judgement.counts, CaseStatus.LOST: judgement.counts[CaseStatus.LOST] + more}
        return replace(judgement, counts=counts)
    return judgement


def _judgement(
    cases: Sequence[GradedCase],
    collected: int,
    end: SuiteEnd,
    red: Sequence[str],
    unproven: Sequence[str],
) -> SuiteJudgement:
    outcome = SuiteOutcome.UNPROVEN if unproven else SuiteOutcome.PASSED
    grades = Counter(_grade(case) for case in cases if case.status is CaseStatus.PASSED)
    return SuiteJudgement(
        outcome=SuiteOutcome.FAILED if red else outcome,
        reasons=(*red, *unproven),
        collected=collected,
        counts=Counter(case.status for case in cases),
        grades=grades,
        grade=min(grades, key=lambda grade: grade.rank, default=None),
        duration_s=end.duration_s,
    )


def _red(spec: SuiteSpec, counted: Sequence[GradedCase], collected: int) -> list[str]:
    bad = (CaseStatus.FAILED, CaseStatus.TIMEOUT)
    return [
        *_beyond(counted, bad, spec.tolerance.failed, collected),
        *_beyond(counted, (CaseStatus.FLAKY,), spec.tolerance.flaky, collected),
    ]


def _process(spec: SuiteSpec, end: SuiteEnd) -> list[str]:
    reasons = []
    if end.usage_error is not None:
        # A command that ended was run; what it came to stands in its report alone.
        ran = spec.kind is SuiteKind.COMMAND and end.exit_code is not None
        said = "there is no result" if ran else "the suite could not be run"
        reasons.append(f"{said}: {end.usage_error}")
    if end.stopped is not None:
        reasons.append(f"the suite was stopped: {end.stopped}")
    if not end.complete and not reasons:
        reasons.append(f"the suite did not report its end{f': {end.detail}' if end.detail else ''}")
    elif not end.complete and end.detail:
        reasons.append(end.detail)
    return reasons


def _collection(spec: SuiteSpec, end: SuiteEnd, collected: int, expected: int) -> list[str]:
    if collected == 0:
        return [] if end.usage_error else ["nothing was collected"]
    if collected < spec.collect_min:
        return [f"{collected} collected, at least {spec.collect_min} are required"]
    if collected < expected:
        return [f"{collected} collected, and {expected} beforehand"]
    return []


def _beyond(
    cases: Sequence[GradedCase],
    statuses: tuple[CaseStatus, ...],
    limit: Limit,
    collected: int,
) -> list[str]:
    """One reason for the cases of these statuses, none when they are tolerated."""
    found = [case for case in cases if case.status in statuses]
    tolerated = limit.of(collected)
    if len(found) <= tolerated:
        return []
    by_status = Counter(case.status for case in found)
    said = " and ".join(f"{number} {status}" for status, number in by_status.items())
    allowed = f" ({tolerated} tolerated)" if tolerated else ""
    return [f"{said}{allowed}: {_names(found)}"]


def _lost(spec: SuiteSpec, cases: Sequence[GradedCase], end: SuiteEnd, collected: int) -> list[str]:
    """The lost cases: how much else they cost, and what would have run them again."""
    lost = [case for case in cases if case.status is CaseStatus.LOST]
    told = _beyond(cases, (CaseStatus.LOST,), Limit(), collected)
    if told and (more := _beside_the_lost(spec, cases, end, collected)):
        told = [f"{len(lost) + more} lost: {_names(lost)}"]
    others = len(cases) - len(lost)
    if told and spec.kind is SuiteKind.PYTEST:
        if others and len(cases) == collected:
            told[0] += "; the other one ended" if others == 1 else f"; the other {others} ended"
        if not spec.repeatable and end.stopped is None:
            each = "it" if len(lost) == 1 else "they"
            told[0] += f" (with `repeatable: true` {each} would run again, alone)"
    return told


def _beside_the_lost(
    spec: SuiteSpec, cases: Sequence[GradedCase], end: SuiteEnd, collected: int
) -> int:
    """How many lost cases there are beside those that are told.

    One case stands for all that the report of a command declares and does not have.
    """
    lost = any(case.status is CaseStatus.LOST for case in cases)
    if spec.kind is not SuiteKind.COMMAND or end.complete or not lost:
        return 0
    return max(0, collected - len(cases))


def _grades(spec: SuiteSpec, cases: Sequence[GradedCase]) -> list[str]:
    """One reason for the passes that prove too little, with what is the least of them."""
    passed = [case for case in cases if _shows(case)]
    need = spec.evidence.require
    weak = [case for case in passed if _grade(case).rank < need.rank]
    if not weak:
        return []
    nothing = all(_grade(case) is Grade.CONTRADICTED for case in weak)
    prove = "proves" if len(weak) == 1 else "prove"
    less = "nothing" if nothing else f"less than {need}"
    said = f"{len(weak)} of {len(passed)} passes {prove} {less}"
    worst = min(weak, key=lambda case: _grade(case).rank)
    if len(weak) == 1:
        return [f"{said}: {_weakness(worst)}"]
    return [f"{said}: {_names(weak)}; the least of them: {_weakness(worst)}"]


def _weakness(case: GradedCase) -> str:
    """Why a pass counts for little, as a sentence about the case."""
    reason = case.reason or ""
    if reason.startswith("it "):
        return f"{case.id} {reason.removeprefix('it ')}"
    return f"{case.id} is {_grade(case)}{f': {reason}' if reason else ''}"


def _grade(case: GradedCase) -> Grade:
    # A pass that nobody graded has shown nothing.
    return case.grade or Grade.UNPROVEN


def _is_pass(case: GradedCase) -> bool:
    return case.status is CaseStatus.PASSED


def _shows(case: GradedCase) -> bool:
    """Whether the case passed in the end: a flaky pass that is tolerated must prove as much."""
    return case.status in (CaseStatus.PASSED, CaseStatus.FLAKY)


def _names(cases: Sequence[GradedCase]) -> str:
    named = ", ".join(case.id for case in cases[:_NAMED])
    more = len(cases) - _NAMED
    return f"{named} and {more} more" if more > 0 else named
