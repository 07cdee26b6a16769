"""How long it will still take, by what earlier green runs took. Pure.

Without a past there is no estimate, and none of a cycle in which something has failed: what comes
then depends on what failed.
"""

from __future__ import annotations

from typing import Final

from loopctl.journal.wording import seconds
from loopctl.journal.worklog import CycleRecord, Worklog
from loopctl.model.evidence import CaseStatus, SuiteOutcome
from loopctl.model.state import PATH, OutcomeKind, State

_WAVES: Final = (State.DEPLOY, State.HEALTH)
HARMLESS: Final = (CaseStatus.PASSED, CaseStatus.SKIPPED)
"""How a case ends that is no trouble."""


def whole(value: float) -> str:
    """A time that goes on, in whole seconds: what a clock shows."""
    if value < 60:
        return f"{max(0, int(value))} s"
    return seconds(float(int(value)))


def left_text(usual: float | None, spent: float) -> str:
    """`12 s left`, `3 s over the usual`; empty where nobody knows what is usual."""
    if usual is None:
        return ""
    if spent < usual + 1.0:
        return f"{whole(max(0.0, usual - spent + 0.999))} left"
    return f"{whole(spent - usual)} over the usual"


def suite_usual(worklog: Worklog, suite: str) -> float | None:
    """What the suite usually takes, in seconds."""
    return worklog.run.usual.suites.get(suite) if worklog.run.usual else None


def run_left(worklog: Worklog, stage_s: float) -> str:
    """The whole run's; `stage_s` is how long the stage that goes on has taken so far."""
    usual, cycle = worklog.run.usual, worklog.last
    if usual is None or not usual.stages or cycle is None or has_trouble(cycle):
        return ""
    if not cycle.stages or cycle.stages[-1].stage not in PATH:
        return ""
    now = cycle.stages[-1]
    left, over = 0.0, False
    for stage in _to_come(worklog, cycle):
        spent = _spent(cycle, stage) + (stage_s if stage is now.stage and now.kind is None else 0)
        remaining = usual.stages.get(stage.value, 0.0) - spent
        left += max(0.0, remaining)
        # A blink over what is usual is no news.
        over = over or (stage is now.stage and remaining < -1.0)
    return f"{'at least ' if over else ''}{whole(left + 0.999)} left" if left else ""


def has_trouble(cycle: CycleRecord) -> bool:
    """Whether this cycle cannot become green any more, as far as its view can tell."""
    if cycle.failed_stage is not None:
        return True
    for suite in cycle.suites.values():
        judged = suite.judgement
        if judged is not None and judged.outcome is not SuiteOutcome.PASSED:
            return True
        if judged is None and any(case.status not in HARMLESS for case in suite.cases):
            return True
    return False


def _to_come(worklog: Worklog, cycle: CycleRecord) -> tuple[State, ...]:
    """The stage that goes on, or has just ended, and those behind it."""
    now = cycle.stages[-1]
    index = PATH.index(now.stage)
    if now.stage in _WAVES and now.kind is not OutcomeKind.OK and _has_waves(worklog):
        # Another wave may come: what its stages take together counts.
        index = PATH.index(State.DEPLOY)
    elif now.kind is not None:
        index += 1
    return PATH[index:-1]


def _has_waves(worklog: Worklog) -> bool:
    deployed = {service.name for service in worklog.run.services if service.deployed}
    return any(deployed.intersection(service.needs) for service in worklog.run.services)


def _spent(cycle: CycleRecord, stage: State) -> float:
    return sum(each.duration_s or 0.0 for each in cycle.stages if each.stage is stage)
