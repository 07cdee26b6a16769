"""What failed, by cause: a panel each, the first failures in full, the others as a table."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path
from typing import Final

from markupsafe import escape

from loopctl.inert import one_line
from loopctl.journal.causes import Cause, causes_of
from loopctl.journal.worklog import CycleRecord, StageRecord, Worklog
from loopctl.reports.page.said_then import Beside, Moment, said_beside
from loopctl.reports.story import FailedCase, failed_cases

MOST_FULL: Final = 8
"""Failures in full on the whole page."""
_FULL_OF_FIRST: Final = 3
_FULL_OF_OTHERS: Final = 1
_MOST_PANELS: Final = 20
_ROOM_FOR_OTHERS: Final = 120_000
"""Bytes of HTML; the list of all tests has those that find no room."""
_VARIES: Final = re.compile(r"0x[0-9a-f]+|[0-9a-f]{8,}|\d+")


@dataclass(frozen=True, slots=True)
class Full:
    """A failure in full; `beside` is None where the run kept no log of those seconds."""

    failed: FailedCase
    beside: Beside | None = None


@dataclass(frozen=True, slots=True)
class Panel:
    """Failures that one cause explains, or that at least say the same.

    `number` is that of the cause among the findings, from 1; None where no finding names them.
    `others` are shown in short, `left_out` counts what only the list of all tests has.
    """

    title: str
    number: int | None
    total: int
    full: tuple[Full, ...]
    others: tuple[FailedCase, ...]
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class StageFailure:
    """A stage that failed for another reason than tests, with what the services said then."""

    stage: StageRecord
    beside: Beside | None = None


@dataclass(frozen=True, slots=True)
class Failures:
    """The failures of one cycle: tests in panels, or else the stage that failed. `left_out` counts
    the tests of panels that are not shown.
    """

    cycle: CycleRecord
    panels: tuple[Panel, ...] = ()
    total: int = 0
    left_out: int = 0
    stage: StageFailure | None = None


def failures(worklog: Worklog, folder: Path | None) -> Failures | None:
    """Of the last cycle in which anything failed, None without one.

    A run that a remedy made green shows what the remedy was for. `folder` is where its logs are.
    """
    for cycle in reversed(worklog.cycles):
        if failed := failed_cases(cycle):
            return _failures(cycle, failed, folder)
        if cycle.failed_stage is not None:
            return Failures(cycle, stage=_stage(cycle.failed_stage, cycle, folder))
    return None


def _stage(stage: StageRecord, cycle: CycleRecord, folder: Path | None) -> StageFailure:
    if folder is None:
        return StageFailure(stage)
    moment = Moment(stage.started_at, stage.duration_s or 0.0)
    (beside,) = said_beside(folder, cycle, [moment])
    return StageFailure(stage, beside if beside and beside.lines else None)


def _failures(cycle: CycleRecord, failed: Sequence[FailedCase], folder: Path | None) -> Failures:
    panels = tuple(_panels(_grouped(failed, causes_of(cycle.findings))))
    if folder is not None:
        panels = _with_logs(panels, cycle, folder)
    shown = sum(panel.total for panel in panels)
    return Failures(cycle, panels, len(failed), len(failed) - shown)


_Group = tuple[str, int | None, list[FailedCase]]


def _grouped(failed: Sequence[FailedCase], causes: Sequence[Cause]) -> list[_Group]:
    """In the order of the causes, then of what no cause names."""
    by_case: dict[str, int] = {}
    for number, cause in enumerate(causes, start=1):
        for case in cause.cases:
            by_case.setdefault(case, number)
    found: dict[tuple[int, str], _Group] = {}
    for item in failed:
        named = by_case.get(item.case.id)
        if named is not None:
            title = _title(causes[named - 1])
            found.setdefault((named, ""), (title, named, []))[2].append(item)
        else:
            said = item.case.message or f"{item.case.status.value} with no message"
            key = (len(causes) + 1, _VARIES.sub("#", one_line(said, 200)))
            found.setdefault(key, (said, None, []))[2].append(item)
    return [found[key] for key in sorted(found, key=lambda key: key[0])]


def _title(cause: Cause) -> str:
    service = cause.finding.service
    return f"{service}: {cause.finding.title}" if service else cause.finding.title


def _panels(groups: Sequence[_Group]) -> Iterator[Panel]:
    room_full, room_others = MOST_FULL, _ROOM_FOR_OTHERS
    for index, (title, number, members) in enumerate(groups[:_MOST_PANELS]):
        most = min(_FULL_OF_OTHERS if index else _FULL_OF_FIRST, room_full)
        full = _told_differently(members, most)
        rest = [item for item in members if item not in full]
        sizes = list(accumulate(map(_size, rest)))
        others = rest[: bisect_right(sizes, room_others)]
        room_full -= len(full)
        room_others -= sizes[len(others) - 1] if others else 0
        yield Panel(
            title,
            number,
            len(members),
            tuple(Full(item) for item in full),
            tuple(others),
            len(rest) - len(others),
        )


def _size(item: FailedCase) -> int:
    texts = (one_line(item.case.id, 200), one_line(item.case.message or "", 160))
    return 80 + sum(len(escape(text).encode()) for text in texts)


def _told_differently(members: Sequence[FailedCase], most: int) -> list[FailedCase]:
    """The first of each message, then others: two that say the same tell no more than one."""
    first: dict[str, FailedCase] = {}
    for item in members:
        first.setdefault(_VARIES.sub("#", one_line(item.case.message or "", 200)), item)
    return list(first.values())[:most]


def _with_logs(panels: tuple[Panel, ...], cycle: CycleRecord, folder: Path) -> tuple[Panel, ...]:
    full = [each for panel in panels for each in panel.full]
    cases = [each.failed.case for each in full]
    moments = [Moment(case.at, case.duration_s, case.trace) for case in cases]
    beside: Mapping[int, Beside | None] = dict(
        zip(map(id, full), said_beside(folder, cycle, moments), strict=True)
    )
    return tuple(
        replace(panel, full=tuple(replace(f, beside=beside[id(f)]) for f in panel.full))
        for panel in panels
    )
