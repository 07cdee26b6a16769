"""The view for a person at a terminal: a picture that is drawn again at most eight times a second.

Only this module and `frame` import rich, which costs 60 ms that no other command should pay.
"""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TextIO

from rich.console import Console
from rich.live import Live

from loopctl.console.frame import Moment, frame
from loopctl.console.ticker import Ticker
from loopctl.console.wording import lines_of, repeat_of
from loopctl.journal.fold import WorklogFold
from loopctl.journal.worklog import Worklog
from loopctl.model.events import Event, Intent, Result, RunStarted, StageEntered

FRAMES_PER_S = 8


class LiveView:
    """Draws on a terminal; what was drawn is gone after `close`, and the brief takes its place.

    Must be given every event from `run.started` on.
    """

    def __init__(self, stream: TextIO, *, colour: bool = True) -> None:
        console = Console(file=stream, no_color=not colour, highlight=False, markup=False)
        # Redirecting sys.stdout is for programs that print; loopctl's output has its own way.
        self._live = Live(
            console=console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._console = console
        self._lock = threading.Lock()
        self._fold = WorklogFold()
        self._snapshot: Worklog | None = None
        self._changed = False
        self._said = ""
        self._again: dict[str, str] = {}
        self._began = self._stage_began = time.monotonic()
        self._closed = False
        self._live.start()
        self._ticker = Ticker("live view", 1 / FRAMES_PER_S, self._draw)

    def __call__(self, event: Event) -> None:
        """Take the event; the next frame shows it."""
        with self._lock:
            self._fold.add(event)
            self._changed = True
            self._note_repeat(event)
            match event.payload:
                case StageEntered():
                    self._stage_began = time.monotonic()
                case RunStarted():
                    pass
                case _:
                    self._said = next(lines_of(event, verbose=False), self._said)

    def _note_repeat(self, event: Event) -> None:
        """Which suites are being run again, and no more."""
        if event.suite is None:
            return
        match event.payload:
            case Intent(effect="suite") as intent if again := repeat_of(intent):
                self._again[event.suite] = again
            case Result(effect="suite"):
                self._again.pop(event.suite, None)
            case _:
                return

    def _draw(self) -> None:
        with self._lock:
            if self._changed:
                self._snapshot, self._changed = self._fold.snapshot(), False
            worklog, now = self._snapshot, time.monotonic()
            times = (now - self._began, now - self._stage_began)
            moment = Moment(*times, self._said, dict(self._again))
        if worklog is None:
            return
        try:
            self._live.update(frame(worklog, moment, self._console.width), refresh=True)
        except (OSError, ValueError):
            # The terminal went away; the run goes on.
            self._closed = True

    def close(self) -> None:
        """Stop drawing, wipe the picture, give the cursor back."""
        try:
            self._ticker.close()
        finally:
            if not self._closed:
                self._closed = True
                with contextlib.suppress(OSError, ValueError):
                    self._live.stop()
