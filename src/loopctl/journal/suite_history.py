"""One suite over many runs: how each went, and which cases did not always pass. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from difflib import get_close_matches

from loopctl.errors import NotFoundError
from loopctl.inert import one_line
from loopctl.journal.case_history import Stability, flakiness
from loopctl.journal.history import RunSummary
from loopctl.journal.wording import iso
from loopctl.ports.history import RunRecord

_NAMED = 10


@dataclass(frozen=True, slots=True)
class SuiteRun:
    """The suite in one run.

    Without a record of its cases `outcome` is None and `counts` is empty: a run before there were
    such records, or one whose record is gone.
    """

    run_id: str
    loop: str
    environment: str
    verdict: str | None
    partial: bool
    started_at: str
    outcome: str | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    duration_s: float | None = None


@dataclass(frozen=True, slots=True)
class SuiteHistory:
    """The runs, the newest first, and every case that they have a record of, by instability."""

    suite: str
    runs: tuple[SuiteRun, ...]
    cases: tuple[Stability, ...]

    @property
    def unstable(self) -> tuple[Stability, ...]:
        """The cases that did not pass in every run."""
        return tuple(case for case in self.cases if case.passed < case.runs)

    def document(self) -> Mapping[str, object]:
        """For `--json`."""
        return {
            "schema": 1,
            "suite": self.suite,
            "runs": [asdict(run) for run in self.runs],
            "cases": [asdict(case) for case in self.cases],
        }


def suite_history(
    suite: str, summaries: Sequence[RunSummary], records: Sequence[RunRecord], limit: int
) -> SuiteHistory:
    """The newest `limit` runs of that suite; raises `NotFoundError` naming the suites there are.

    Records may be of runs that this machine has no summary of.
    """
    by_run = {record.run_id: record for record in records if suite in record.suites}
    runs = {name: _of_record(suite, record) for name, record in by_run.items()}
    for summary in summaries:
        if summary.run_id not in runs and suite in summary.suites:
            runs[summary.run_id] = _of_summary(suite, summary)
    if not runs:
        of_summaries = {name for summary in summaries for name in summary.suites}
        raise _unknown(suite, of_summaries.union(*(record.suites for record in records)))
    newest = sorted(runs.values(), key=lambda run: (run.run_id[:15], run.started_at))[::-1][:limit]
    told = [by_run[run.run_id] for run in newest if run.run_id in by_run]
    return SuiteHistory(suite, tuple(newest), flakiness(told, suite))


def _of_record(suite: str, record: RunRecord) -> SuiteRun:
    counts = Counter(case.status.value for case in record.suites[suite].values())
    return SuiteRun(
        run_id=record.run_id,
        loop=record.loop,
        environment=record.environment,
        verdict=record.verdict,
        partial=record.partial,
        started_at=iso(record.started_at),
        outcome=record.outcomes.get(suite),
        counts=dict(counts),
        duration_s=record.seconds.get(suite),
    )


def _of_summary(suite: str, run: RunSummary) -> SuiteRun:
    return SuiteRun(
        run_id=run.run_id,
        loop=run.loop,
        environment=run.environment,
        verdict=run.verdict,
        partial=run.partial,
        started_at=run.started_at,
        duration_s=run.suites[suite],
    )


def _unknown(suite: str, known: set[str]) -> NotFoundError:
    what = f"no run has a suite {one_line(suite, 120)}"
    if not known:
        return NotFoundError(what, hint="no suite was run yet: loopctl run LOOP")
    near = get_close_matches(suite, known, 1)
    named = ", ".join(sorted(known)[:_NAMED])
    more = f" and {len(known) - _NAMED} more" if len(known) > _NAMED else ""
    meant = f"did you mean {near[0]}? " if near else ""
    return NotFoundError(what, hint=f"{meant}there are: {named}{more}")
