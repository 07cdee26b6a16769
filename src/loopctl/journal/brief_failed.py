"""What failed, in as many lines as there is room for: what the rest follows from comes first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from loopctl.inert import one_line
from loopctl.journal.quarantine import counted_failures, not_counted
from loopctl.journal.worklog import CycleRecord, StageRecord, SuiteRecord, Worklog
from loopctl.model.evidence import CaseStatus, GradedCase, SuiteOutcome
from loopctl.model.finding import Fault, FaultKind

_CASE_LINES = 3
_NAMED = 3


@dataclass(frozen=True, slots=True)
class _Failure:
    """A line of its own; `name` stands for it where there is no room, empty: it is counted."""

    text: str
    name: str = ""


def failed_texts(worklog: Worklog, room: int) -> tuple[str, ...]:
    """The lines; of what does not fit into `room` (at least 1) the last tells the names.

    Cases only fill what is left: the line of their suite has counted them.
    """
    cycle = worklog.last
    failures = list(_failures(cycle)) if cycle else []
    if not failures and worklog.ended is not None and worklog.ended.exit_code != 0:
        failures = [_Failure(one_line(worklog.ended.detail or worklog.ended.verdict.value, 300))]
    room = max(room, 1)
    shown = [failure.text for failure in failures[:room]]
    if len(failures) > room:
        shown[-1] += f" (and {_left_out(failures[room:])} in the report)"
    cases = list(counted_failures(cycle).values()) if cycle and cycle.failed_stage else []
    return tuple(shown + [_case(case) for case in cases[: min(room - len(shown), _CASE_LINES)]])


def _left_out(failures: Sequence[_Failure]) -> str:
    names = [failure.name for failure in failures if failure.name][:_NAMED]
    more = len(failures) - len(names)
    return " and ".join([*filter(None, [", ".join(names)]), *([f"{more} more"] if more else [])])


def not_counted_text(worklog: Worklog) -> str:
    """The quarantined cases that did not pass, the first of them by name; empty without any."""
    excused = not_counted(worklog.last.suites.values()) if worklog.last else ()
    if not excused:
        return ""
    more = f" (and {len(excused) - 1} more in the report)" if len(excused) > 1 else ""
    return f"{excused[0]}{more}"


def _failures(cycle: CycleRecord) -> Iterator[_Failure]:
    failed = cycle.failed_stage
    if failed is None:
        return
    unmet = unmet_suites(cycle)
    # A suite tells its own failure better than the fault that sums it up.
    faults = [f for f in failed.faults if not (unmet and f.kind is FaultKind.SUITE)]
    criteria = [fault for fault in faults if fault.kind is FaultKind.CRITERION]
    others = [fault for fault in faults if fault.kind is not FaultKind.CRITERION]
    if others or not (unmet or criteria):
        yield from map(_Failure, _stage(failed, others))
    # Of tests that fail a criterion is missed, too; beside none that fails it is what made it red.
    told = [_Failure(_suite(suite), _named(suite)) for suite in unmet]
    missed = [_Failure(_criterion(fault, cycle), _metric(fault)) for fault in criteria]
    red = any(_is_red(suite) for suite in unmet)
    yield from (*told, *missed) if red else (*missed, *told)


def unmet_suites(cycle: CycleRecord) -> list[SuiteRecord]:
    """The suites that were run and did not pass, as they are told: those that failed first."""
    return sorted((suite for suite in cycle.suites.values() if _unmet(suite)), key=_order)


def _stage(stage: StageRecord, faults: Sequence[Fault]) -> Iterator[str]:
    kind = stage.kind.value if stage.kind else "not finished"
    if not faults:
        yield f"{stage.stage.value} {kind}: {one_line(stage.detail or 'no reason was given', 240)}"
    for fault in faults:
        named = fault.service is None or fault.service in fault.summary
        service = "" if named else f"{one_line(fault.service or '', 63)}: "
        hint = f" (do: {one_line(fault.hint, 600)})" if fault.hint else ""
        yield f"{stage.stage.value} {kind}: {service}{one_line(fault.summary, 240)}{hint}"


def _unmet(suite: SuiteRecord) -> bool:
    return suite.judgement is not None and suite.judgement.outcome in (
        SuiteOutcome.FAILED,
        SuiteOutcome.UNPROVEN,
    )


def _is_red(suite: SuiteRecord) -> bool:
    return suite.judgement is not None and suite.judgement.outcome is SuiteOutcome.FAILED


def _order(suite: SuiteRecord) -> tuple[bool, str, str]:
    return not _is_red(suite), suite.facts.priority, suite.facts.id


def _criterion(fault: Fault, cycle: CycleRecord) -> str:
    """A criterion by itself; where no test failed beside it, that is said, too."""
    cases = [case for suite in cycle.suites.values() for case in suite.cases]
    all_passed = bool(cases) and all(case.status is CaseStatus.PASSED for case in cases)
    beside = "; every test passed" if all_passed and not unmet_suites(cycle) else ""
    return f"{one_line(fault.summary, 240)}{beside}"


def _metric(fault: Fault) -> str:
    places = [one_line(quote.source.rpartition("/")[2], 60) for quote in fault.quotes]
    return next(iter(places), "")


def _suite(suite: SuiteRecord) -> str:
    assert suite.judgement is not None
    outcome = suite.judgement.outcome.value
    reasons = "; ".join(suite.judgement.reasons) or "no reason was given"
    passed = sum(1 for case in suite.cases if case.status is CaseStatus.PASSED)
    collected = suite.judgement.collected
    # Where all passed, or nothing ran, the number only hides what is wrong.
    of = f", {passed} of {collected} passed" if passed < collected else ""
    return f"{_named(suite)} {outcome}{of}: {one_line(reasons, 300)}"


def _named(suite: SuiteRecord) -> str:
    return f"{one_line(suite.facts.id, 80)} ({suite.facts.priority})"


def _case(case: GradedCase) -> str:
    where = f" at {one_line(case.where, 120)}" if case.where else ""
    message = f": {one_line(case.message, 160)}" if case.message else ""
    return f"{one_line(case.id, 160)} {case.status.value}{where}{message}"
