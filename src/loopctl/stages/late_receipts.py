"""The receipts of a whole suite, read once where the target's own record comes late."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from loopctl.evidence.late import Joined, awaited, joined
from loopctl.model.artifact import Revision
from loopctl.model.evidence import Case, Receipt
from loopctl.model.logs import LogWindow
from loopctl.ports.logs import LogError, Receipts
from loopctl.process import Stop, utc_now

CLOCK_SLACK = timedelta(seconds=2)
"""How far the clocks of the test process and of the request log may differ."""


@dataclass(frozen=True, slots=True)
class LateReceipts:
    """What the request logs hold of the cases.

    `logged` are the services whose log was read completely; `gaps` what is missing of the others.
    """

    joined: Joined = field(default_factory=Joined)
    logged: frozenset[str] = frozenset()
    gaps: Sequence[str] = ()

    @property
    def by_trace(self) -> Mapping[str, Sequence[Receipt]]:
        """Receipts by the trace id of the phases they belong to."""
        return self.joined.by_trace

    def unclear(self, case: Case) -> Sequence[str]:
        """What may be there of a case and cannot be told, in words."""
        call = case.call
        if call is None:
            return ()
        mine = self.joined.unclear.get(call.trace or "")
        return [*([mine] if mine else []), *(self.gaps if call.contacts else ())]


def late_receipts(
    cases: Sequence[Case],
    targets: Mapping[str, Revision | None],
    source: Receipts,
    stop: Stop,
    *,
    alone: bool,
) -> LateReceipts:
    """Ask each target's log once for all cases; raises `Stopped`.

    `cases` are all attempts; `alone`: no other test ran at the same time.
    """
    traces = traces_of(cases)
    if not traces:
        return LateReceipts()
    since = min(case.started_at for case in cases) - CLOCK_SLACK
    until = utc_now()
    found: list[Receipt] = []
    logged: set[str] = set()
    gaps: list[str] = []
    for name, revision in targets.items():
        if revision is None:
            continue
        wanted = awaited(cases, name, only=len(targets) == 1)
        try:
            met = source.of(revision, traces, LogWindow(name, since, until), stop, wanted)
        except LogError as error:
            gaps.append(f"the request log of {name}: {error.what}")
            continue
        found += met.receipts
        if met.coverage.complete:
            logged.add(name)
        elif met.coverage.gap:
            gaps.append(f"the request log of {name} {met.coverage.gap}")
    return LateReceipts(joined(cases, found, alone=alone), frozenset(logged), gaps)


def traces_of(cases: Iterable[Case]) -> frozenset[str]:
    """Every trace id that stands for a phase of theirs."""
    return frozenset(t for case in cases for phase in case.phases for t in phase.traces)
