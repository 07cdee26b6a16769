"""Earlier runs of a project, and what they say together. Imports little: a list is waited for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path

from loopctl.journal.history import RunSummary, newest_first
from loopctl.journal.trends import Trend, documents
from loopctl.journal.trends import trends as trends_of


def runs(
    runs_dir: Path,
    *,
    loop: str | None = None,
    environment: str | None = None,
    limit: int | None = None,
) -> Sequence[RunSummary]:
    """Earlier runs, the newest first: of one loop or environment or all, at most `limit`."""
    chosen = (
        run
        for run in newest_first(runs_dir)
        if loop in (None, run.loop) and environment in (None, run.environment)
    )
    return tuple(islice(chosen, limit))


def trends(chosen: Sequence[RunSummary]) -> Sequence[Trend]:
    """What these runs say together, by loop and environment: pass rate, durations and the like."""
    return trends_of(chosen)


def runs_document(chosen: Sequence[RunSummary]) -> Mapping[str, object]:
    """What `runs --json` prints."""
    return {
        "schema": 1,
        "runs": [{name: getattr(run, name) for name in run.__slots__} for run in chosen],
        "trends": list(documents(trends_of(chosen))),
    }


def runs_lines(
    chosen: Sequence[RunSummary], *, with_trends: bool, encoding: str | None
) -> tuple[str, ...]:
    """What `runs` shows a person: a line a run, then the trends. Inert."""
    from loopctl.reports.trends_text import run_line, trend_lines

    below = trend_lines(trends_of(chosen), encoding=encoding) if with_trends else ()
    return (*map(run_line, chosen), *below)
