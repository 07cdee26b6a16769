"""The course of each cycle as bars: stages in their order, and the suites beneath theirs.

Places on the axis come from the times in the journal, lengths from measured durations.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from loopctl.journal.wording import count
from loopctl.journal.worklog import CycleRecord, StageRecord, SuiteRecord, Worklog
from loopctl.model.evidence import CaseStatus, SuiteOutcome
from loopctl.model.state import State
from loopctl.reports.facts import by_priority, outcome_of, stage_name
from loopctl.reports.result import stage_outcome

_LEAST: Final = 0.4
"""Percent of the axis: a bar that is there is seen."""
_MOST_MARKS: Final = 60
_MOST_CYCLES: Final = 20
_NOT_ENDED: Final = "not ended"

Tone = Literal["ok", "bad", "doubt", "none"]
"""How something ended, as the page colours it; a word always says the same."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One row. `left`, `width` and `marks`, which are failures, are percent of the cycle's axis;
    `took_s` is None for what has not ended.
    """

    name: str
    began: datetime
    left: float
    width: float
    took_s: float | None
    outcome: str
    tone: Tone
    detail: str = ""
    marks: tuple[float, ...] = ()
    beneath: bool = False


@dataclass(frozen=True, slots=True)
class Course:
    """One cycle: `took_s` is the sum of its stages, `axis_s` how long the axis is."""

    cycle: CycleRecord
    began: datetime
    took_s: float
    axis_s: float
    bars: tuple[Bar, ...]


def courses(worklog: Worklog) -> tuple[Course, ...]:
    """The cycles that began, the last ones where there are very many."""
    return tuple(_course(cycle) for cycle in worklog.cycles[-_MOST_CYCLES:] if cycle.stages)


def suite_tone(outcome: SuiteOutcome) -> Tone:
    """The colour of a suite."""
    match outcome:
        case SuiteOutcome.PASSED:
            return "ok"
        case SuiteOutcome.FAILED:
            return "bad"
        case SuiteOutcome.UNPROVEN:
            return "doubt"
        case SuiteOutcome.NOT_RUN:
            return "none"


def _course(cycle: CycleRecord) -> Course:
    began = cycle.stages[0].started_at
    ran = [suite for suite in by_priority(cycle.suites.values()) if suite.started_at is not None]
    ends = [_offset(s.started_at, began) + (s.duration_s or 0.0) for s in cycle.stages]
    ends += [_offset(s.started_at, began) + _suite_s(s) for s in ran if s.started_at is not None]
    axis = max(*ends, 0.001) if len(ends) > 1 else max(ends[0], 0.001)
    return Course(
        cycle,
        began,
        sum(stage.duration_s or 0.0 for stage in cycle.stages),
        axis,
        tuple(_bars(cycle, ran, began, axis)),
    )


def _bars(
    cycle: CycleRecord, suites: Sequence[SuiteRecord], began: datetime, axis: float
) -> Iterator[Bar]:
    left = list(suites)
    for stage in cycle.stages:
        yield _stage(stage, stage_name(stage, cycle), began, axis)
        if stage.stage in (State.VERIFY, State.CONFIRM):
            mine = [suite for suite in left if suite.facts.phase == stage.stage.value]
            left = [suite for suite in left if suite not in mine]
            yield from (_suite(suite, began, axis) for suite in mine)
    yield from (_suite(suite, began, axis) for suite in left)


def _stage(stage: StageRecord, name: str, began: datetime, axis: float) -> Bar:
    # It goes on, or its process was killed: a page does not tell, and a later one may.
    outcome = stage_outcome(stage) if stage.kind is not None else _NOT_ENDED
    doubtful = outcome in ("interrupted", _NOT_ENDED)
    tone: Tone = "ok" if outcome == "ok" else "doubt" if doubtful else "bad"
    start = _offset(stage.started_at, began)
    return Bar(
        name,
        stage.started_at,
        *_placed(start, stage.duration_s or 0.0, axis),
        stage.duration_s,
        outcome,
        tone,
        stage.detail,
    )


def _suite(suite: SuiteRecord, began: datetime, axis: float) -> Bar:
    started = suite.started_at or began
    failed = [
        case for case in suite.cases if case.status not in (CaseStatus.PASSED, CaseStatus.SKIPPED)
    ]
    marks = (100 * _offset(case.at, began) / axis for case in failed[:_MOST_MARKS])
    outcome = outcome_of(suite)
    ended = suite.judgement is not None
    return Bar(
        suite.facts.id,
        started,
        *_placed(_offset(started, began), _suite_s(suite), axis),
        suite.judgement.duration_s if suite.judgement else None,
        outcome.value if ended else _NOT_ENDED,
        suite_tone(outcome) if ended else "doubt",
        count(len(suite.cases), "case") + (f", {len(failed)} did not pass" if failed else ""),
        tuple(round(min(max(mark, 0.0), 99.6), 2) for mark in marks),
        beneath=True,
    )


def _suite_s(suite: SuiteRecord) -> float:
    return suite.judgement.duration_s if suite.judgement else 0.0


def _offset(at: datetime | None, began: datetime) -> float:
    return max((at - began).total_seconds(), 0.0) if at is not None else 0.0


def _placed(start: float, took: float, axis: float) -> tuple[float, float]:
    width = max(100 * took / axis, _LEAST)
    left = min(100 * start / axis, 100 - _LEAST)
    return round(left, 2), round(min(width, 100 - left), 2)
