"""What earlier runs tell a run that begins, whichever machine they ran on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from statistics import median
from typing import Final, TypeVar

from loopctl.errors import Stopped
from loopctl.inert import one_line
from loopctl.journal.history import PastDurations, in_order, medians
from loopctl.journal.history_codec import key_id
from loopctl.model.baseline import Baseline
from loopctl.model.finding import Sightings
from loopctl.ports.history import History, HistoryError, RemedyRecord, RunRecord
from loopctl.process import Stop, in_time

T = TypeVar("T")

MERGED: Final = 5
"""How many green runs a failing one is held against."""

RECORDS: Final = 30
"""How many runs of whatever verdict are read."""

UNREAD: Final = "earlier runs in the history"
"""What was not looked at, where a history could not be read."""

ASKED_S: Final = 5.0
"""How long a run waits for its history, at its beginning and at its end."""


@dataclass(frozen=True, slots=True)
class Past:
    """The newest records of a loop on an environment, the newest first.

    The green runs among them may be older than the others. `unread` says why the history could not
    be read, None: it was.
    """

    records: tuple[RunRecord, ...] = ()
    unread: str | None = None

    @property
    def greens(self) -> tuple[RunRecord, ...]:
        """The green runs of the whole loop, the newest first."""
        return tuple(record for record in self.records if record.is_whole_green)

    @property
    def last_green(self) -> RunRecord | None:
        """The newest green run of the whole loop."""
        return next(iter(self.greens), None)

    def record(self, run_id: str) -> RunRecord | None:
        """The record of that run, None where it is not among them."""
        return next((record for record in self.records if record.run_id == run_id), None)

    def baseline(self, version: int) -> Baseline | None:
        """What the newest green runs showed, merged; None where none of them tells.

        Templates that were made in another `version` tell nothing.
        """
        greens = (record.green for record in self.greens)
        told = [green for green in greens if green is not None and green.version == version]
        return reduce(Baseline.merged, reversed(told[:MERGED])) if told else None

    def shapes(self, suite: str) -> str | None:
        """The shapes of a suite's messages in the newest green run that tells of them."""
        told = (record.green.shapes.get(suite) for record in self.greens if record.green)
        return next((shapes for shapes in told if shapes is not None), None)

    def verified(self) -> Mapping[str, Sequence[str]]:
        """The revisions that were verified, by service, the newest first."""
        return in_order(record.verified for record in self.greens)

    def sightings(self, fingerprint: str) -> Sightings | None:
        """In which of these runs the same was found; None: in none."""
        seen = [r for r in self.records if any(f.fingerprint == fingerprint for f in r.findings)]
        oldest = min(seen, key=lambda record: record.started_at, default=None)
        return Sightings(len(seen), oldest.run_id, oldest.started_at) if oldest else None

    def remedies(self) -> Sequence[RemedyRecord]:
        """Every remedy that these runs carried out, of the newest run first."""
        return [remedy for record in self.records for remedy in record.remedies]

    def durations(self) -> PastDurations:
        """How long the green runs took, ten at the most."""
        greens = self.greens[:10]
        totals = [record.duration_s for record in greens if record.duration_s is not None]
        return PastDurations(
            runs=len(greens),
            total_s=median(totals) if totals else None,
            stages=medians(record.durations for record in greens),
            suites=medians(record.seconds for record in greens),
        )


def heard(ask: Callable[[Stop], T], stop: Stop) -> T:
    """What a history answers; raises `Stopped` in time also where it hears no `Stop` itself.

    A folder on a mount whose server is gone holds whoever touches it.
    """
    answers = in_time(stop, {"the history": ask})
    if not answers:
        raise Stopped(stop.reason or "deadline")
    return answers["the history"]


class EarlierRuns:
    """A history, asked once for one run: within seconds, and never in its way.

    `run_id` is the run that asks: what it left itself, before it was interrupted, does not count.
    """

    def __init__(
        self, history: History, loop: str, environment: str, run_id: str | None = None
    ) -> None:
        self._history = history
        self._loop = loop
        self._environment = environment
        self._run_id = run_id
        self._past: Past | None = None
        self._key: bytes | None = None

    def past(self, stop: Stop | None = None) -> Past:
        """What was read, the first time within `ASKED_S`; without a record where it could not be.

        A `stop` that ends it is left to whoever looks at it next.
        """
        if self._past is None:
            try:
                with (stop or Stop()).child(ASKED_S) as limited:
                    self._past = Past(tuple(heard(self._read, limited)))
            except HistoryError as error:
                where = f" ({error.where})" if error.where else ""
                self._past = Past(unread=one_line(f"{error.what}{where}", 400))
            except Stopped as stopped:
                late = stopped.reason == "deadline"
                why = f"no answer within {ASKED_S:g} s" if late else f"ended by {stopped.by}"
                self._past = Past(unread=why)
        return self._past

    def key(self, stop: Stop | None = None) -> bytes | None:
        """The key of hashes of configuration; None where the history does not give it."""
        if self._key is None and self.past(stop).unread is None:
            try:
                with (stop or Stop()).child(ASKED_S) as limited:
                    self._key = heard(self._history.key, limited)
            except (HistoryError, Stopped):
                return None
        return self._key

    def hashed_by(self) -> str | None:
        """The name of that key."""
        key = self.key()
        return None if key is None else key_id(key)

    def _read(self, stop: Stop) -> Sequence[RunRecord]:
        loop, environment = self._loop, self._environment
        newest = self._history.recent(loop, environment, RECORDS, stop)
        known = {record.run_id: record for record in newest}
        short = MERGED - sum(record.is_whole_green for record in newest)
        # A green run may lie behind any number of others: each record names those it knew of.
        named = {run_id for record in newest for run_id in record.greens} - known.keys()
        if short > 0 and named:
            wanted = sorted(named, reverse=True)[:short]
            known |= {r.run_id: r for r in self._history.named(loop, environment, wanted, stop)}
        read = sorted(known.values(), key=lambda record: record.run_id[:15], reverse=True)
        return [record for record in read if record.run_id != self._run_id]
