"""Events → Worklog, one event at a time.

The accumulator is mutable so that a run of many thousand cases stays linear; `snapshot()` gives the
frozen view.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime

from loopctl.journal.codec import JournalError
from loopctl.journal.fold_cycle import CycleFold
from loopctl.journal.worklog import CycleRecord, NoteRecord, Worklog
from loopctl.model.events import (
    CasesGraded,
    Event,
    Intent,
    NotChecked,
    Note,
    RunEnded,
    RunResumed,
    RunStarted,
    Unrecognised,
)
from loopctl.model.evidence import CaseStatus, GradedCase

_NO_FAILURE = (CaseStatus.PASSED, CaseStatus.SKIPPED)


class WorklogFold:
    """Takes events in order; raises `JournalError` when the first one is not `run.started`.

    Safe to ask from other threads than the one that adds.
    """

    def __init__(self) -> None:
        self._run: RunStarted | None = None
        self._started_at: datetime | None = None
        self._ended: RunEnded | None = None
        self._ended_at: datetime | None = None
        self._cycles: list[CycleFold] = []
        self._notes: list[NoteRecord] = []
        self._not_checked: dict[tuple[str, str], NotChecked] = {}
        self._resumed: list[RunResumed] = []
        self._ran = 0.0
        self._failures: dict[tuple[str, str], tuple[Mapping[str, str], str]] = {}
        self._remedies: Counter[str] = Counter()
        self._unrecognised: dict[str, None] = {}
        self._lock = threading.RLock()

    def add(self, event: Event) -> None:
        """Take one event."""
        with self._lock:
            self._add(event)

    def _add(self, event: Event) -> None:
        self._ran = max(self._ran, event.ran)
        payload = event.payload
        match payload:
            case RunStarted():
                self._run, self._started_at = payload, event.at
            case RunResumed():
                self._resumed.append(payload)
                self._ended = self._ended_at = None
            case RunEnded():
                self._ended, self._ended_at = payload, event.at
            case Note(text=text):
                self._notes.append(NoteRecord(event.at, text))
            case NotChecked(what=what, why=why):
                self._not_checked[what, why] = payload
            case Unrecognised(kind=kind):
                self._unrecognised[kind] = None
            case _:
                self._add_to_cycle(event)

    def _add_to_cycle(self, event: Event) -> None:
        cycle = self._cycle(event)
        cycle.add(event)
        match event.payload:
            case CasesGraded(cases=cases) if event.suite is not None:
                self._note_failures(event.suite, cases, cycle.images)
            case Intent(effect="remedy", detail=detail):
                self._remedies[str(detail.get("rule", ""))] += 1
            case _:
                pass

    def _note_failures(
        self, suite: str, cases: Iterable[GradedCase], images: Mapping[str, str]
    ) -> None:
        for case in cases:
            if case.status not in _NO_FAILURE:
                self._failures[suite, case.id] = images, case.message or case.status.value

    def _cycle(self, event: Event) -> CycleFold:
        if self._run is None:
            raise JournalError("the journal does not begin with its run")
        before = self._cycles[-1] if self._cycles else None
        if before is None or before.number != event.cycle:
            self._cycles.append(CycleFold.of(self._run, event, before))
        return self._cycles[-1]

    def cycle(self) -> CycleRecord:
        """The cycle that goes on; raises `JournalError` before the first."""
        with self._lock:
            if not self._cycles:
                raise JournalError("no cycle has begun")
            return self._cycles[-1].snapshot()

    def failed_earlier(self, suite: str, case: str) -> str | None:
        """What a case said when it failed earlier in this run on the same images, of all services.

        None: it never did.
        """
        with self._lock:
            images, said = self._failures.get((suite, case), (None, ""))
            now = self._cycles[-1].images if self._cycles else {}
            return said if images is not None and images == now else None

    def remedies_begun(self, rule: str) -> int:
        """How often a rule's remedy was begun in this run."""
        with self._lock:
            return self._remedies[rule]

    def snapshot(self) -> Worklog:
        """The worklog as of the last event; raises `JournalError` when there is no run yet."""
        with self._lock:
            if self._run is None or self._started_at is None:
                raise JournalError("the journal does not begin with its run")
            return Worklog(
                run=self._run,
                started_at=self._started_at,
                cycles=tuple(cycle.snapshot() for cycle in self._cycles),
                ended=self._ended,
                ended_at=self._ended_at,
                notes=tuple(self._notes),
                not_checked=tuple(self._not_checked.values()),
                resumed=tuple(self._resumed),
                ran_s=self._ran,
                unrecognised=tuple(self._unrecognised),
            )


def fold(events: Iterable[Event]) -> Worklog:
    """The worklog of a whole journal."""
    accumulator = WorklogFold()
    for event in events:
        accumulator.add(event)
    return accumulator.snapshot()
