"""One picture of a running loop for a terminal, from 40 columns and 8 rows up. Pure.

All text of others is made inert where it enters a line.
"""

from __future__ import annotations

from collections.abc import Iterator

from loopctl.console.canvas import Canvas, Moment
from loopctl.console.frame_services import service_rows
from loopctl.console.frame_suites import suite_rows
from loopctl.console.lines import Line, Span, Style, cut, line, width_of
from loopctl.console.marks import Marks
from loopctl.console.time_left import left_text, run_left, whole
from loopctl.console.wording import met_text
from loopctl.inert import one_line
from loopctl.journal.wording import seconds
from loopctl.journal.worklog import CycleRecord, StageRecord, Worklog
from loopctl.model.state import PATH, OutcomeKind, State

_FAILING = 15
_BLANKS = 4
_BLANK: Line = ()
_STRIP = PATH[:-1]
_WELL = (OutcomeKind.OK, OutcomeKind.MORE_WAVES, OutcomeKind.PARTIAL)


def frame(worklog: Worklog, moment: Moment, canvas: Canvas) -> tuple[Line, ...]:
    """The picture: never more lines than there are rows, none wider than there are columns."""
    cycle = worklog.last
    head = [_header(worklog, moment, canvas)]
    foot = list(_foot(moment, canvas))
    body: list[list[Line]] = []
    if cycle is not None:
        head += _stages(cycle, worklog, moment, canvas)
        room = max(0, canvas.height - len(head) - len(foot))
        body = _body(worklog, cycle, moment, canvas, room)
    parts = [part for part in (head, *body, foot) if part]
    lines = [each for part in parts for each in part]
    if len(lines) + len(parts) - 1 <= canvas.height:
        lines = [*parts[0], *(each for part in parts[1:] for each in (_BLANK, *part))]
    return tuple(cut(each, canvas.width, canvas.marks.cut) for each in lines[: canvas.height])


def _body(
    worklog: Worklog, cycle: CycleRecord, moment: Moment, canvas: Canvas, room: int
) -> list[list[Line]]:
    """Failures have their lines first, then services and suites share what is left."""
    criteria = list(_criteria(cycle))[:room]
    services, suites = len(cycle.services), len(cycle.suites)
    room -= len(criteria)
    failing = _failing(cycle, canvas, max(room // 3, room - services - suites - _BLANKS))
    room -= len(failing)
    for_services = services
    if services + suites > room:
        # Half for each, and what the one does not need for the other.
        for_services = min(services, max(room // 2, room - suites))
    shown = service_rows(cycle, moment, canvas, for_services)
    return [shown, suite_rows(worklog, moment, canvas, room - len(shown)), [*criteria, *failing]]


def _header(worklog: Worklog, moment: Moment, canvas: Canvas) -> Line:
    run = worklog.run
    number = worklog.last.number if worklog.last else 1
    limit = 14 if canvas.is_narrow else 40 if canvas.is_wide else 26
    name, where = canvas.name(run.loop, limit), canvas.name(run.environment, limit // 2)
    cycle = f"{'' if canvas.is_narrow else 'cycle '}{number}/{run.max_cycles}"
    parts = [cycle, whole(moment.elapsed_s)]
    if left := run_left(worklog, moment.stage_s):
        parts.append(left)
    if canvas.is_wide:
        parts.append(canvas.shown(run.run_id, 80))
    partial = (Span("PARTIAL ", Style.DOUBT),) if run.partial else ()
    heads = [
        (*partial, Span(canvas.marks.between.join([title, *parts]), Style.BOLD))
        for title in (f"{name} on {where}", name)
    ]
    return next((head for head in heads if width_of(head) <= canvas.width), heads[-1])


def _stages(cycle: CycleRecord, worklog: Worklog, moment: Moment, canvas: Canvas) -> list[Line]:
    """All stages on one strip; a stage of several waves shows its last."""
    latest = {record.stage: record for record in cycle.stages}
    states = [state for state in _STRIP if state in latest or cycle.failed_stage is None]
    states += [state for state in latest if state not in _STRIP]
    lines: list[list[Span]] = [[]]
    column = 0
    for state in states:
        cell = _stage(state, latest.get(state), worklog, moment, canvas.marks)
        width = len(cell.text)
        if column and column + width > canvas.width:
            lines.append([])
            column = 0
        lines[-1] += (Span("  "), cell) if column else (cell,)
        column += width + 2
    return [tuple(each) for each in lines]


def _stage(
    state: State, record: StageRecord | None, worklog: Worklog, moment: Moment, marks: Marks
) -> Span:
    if record is None:
        return Span(f"{marks.waiting} {state.value}", Style.DIM)
    if record.kind is None:
        usual = worklog.run.usual.stages.get(state.value) if worklog.run.usual else None
        over = f", {left_text(usual, moment.stage_s)}" if _is_over(usual, moment.stage_s) else ""
        return Span(f"{marks.running} {state.value} {whole(moment.stage_s)}{over}", Style.NOW)
    well = record.kind in _WELL or record.kind.value.startswith("go-")
    mark, style = (marks.done, Style.GREEN) if well else (marks.failed, Style.BAD)
    return Span(f"{mark} {state.value} {seconds(record.duration_s)}", style)


def _is_over(usual: float | None, spent: float) -> bool:
    # A blink over what is usual is no news.
    return usual is not None and spent > usual + 1.0


def _criteria(cycle: CycleRecord) -> Iterator[Line]:
    """The criteria once they are judged, those that are not met by name."""
    if not cycle.criteria:
        return
    if any(each.met is False for each in cycle.criteria):
        style = Style.BAD
    else:
        style = Style.PLAIN if all(each.met for each in cycle.criteria) else Style.DOUBT
    yield line(met_text(cycle.criteria, "criteria"), style)


def _failing(cycle: CycleRecord, canvas: Canvas, room: int) -> list[Line]:
    """The last cases that did not pass, in `room` lines."""
    failed = cycle.failed_cases()
    if not failed or room <= 0:
        return []
    # The last line tells how many are not shown.
    most = min(_FAILING, room) if len(failed) <= room else min(_FAILING, max(1, room - 1))
    last = list(failed.values())[-most:]
    made = []
    for case in last:
        name = case.id if canvas.is_wide else case.id.rsplit("::", 1)[-1]
        message = f": {one_line(case.message, 200)}" if case.message else ""
        said = canvas.shown(f"{one_line(name, 200)}{message}", 500)
        made.append(line(f"{canvas.marks.failed} {said}", Style.RED))
    if len(failed) > len(made) and room > len(made):
        made.append(line(f"  and {len(failed) - len(made)} more before these", Style.RED))
    return made


def _foot(moment: Moment, canvas: Canvas) -> Iterator[Line]:
    limit = canvas.width * 2
    if moment.logged and canvas.height > 9:
        yield line(canvas.shown(moment.logged, limit), Style.DOUBT)
    if moment.said:
        yield line(canvas.shown(moment.said, limit), Style.DIM)
    if canvas.hint and canvas.height > 14:
        hint = canvas.hint.split(";")[0] if canvas.is_narrow else canvas.hint
        yield line(hint, Style.DIM)
