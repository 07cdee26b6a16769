"""`summary.json`: all that `loopctl runs`, `plan` and later runs need of a run, in 2 KB."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, replace
from itertools import islice

from loopctl.journal.history import RunSummary
from loopctl.journal.run_record import stage_seconds, verified_by
from loopctl.journal.wording import iso
from loopctl.journal.worklog import CycleRecord, Worklog
from loopctl.model.evidence import CaseStatus
from loopctl.reports.facts import collected_of, counts_of, source_of

LIMIT = 2048
_NAME = 120
_FLAKY = 5


def summary_of(worklog: Worklog) -> RunSummary:
    """The summary of a run that has ended; one that has not has no verdict yet."""
    run, ended = worklog.run, worklog.ended
    source = source_of(worklog.last)
    return RunSummary(
        run_id=run.run_id,
        loop=run.loop,
        environment=run.environment,
        verdict=ended.verdict.value if ended else None,
        exit_code=ended.exit_code if ended else None,
        stop_reason=ended.stop_reason.value if ended else None,
        partial=run.partial is not None,
        started_at=iso(worklog.started_at),
        ended_at=iso(worklog.ended_at) if worklog.ended_at else None,
        duration_s=round(ended.duration_s, 3) if ended else None,
        commit=source.commit,
        dirty=source.dirty,
        tree=source.tree,
        cycles=len(worklog.cycles),
        counts=_counts(worklog.last),
        stages=stage_seconds(worklog.last),
        suites=_suites(worklog.last),
        verified=verified_by(worklog),
        pid=run.pid,
        pid_started=run.pid_started,
        history=run.history,
        flaky=_flaky(worklog.last),
        state="ended" if ended else "interrupted",
    )


def to_json(summary: RunSummary) -> bytes:
    """At most 2 KB: what is dispensable goes first, and `cut` names it."""
    for smaller in (summary, *_smaller(summary)):
        data = _dump(smaller)
        if len(data) <= LIMIT:
            return data
    raise ValueError(f"the summary of {summary.run_id[:_NAME]} does not fit into {LIMIT} bytes")


def _dump(summary: RunSummary) -> bytes:
    document = asdict(summary)
    del document["state"]
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode(
        "utf-8", "replace"
    )


def _smaller(summary: RunSummary) -> list[RunSummary]:
    no_flaky = replace(summary, flaky=(), cut=("flaky",)) if summary.flaky else summary
    no_suites = replace(no_flaky, suites={}, cut=(*no_flaky.cut, "suites"))
    no_stages = replace(no_suites, stages={}, cut=(*no_suites.cut, "stages"))
    few = dict(list(no_stages.verified.items())[:8])
    few_verified = replace(no_stages, verified=few, cut=(*no_stages.cut, "verified"))
    bare = replace(
        few_verified,
        verified={},
        loop=summary.loop[:_NAME],
        environment=summary.environment[:_NAME],
        commit=summary.commit and summary.commit[:_NAME],
        tree=summary.tree and summary.tree[:_NAME],
        history=None,
    )
    return [no_flaky, no_suites, no_stages, few_verified, bare]


def _counts(cycle: CycleRecord | None) -> Mapping[str, int]:
    total: Counter[str] = Counter(dict.fromkeys(("collected", *CaseStatus), 0))
    for suite in cycle.suites.values() if cycle else ():
        total["collected"] += collected_of(suite)
        for status, number in counts_of(suite).items():
            total[status] += number
    return {str(name): number for name, number in total.items()}


def _flaky(cycle: CycleRecord | None) -> tuple[str, ...]:
    """The first flaky cases; names that are too long to be told apart when cut are left out."""
    named = (
        f"{suite.facts.id}::{case.id}"
        for suite in (cycle.suites.values() if cycle else ())
        for case in suite.cases
        if case.status is CaseStatus.FLAKY
    )
    return tuple(islice((name for name in named if len(name) <= _NAME), _FLAKY))


def _suites(cycle: CycleRecord | None) -> Mapping[str, float]:
    return {
        suite.facts.id: round(suite.judgement.duration_s, 3)
        for suite in (cycle.suites.values() if cycle else ())
        if suite.judgement is not None and suite.end is not None
    }
