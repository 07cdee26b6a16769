"""Whether going round again has changed anything. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from loopctl.journal.worklog import CycleRecord


def is_stuck(cycles: Sequence[CycleRecord], limit: int) -> bool:
    """Whether the last `limit` cycles failed alike on the same source."""
    last = cycles[-limit:]
    return len(last) == limit and all(_alike(last[0], other) for other in last[1:])


def _alike(one: CycleRecord, other: CycleRecord) -> bool:
    return _failure(one) == _failure(other) and sources(one) == sources(other)


def _failure(cycle: CycleRecord) -> tuple[str, frozenset[str]]:
    """What failed: the fingerprints of the findings; where there are none, the cases."""
    failed = cycle.failed_stage
    stage = failed.stage.value if failed else ""
    fingerprints = frozenset(finding.fingerprint for finding in cycle.findings)
    return stage, fingerprints or frozenset(cycle.failed_cases())


def sources(cycle: CycleRecord) -> Mapping[str, str]:
    """The source tree of every service that was read, by name."""
    return {name: s.source.tree for name, s in cycle.services.items() if s.source is not None}
