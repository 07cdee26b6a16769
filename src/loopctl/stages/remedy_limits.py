"""How often remedies may be carried out by themselves, over all runs of a day. Pure but to read."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from loopctl.errors import Stopped
from loopctl.journal.earlier_runs import heard
from loopctl.journal.mending import Mending
from loopctl.ports.history import History, HistoryError, RemedyRecord, RunRecord
from loopctl.process import Stop, utc_now
from loopctl.stages.remedy_choice import Choice

DAY: Final = timedelta(hours=24)
_RECORDS: Final = 100
_READ_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Ledger:
    """What earlier runs of the loop on the environment tell, the newest first.

    `unreadable` says why they tell nothing, None where they were read; `now` is when.
    """

    records: Sequence[RunRecord]
    now: datetime
    unreadable: str | None = None

    @property
    def today(self) -> tuple[RemedyRecord, ...]:
        """The remedies of the last 24 hours."""
        since = self.now - DAY
        return tuple(r for record in self.records for r in record.remedies if r.at >= since)


def read_ledger(history: History, loop: str, environment: str, run_id: str, stop: Stop) -> Ledger:
    """What the history tells of all runs but this one; raises only the run's own `Stopped`.

    Read anew, though the run has read it at its beginning: others may have done something since.
    """
    now = utc_now()
    try:
        with stop.child(_READ_S) as limited:
            recent = functools.partial(history.recent, loop, environment, _RECORDS)
            records = heard(recent, limited)
    except HistoryError as error:
        return Ledger((), now, error.what)
    except Stopped:
        stop.remaining(0)
        return Ledger((), now, f"it was not read within {_READ_S:g} s")
    return Ledger([record for record in records if record.run_id != run_id], now)


class Day:
    """The ledger, read once and only where something is about to be done."""

    def __init__(self, read: Callable[[Stop], Ledger], stop: Stop) -> None:
        self._read, self._stop = read, stop
        self._ledger: Ledger | None = None

    @property
    def ledger(self) -> Ledger:
        """What earlier runs tell; raises only the run's own `Stopped`."""
        if self._ledger is None:
            self._ledger = self._read(self._stop)
        return self._ledger

    @property
    def records(self) -> Sequence[RunRecord] | None:
        """Their records, None where the history cannot be read."""
        return None if self.ledger.unreadable is not None else self.ledger.records


def beyond(choice: Choice, ledger: Ledger, own: Sequence[Mending], most: int) -> str | None:
    """Why it is not to be done by itself today; None: it is within all bounds.

    `own` are this run's remedies so far, `most` the bound of all together.
    """
    if ledger.unreadable is not None:
        return (
            "how many were done today is not known, as the history cannot be read: "
            f"{ledger.unreadable}"
        )
    today = ledger.today
    alike = sum(r.cause == choice.rule and r.action == choice.action for r in today)
    alike += sum(m.remedy.rule == choice.rule for m in own)
    if choice.per_day is not None and alike >= choice.per_day:
        return f"{choice.rule} was done {alike} times in 24 hours, {choice.per_day} are allowed"
    count = len(today) + len(own)
    if count >= most:
        return f"{count} remedies were done in 24 hours, remediate.per_day allows {most}"
    return None


def failed_before(
    ledger: Ledger, own: Iterable[Mending]
) -> tuple[tuple[str, str | None, str, str], ...]:
    """The remedies of this run and of today that did not mend: action, service, cause, sources."""
    mine = (m.remedy for m in own if m.shown.mended is False)
    theirs = (r for r in ledger.today if r.mended is False or r.result == "failed")
    return (
        *((r.action, r.service, r.rule or "", r.on) for r in mine),
        *((r.action, r.service, r.cause, r.on) for r in theirs),
    )
