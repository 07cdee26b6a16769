"""Attaching to a run that goes on in another process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from loopctl.api.places import journal_of
from loopctl.api.running import Subscriber
from loopctl.files import is_being_written
from loopctl.journal.fold import WorklogFold
from loopctl.journal.tail import Tail, folding
from loopctl.journal.worklog import Worklog
from loopctl.model.events import Event
from loopctl.process import Stop

POLL_S = 0.1


def watch(
    folder: Path, *, subscribers: Sequence[Subscriber] = (), stop: Stop | None = None
) -> Worklog:
    """Hand every event of the run to the subscribers, those of the past at once, until it ends.

    Returns its worklog: `ended` is None when its process was killed. Only reads: it harms nothing,
    and leaving it (`stop`) leaves the run alone. Raises `NotFoundError`, `StorageError`,
    `JournalError`, `Stopped`.
    """
    path = journal_of(folder)
    folded = WorklogFold()
    for event in _events(path, stop or Stop()):
        with folding(path):
            folded.add(event)
        for subscriber in subscribers:
            subscriber(event)
    with folding(path):
        return folded.snapshot()


def _events(path: Path, stop: Stop) -> Iterator[Event]:
    tail = Tail(path)
    while True:
        # Asked before the reading: what a process writes before it ends is not missed.
        going_on = is_being_written(path)
        yield from tail.news()
        if not going_on:
            return
        stop.wait(POLL_S)
