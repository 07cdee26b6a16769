"""What failed, worst first, in as many lines as there is room for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from loopctl.inert import one_line
from loopctl.journal.quarantine import counted_failures, not_counted
from loopctl.journal.worklog import CycleRecord, StageRecord, SuiteRecord, Worklog
from loopctl.model.evidence import GradedCase, SuiteOutcome
from loopctl.model.finding import Fault, FaultKind

_CASE_LINES = 3


def failed_texts(worklog: Worklog, room: int) -> tuple[str, ...]:
    """The lines; what does not fit into `room` (at least 1) is counted in the last."""
    cycle = worklog.last
    texts = list(_texts(cycle)) if cycle else []
    if not texts and worklog.ended is not None and worklog.ended.exit_code != 0:
        texts = [one_line(worklog.ended.detail or worklog.ended.verdict.value, 300)]
    room = max(room, 1)
    if len(texts) <= room:
        return tuple(texts)
    shown = texts[:room]
    shown[-1] = f"{shown[-1]} (and {len(texts) - room} more in the report)"
    return tuple(shown)


def not_counted_text(worklog: Worklog) -> str:
    """The quarantined cases that did not pass, the first of them by name; empty without any."""
    excused = not_counted(worklog.last.suites.values()) if worklog.last else ()
    if not excused:
        return ""
    more = f" (and {len(excused) - 1} more in the report)" if len(excused) > 1 else ""
    return f"{excused[0]}{more}"


def _texts(cycle: CycleRecord) -> Iterator[str]:
    failed = cycle.failed_stage
    if failed is None:
        return
    unmet = [suite for suite in cycle.suites.values() if _unmet(suite)]
    # A suite tells its own failure better than the fault that sums it up.
    faults = [f for f in failed.faults if not (unmet and f.kind is FaultKind.SUITE)]
    if not unmet or faults:
        yield from _stage(failed, faults)
    for suite in sorted(unmet, key=_order):
        yield _suite(suite)
    for case in list(counted_failures(cycle).values())[:_CASE_LINES]:
        yield _case(case)


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


def _order(suite: SuiteRecord) -> tuple[str, str]:
    return suite.facts.priority, suite.facts.id


def _suite(suite: SuiteRecord) -> str:
    assert suite.judgement is not None
    outcome = suite.judgement.outcome.value
    reasons = "; ".join(suite.judgement.reasons) or "no reason was given"
    name = f"{one_line(suite.facts.id, 80)} ({suite.facts.priority})"
    passed = sum(1 for case in suite.cases if case.status.value == "passed")
    of = f"{passed} of {suite.judgement.collected} passed"
    return f"{name} {outcome}, {of}: {one_line(reasons, 240)}"


def _case(case: GradedCase) -> str:
    where = f" at {one_line(case.where, 120)}" if case.where else ""
    message = f": {one_line(case.message, 160)}" if case.message else ""
    return f"{one_line(case.id, 160)} {case.status.value}{where}{message}"
