"""One picture of a running loop for a terminal, from 40 columns up. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from loopctl.console.wording import met_text
from loopctl.inert import for_terminal, one_line
from loopctl.journal.wording import count, seconds, traffic
from loopctl.journal.worklog import CycleRecord, ServiceRecord, StageRecord, SuiteRecord, Worklog
from loopctl.model.evidence import CaseStatus, SuiteOutcome
from loopctl.model.state import PATH, OutcomeKind, State

NARROW = 60
WIDE = 100
_FAILING = 5
_STRIP = PATH[:-1]
_WELL = (OutcomeKind.OK, OutcomeKind.MORE_WAVES, OutcomeKind.PARTIAL)


@dataclass(frozen=True, slots=True)
class Moment:
    """What the worklog does not hold: measured times so far, in seconds, the last line said, and
    the suites that run again, with what for.
    """

    elapsed_s: float = 0.0
    stage_s: float = 0.0
    said: str = ""
    again: Mapping[str, str] = field(default_factory=dict)


def frame(worklog: Worklog, moment: Moment, width: int) -> RenderableType:
    """The picture. Nothing in it is markup of rich's: names and messages are others' text."""
    cycle = worklog.last
    parts: list[RenderableType] = [_header(worklog, moment, width)]
    if cycle is not None:
        parts.append(_stages(cycle, moment, width))
        parts.append(_services(cycle, width))
        parts.append(_suites(cycle, moment, width))
        parts.extend(_criteria(cycle))
        parts.extend(_failing(cycle, width))
    if moment.said:
        parts.append(_text(for_terminal(moment.said, width), "dim"))
    return Group(*parts)


def _text(text: str, style: str = "") -> Text:
    return Text(text, style, no_wrap=True, overflow="ellipsis")


def _header(worklog: Worklog, moment: Moment, width: int) -> Text:
    run = worklog.run
    number = worklog.last.number if worklog.last else 1
    parts = [f"{one_line(run.loop, 40)} on {one_line(run.environment, 24)}"]
    parts.append(f"cycle {number}/{run.max_cycles}")
    parts.append(seconds(moment.elapsed_s))
    if width >= WIDE:
        parts.append(one_line(run.run_id, 80))
    head = _text(" · ".join(parts), "bold")
    return _text("PARTIAL ", "bold yellow").append_text(head) if run.partial else head


def _stages(cycle: CycleRecord, moment: Moment, width: int) -> Text:
    """All stages on one strip; a stage of several waves shows its last."""
    latest = {record.stage: record for record in cycle.stages}
    shown = [state for state in _STRIP if state in latest or cycle.failed_stage is None]
    shown += [state for state in latest if state not in _STRIP]
    strip, column = Text(no_wrap=True), 0
    for state in shown:
        cell = _stage(state, latest.get(state), moment)
        # rich would break a line between a stage and its time.
        if column and column + cell.cell_len > width:
            strip.append("\n")
            column = 0
        strip.append_text(cell).append("  ")
        column += cell.cell_len + 2
    return strip


def _stage(state: State, record: StageRecord | None, moment: Moment) -> Text:
    if record is None:
        return Text(f"· {state.value}", "dim")
    if record.kind is None:
        return Text(f"▸ {state.value} {seconds(moment.stage_s)}", "bold cyan")
    well = record.kind in _WELL or record.kind.value.startswith("go-")
    mark, style = ("✓", "green") if well else ("✗", "bold red")
    return Text(f"{mark} {state.value} {seconds(record.duration_s)}", style)


def _services(cycle: CycleRecord, width: int) -> Table:
    table = Table.grid(padding=(0, 2), expand=False)
    table.add_column(no_wrap=True, overflow="ellipsis", max_width=max(8, width // 4))
    table.add_column(no_wrap=True, overflow="ellipsis")
    if width >= NARROW:
        table.add_column(no_wrap=True, overflow="ellipsis")
    for service in cycle.services.values():
        cells = [Text(one_line(service.name, 63)), _health(service)]
        if width >= NARROW:
            cells.append(Text(_serving(service), "dim"))
        table.add_row(*cells)
    return table


def _health(service: ServiceRecord) -> Text:
    revision = one_line(service.revision.name, 63) if service.revision else ""
    if service.health is not None:
        style = "green" if service.health.healthy else "bold red"
        word = "healthy" if service.health.healthy else "not healthy"
        return Text(f"{word} {revision}", style)
    if service.revision is not None:
        return Text(f"deployed {revision}")
    if service.artifact is not None:
        return Text("built")
    if service.build_steps:
        last = service.build_steps[-1]
        done = f"building, {count(len(service.build_steps), 'step')} done, the last in "
        return Text(f"{done}{seconds(last.seconds)}: {one_line(last.step, 80)}", "dim")
    return Text("building" if service.source else "waiting", "dim")


def _serving(service: ServiceRecord) -> str:
    state = service.routed or service.before
    return traffic(state.traffic) if state else ""


def _suites(cycle: CycleRecord, moment: Moment, width: int) -> Table:
    table = Table.grid(padding=(0, 2), expand=False)
    table.add_column(no_wrap=True, overflow="ellipsis", max_width=max(8, width // 3))
    if width >= NARROW:
        table.add_column(width=2)
        table.add_column(width=20 if width < WIDE else 40)
    table.add_column(no_wrap=True, overflow="ellipsis")
    for suite in cycle.suites.values():
        cells: list[RenderableType] = [Text(one_line(suite.facts.id, 60))]
        if width >= NARROW:
            cells += [Text(one_line(suite.facts.priority, 4), "dim"), _bar(suite)]
        cells.append(_counts(suite, moment.again.get(suite.facts.id)))
        table.add_row(*cells)
    return table


def _bar(suite: SuiteRecord) -> ProgressBar:
    total = max(suite.collected or 0, len(suite.cases))
    style = "red" if _bad(suite) else "green"
    return ProgressBar(
        total=max(total, 1), completed=len(suite.cases), complete_style=style, finished_style=style
    )


def _bad(suite: SuiteRecord) -> bool:
    judged = suite.judgement
    if judged is not None:
        return judged.outcome is not SuiteOutcome.PASSED
    return any(case.status not in _HARMLESS for case in suite.cases)


_HARMLESS = (CaseStatus.PASSED, CaseStatus.SKIPPED)


def _counts(suite: SuiteRecord, again: str | None) -> Text:
    expected = "?" if suite.collected is None else str(suite.collected)
    text = Text(f"{len(suite.cases)}/{expected}")
    judged = suite.judgement
    all_well = judged is not None and judged.outcome is SuiteOutcome.PASSED
    for status in CaseStatus:
        number = sum(1 for case in suite.cases if case.status is status)
        # Of a suite that has passed whole, its outcome says that.
        if number and not (all_well and number == len(suite.cases)):
            style = "" if status in _HARMLESS else "bold red"
            text.append(f" {number} {status.value}", style)
    if judged is not None:
        style = "bold red" if _bad(suite) else "bold green"
        text.append(f" {'' if all_well else '→ '}{judged.outcome.value}", style)
    elif again is not None:
        text.append(f" ▸ {again}", "cyan")
    return text


def _criteria(cycle: CycleRecord) -> Iterator[Text]:
    """The criteria once they are judged, those that are not met by name."""
    if not cycle.criteria:
        return
    missed = any(each.met is False for each in cycle.criteria)
    style = "bold red" if missed else "yellow" if any(not c.met for c in cycle.criteria) else ""
    yield _text(met_text(cycle.criteria, "criteria"), style)


def _failing(cycle: CycleRecord, width: int) -> Iterator[Text]:
    failed = cycle.failed_cases()
    for case in list(failed.values())[-_FAILING:]:
        message = f": {one_line(case.message, 200)}" if case.message else ""
        line = f"✗ {one_line(case.id, 200)}{message}"
        yield _text(for_terminal(line, width), "red")
    if len(failed) > _FAILING:
        yield _text(f"  and {len(failed) - _FAILING} more before these", "red")
