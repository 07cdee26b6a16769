"""Which lines only one of two runs has said, as far as what is kept of them tells. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from loopctl.journal.worklog import CycleRecord
from loopctl.model.baseline import Baseline
from loopctl.ports.history import RunRecord
from loopctl.reports.compared import LogChanges, TemplateLine
from loopctl.triage.templates import VERSION, Masker

_NOTHING = "neither run has kept what its logs were like"
_GREEN_ALONE = "of {run} only the lines are known that no green run had"
_VERSIONS = "their templates were made by different versions of loopctl"

Said = Mapping[tuple[str, str], TemplateLine]


@dataclass(frozen=True, slots=True)
class _Known:
    """What a run has said. `whole`: all of it; else only what no green run had."""

    said: Said
    whole: bool


def log_changes(
    a: CycleRecord | None, b: CycleRecord | None, was: RunRecord | None, now: RunRecord | None
) -> LogChanges:
    """Green runs leave all their templates, others the novel lines: whole ones tell both ways."""
    baselines = [record.green for record in (was, now) if record and record.green]
    if any(each.version != VERSION for each in baselines):
        return LogChanges(why=_VERSIONS)
    before, after = _known(a, was), _known(b, now)
    if before is None and after is None:
        return LogChanges(why=_NOTHING)
    new, gone = _only(after, before), _only(before, after)
    return LogChanges(new, gone, _why(before, after))


def _known(cycle: CycleRecord | None, record: RunRecord | None) -> _Known | None:
    if record is not None and record.green is not None:
        return _Known(_templates(record.green), whole=True)
    if cycle is None or not cycle.novel:
        return None
    return _Known(dict(_novel(cycle)), whole=False)


def _templates(green: Baseline) -> Said:
    return {
        (service, template): TemplateLine(service, template, seen.count)
        for service, known in green.templates.items()
        for template, seen in known.items()
    }


def _novel(cycle: CycleRecord) -> Iterator[tuple[tuple[str, str], TemplateLine]]:
    for line, source in zip(cycle.novel, cycle.novel_sources, strict=False):
        service = source or ""
        yield (service, line.template), TemplateLine(service, line.template, line.count, line.quote)


def _only(mine: _Known | None, theirs: _Known | None) -> tuple[TemplateLine, ...] | None:
    """What one alone has said, the frequent first.

    None where the other has kept nothing, or one has kept all of its lines and the other some.
    """
    if mine is None or theirs is None or (mine.whole and not theirs.whole):
        return None
    masker = Masker()
    only = [
        line
        for (service, template), line in mine.said.items()
        if (service, template) not in theirs.said
        # Novel lines of one statement are told as one; the other may have its lines one by one.
        and (line.quote is None or (service, masker.template(line.quote)) not in theirs.said)
    ]
    return tuple(sorted(only, key=lambda line: (-line.count, line.service, line.template)))


def _why(before: _Known | None, after: _Known | None) -> str | None:
    partly = [name for name, known in (("A", before), ("B", after)) if known and not known.whole]
    silent = [name for name, known in (("A", before), ("B", after)) if known is None]
    if silent:
        return f"{silent[0]} has not kept what its logs were like"
    return _GREEN_ALONE.format(run=" and ".join(partly)) if partly else None
