"""Events → Worklog, one event at a time.

The accumulator is mutable so that a run of many thousand cases stays linear; `snapshot()` gives the
frozen view.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from loopctl.journal.codec import JournalError
from loopctl.journal.fold_cycle import CycleFold
from loopctl.journal.worklog import CycleRecord, NoteRecord, Worklog
from loopctl.model.events import (
    VERSION,
    CasesGraded,
    Event,
    Intent,
    NotChecked,
    Note,
    RemedyDecided,
    RunEnded,
    RunResumed,
    RunStarted,
    Unrecognised,
)
from loopctl.model.evidence import CaseStatus, GradedCase

_NO_FAILURE = (CaseStatus.PASSED, CaseStatus.SKIPPED, CaseStatus.LOST)
"""A lost case has no end: a suite that was stopped loses those that it was about."""

_Images = frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class BranchTree:
    """A branch that a remedy worked on, and its work tree, below the run's folder."""

    branch: str
    folder: str


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
        self._failures: dict[tuple[str, str, _Images], str] = {}
        self._remedies: Counter[str] = Counter()
        self._memory: dict[str, int] = {}
        self._branch: BranchTree | None = None
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
                self._begin(payload, event)
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
                self._pass_over(kind, event)
            case _:
                self._add_to_cycle(event)

    def _begin(self, run: RunStarted, event: Event) -> None:
        if self._run is not None:
            raise JournalError(f"event {event.seq} of the journal begins its run a second time")
        self._run, self._started_at = run, event.at

    def _pass_over(self, kind: str, event: Event) -> None:
        if self._run is None and event.v > VERSION:
            raise JournalError(
                f"it was written by a later version of loopctl: this one reads journals up to "
                f"version {VERSION}, not {event.v}",
                hint="look at it with the loopctl that wrote it, or a later one; its worklog.md "
                "can be read as it is",
            )
        self._unrecognised[kind if event.v <= VERSION else f"{kind} of version {event.v}"] = None

    def _add_to_cycle(self, event: Event) -> None:
        cycle = self._cycle(event)
        cycle.add(event)
        match event.payload:
            case CasesGraded(cases=cases) if event.suite is not None:
                self._note_failures(event.suite, cases, cycle)
            case RemedyDecided(memory=int(memory), service=str(service)):
                self._memory[service] = memory
            case RemedyDecided(branch=str(branch), work_tree=str(tree)):
                self._branch = BranchTree(branch, tree)
            case Intent(effect="remedy", detail=detail):
                self._remedies[str(detail.get("rule", ""))] += 1
            case _:
                pass

    def _note_failures(self, suite: str, cases: Iterable[GradedCase], cycle: CycleFold) -> None:
        failed = [case for case in cases if case.status not in _NO_FAILURE]
        on = frozenset(cycle.images.items() if failed else ())
        for case in failed:
            self._failures.setdefault((suite, case.id, on), case.message or case.status.value)

    def _cycle(self, event: Event) -> CycleFold:
        if self._run is None:
            raise _no_beginning()
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

    @property
    def run(self) -> RunStarted:
        """How the run began; raises `JournalError` when there is no run yet."""
        with self._lock:
            if self._run is None:
                raise _no_beginning()
            return self._run

    def failed_earlier(self, suite: str, case: str) -> str | None:
        """What a case said when it failed earlier in this run on the same images, of all services.

        None: it never did.
        """
        with self._lock:
            if not self._failures or not self._cycles:
                return None
            now = frozenset(self._cycles[-1].images.items())
            return self._failures.get((suite, case, now))

    @property
    def times_resumed(self) -> int:
        """How often another process went on with the run."""
        return len(self._resumed)

    def remedies_begun(self, rule: str) -> int:
        """How often a rule's remedy was begun in this run."""
        with self._lock:
            return self._remedies[rule]

    @property
    def branch_tree(self) -> BranchTree | None:
        """The branch that what is built is taken from; None: from the project itself."""
        with self._lock:
            return self._branch

    @property
    def raised_memory(self) -> Mapping[str, int]:
        """The bytes that remedies of this run have given to services, by name."""
        with self._lock:
            return dict(self._memory)

    def snapshot(self) -> Worklog:
        """The worklog as of the last event; raises `JournalError` when there is no run yet."""
        with self._lock:
            if self._run is None or self._started_at is None:
                raise _no_beginning()
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


def _no_beginning() -> JournalError:
    return JournalError(
        "the journal holds no beginning of a run",
        hint="the run was killed before its first step, or the file was damaged: "
        "loopctl runs lists the others",
    )


def fold(events: Iterable[Event]) -> Worklog:
    """The worklog of a whole journal."""
    accumulator = WorklogFold()
    for event in events:
        accumulator.add(event)
    return accumulator.snapshot()
