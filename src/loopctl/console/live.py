"""The view for a person at a terminal: a picture that changes at most eight times a second."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol, TextIO

from loopctl.console.canvas import Canvas
from loopctl.console.course import Course
from loopctl.console.frame import frame
from loopctl.console.marks import Marks, marks_for
from loopctl.console.screen import Screen
from loopctl.console.ticker import Ticker
from loopctl.journal.worklog import Worklog
from loopctl.model.events import Event, RunStarted
from loopctl.model.logs import LogEntry

FRAMES_PER_S = 8
_LOOKS_EVERY = 4
"""Frames between two looks into the logs."""


class Tail(Protocol):
    """What services say while the run goes on."""

    def news(self, revisions: Mapping[str, str]) -> Iterable[LogEntry]:
        """What these revisions, by service, have said since the last call and that tells something.

        Raises nothing.
        """
        ...


def no_tail(_run: RunStarted) -> Tail | None:
    """Nobody knows what the services of that run say."""
    return None


class LiveView:
    """Draws on a terminal; what was there before is there again after `close`.

    Must be given every event from `run.started` on. `hint` stands on the last line all the time.
    `marks` are taken for those that the terminal seems to have. `tail_of` finds the logs of a run;
    both it and what it finds are called by the drawing thread alone.
    """

    def __init__(
        self,
        stream: TextIO,
        *,
        colour: bool = True,
        hint: str = "",
        marks: Marks | None = None,
        tail_of: Callable[[RunStarted], Tail | None] = no_tail,
    ) -> None:
        self._screen = Screen(stream, colour=colour)
        self._marks = marks or marks_for(stream, os.environ)
        self._hint = hint
        self._lock = threading.Lock()
        self._course = Course()
        self._snapshot: Worklog | None = None
        self._changed = False
        self._drawn: tuple[int, tuple[int, int]] | None = None
        self._gone = self._closed = False
        self._tail_of = tail_of
        self._tail: Tail | None = None
        self._frames = 0
        self._fault: Exception | None = None
        self._ticker = Ticker("live view", 1 / FRAMES_PER_S, self._tick)

    def __call__(self, event: Event) -> None:
        """Take the event; the next frame shows it. Raises what the last frame has failed by."""
        if self._fault is not None:
            raise self._fault
        with self._lock:
            self._course.add(event)
            self._changed = True

    def _tick(self) -> None:
        self._frames += 1
        if self._gone:
            return
        try:
            if self._frames % _LOOKS_EVERY == 0 and self._snapshot is not None:
                self._look(self._snapshot)
            self._draw()
        except Exception as error:  # noqa: BLE001 - told by the thread that gives us events
            self._fault, self._gone = error, True
            self._screen.leave()

    def _look(self, worklog: Worklog) -> None:
        if self._tail_of is not no_tail:
            self._tail, self._tail_of = self._tail_of(worklog.run), no_tail
        services = worklog.last.services.values() if worklog.last else ()
        candidates = {each.name: each.revision.name for each in services if each.revision}
        for entry in self._tail.news(candidates) if self._tail else ():
            with self._lock:
                self._course.log(entry.service, entry.text, entry.at)
                self._changed = True

    def _draw(self) -> None:
        size = self._screen.size()
        with self._lock:
            if self._changed:
                self._snapshot = self._course.worklog()
            moment, worklog = self._course.moment(), self._snapshot
            # Times are shown in whole seconds: between two of them nothing moves by itself.
            now = (int(moment.elapsed_s), size)
            if worklog is None or (now == self._drawn and not self._changed):
                return
            self._changed, self._drawn = False, now
        canvas = Canvas(*size, self._marks, self._hint)
        try:
            self._screen.draw(frame(worklog, moment, canvas), size)
        except (OSError, ValueError):
            # The terminal went away; the run goes on.
            self._gone = True

    def close(self) -> None:
        """Stop drawing and give the terminal back."""
        try:
            self._ticker.close()
        finally:
            if not self._closed:
                self._closed = True
                self._screen.leave()
