"""The services of the live view: how each is, which revision, who serves what share. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from loopctl.console.canvas import Canvas, Moment
from loopctl.console.lines import Line, Span, Style, line, table
from loopctl.journal.wording import clock, count, seconds, traffic
from loopctl.journal.worklog import CycleRecord, ServiceRecord
from loopctl.model.state import State

_SETTLED: Final = 4
_SINCE: Final = 80
"""Columns from which there is room for a time."""


def service_rows(cycle: CycleRecord, moment: Moment, canvas: Canvas, room: int) -> list[Line]:
    """A line for each service, in at most `room` lines: those that are not well before others."""
    services = list(cycle.services.values())
    hidden = 0
    if len(services) > room:
        telling = sorted(services, key=_calm)[: max(0, room - 1)]
        hidden = len(services) - len(telling)
        services = [each for each in services if each in telling]
    rows = [_row(each, cycle, moment, canvas) for each in services]
    width = canvas.width
    limits = [max(10, width // 4), width if canvas.is_narrow else max(46, width // 2), width]
    lines = table(rows, limits[: len(rows[0])] if rows else (), canvas.marks.cut)
    if hidden and room > 0:
        noun = "service" if rows else "service, none shown"
        lines.append(line(f"  and {count(hidden, f'more {noun}')}", Style.DIM))
    return lines


def _calm(service: ServiceRecord) -> int:
    """The least first: what a person would look at."""
    if service.health is not None:
        return _SETTLED if service.health.healthy else 0
    if service.revision is not None:
        return 1
    return 2 if service.build_steps or service.source else 3


def _row(
    service: ServiceRecord, cycle: CycleRecord, moment: Moment, canvas: Canvas
) -> Sequence[Line]:
    cells = [line(canvas.shown(service.name, 63)), _health(service, cycle, moment, canvas)]
    if not canvas.is_narrow:
        state = service.routed or service.before
        cells.append(line(canvas.shown(traffic(state.traffic), 200) if state else "", Style.DIM))
    return cells


def _health(service: ServiceRecord, cycle: CycleRecord, moment: Moment, canvas: Canvas) -> Line:
    revision = canvas.shown(service.revision.name, 63) if service.revision else ""
    if service.health is not None:
        if not service.health.healthy:
            why = canvas.shown(service.health.detail, 160)
            return line(f"not healthy {revision}{': ' if why else ''}{why}", Style.BAD)
        since = moment.since.get(service.name)
        at = f" since {clock(since)}" if since and canvas.width >= _SINCE else ""
        return (Span("healthy", Style.GREEN), Span(f" {revision}{at}"))
    if service.revision is not None:
        word = "starting" if cycle.failed_stage is None else "deployed"
        return line(f"{word} {revision}", Style.NOW if word == "starting" else Style.PLAIN)
    if service.artifact is not None:
        return line("built" if service.build_s is None else f"built in {seconds(service.build_s)}")
    if service.build_steps:
        last = service.build_steps[-1]
        done = f"building, {count(len(service.build_steps), 'step')} done, the last in "
        return line(f"{done}{seconds(last.seconds)}: {canvas.shown(last.step, 80)}", Style.NOW)
    building = service.source is not None and cycle.stages[-1].stage is State.BUILD
    return line("building", Style.NOW) if building else line("waiting", Style.DIM)
