"""What the worklog tells besides tables: failed cases, evidence, changes, the course of the run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from loopctl.journal.mending import mendings
from loopctl.journal.wording import count, seconds
from loopctl.journal.worklog import Changes, CycleRecord, SuiteRecord, Worklog
from loopctl.model.events import NovelLine
from loopctl.model.evidence import CaseStatus, Grade, GradedCase
from loopctl.reports.facts import by_priority, grades_of, stage_name
from loopctl.reports.result import stage_outcome

_SAMPLES = 3


def unquoted_novel(cycle: CycleRecord) -> tuple[NovelLine, ...]:
    """The novel lines that no finding quotes."""
    quoted = {quote.source for finding in cycle.findings for quote in finding.evidence}
    return tuple(line for line in cycle.novel if line.source not in quoted)


def novel_sources(cycle: CycleRecord) -> frozenset[str]:
    """Where the lines stand that no green run had, as quotes name their places."""
    return frozenset(line.source for line in cycle.novel if line.baseline)


@dataclass(frozen=True, slots=True)
class FailedCase:
    """A case that did not pass, with the suite it is in."""

    suite: SuiteRecord
    case: GradedCase


def failed_cases(cycle: CycleRecord) -> tuple[FailedCase, ...]:
    """Every case that neither passed nor was skipped, by priority."""
    return tuple(
        FailedCase(suite, case)
        for suite in by_priority(cycle.suites.values())
        for case in suite.cases
        if case.status not in (CaseStatus.PASSED, CaseStatus.SKIPPED)
    )


@dataclass(frozen=True, slots=True)
class EvidenceRow:
    """How many passes have a grade, and the first of them as samples."""

    grade: Grade
    number: int
    samples: tuple[GradedCase, ...]


def case_evidence(cycle: CycleRecord) -> tuple[EvidenceRow, ...]:
    """The grades of all passed cases of the cycle, the best first."""
    cases = [case for suite in cycle.suites.values() for case in suite.cases]
    rows = []
    for grade, number in grades_of(cases).items():
        graded = [c for c in cases if c.status is CaseStatus.PASSED and _grade(c) is grade]
        rows.append(EvidenceRow(grade, number, tuple(graded[:_SAMPLES])))
    return tuple(rows)


def _grade(case: GradedCase) -> Grade:
    return case.grade or Grade.UNPROVEN


def cycle_changes(worklog: Worklog, index: int) -> Changes:
    """What the cycle at `index` mended, broke and left, compared with the one before it."""
    upto = Worklog(worklog.run, worklog.started_at, worklog.cycles[: index + 1])
    return upto.changes()


def mendings_of(worklog: Worklog) -> Mapping[int, str]:
    """Whether each remedy has mended what it was for, in words, by cycle."""
    return {each.cycle: each.said for each in mendings(worklog.cycles)}


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened; `text` is not inert."""

    at: datetime
    cycle: int | None
    text: str


def timeline(worklog: Worklog) -> tuple[Moment, ...]:
    """Every stage, suite and note in the order of their times, with measured durations."""
    moments = [Moment(worklog.started_at, None, f"run {worklog.run.run_id} began")]
    for cycle in worklog.cycles:
        moments.extend(_stages(cycle))
        moments.extend(_suites(cycle))
    moments.extend(Moment(note.at, None, note.text) for note in worklog.notes)
    if worklog.ended is not None and worklog.ended_at is not None:
        said = f"run ended {worklog.ended.verdict.value} after {seconds(worklog.ended.duration_s)}"
        moments.append(Moment(worklog.ended_at, None, said))
    return tuple(sorted(moments, key=lambda moment: moment.at))


def _stages(cycle: CycleRecord) -> Iterator[Moment]:
    for stage in cycle.stages:
        took = f" in {seconds(stage.duration_s)}" if stage.duration_s is not None else ""
        detail = f": {stage.detail}" if stage.detail else ""
        text = f"{stage_name(stage, cycle)} {stage_outcome(stage)}{took}{detail}"
        yield Moment(stage.started_at, cycle.number, text)


def _suites(cycle: CycleRecord) -> Iterator[Moment]:
    for suite in cycle.suites.values():
        if suite.started_at is None:
            continue
        ended = suite.judgement
        took = f", {ended.outcome.value} in {seconds(ended.duration_s)}" if ended else ""
        cases = count(len(suite.cases), "case")
        yield Moment(suite.started_at, cycle.number, f"suite {suite.facts.id}: {cases}{took}")
