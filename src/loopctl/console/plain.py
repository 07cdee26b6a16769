"""The view for CI and files: one UTC line per transition, and a sign of life every 60 s."""

from __future__ import annotations

import threading
import time
from typing import TextIO

from loopctl.console.output import Output
from loopctl.console.ticker import Ticker
from loopctl.console.wording import lines_of
from loopctl.journal.wording import clock, seconds
from loopctl.model.events import Event, StageEntered
from loopctl.process import utc_now

HEARTBEAT_S = 60.0


class PlainView:
    """Prints events to `stream` as they happen; `verbose` adds build steps and every case."""

    def __init__(
        self, stream: TextIO, *, verbose: bool = False, heartbeat_s: float = HEARTBEAT_S
    ) -> None:
        self._output = Output(stream)
        self._verbose = verbose
        self._heartbeat_s = heartbeat_s
        self._lock = threading.Lock()
        self._said = self._stage_since = time.monotonic()
        self._stage = "starting"
        # Looked at more often than it speaks: an event may come at any time between.
        self._ticker = Ticker("heartbeat", heartbeat_s / 10, self._heartbeat)

    def __call__(self, event: Event) -> None:
        """Print what the event says."""
        with self._lock:
            if isinstance(event.payload, StageEntered):
                self._stage, self._stage_since = event.payload.stage.value, time.monotonic()
            for text in lines_of(event, verbose=self._verbose):
                self._output.line(f"{clock(event.at)} {text}")
                self._said = time.monotonic()

    def _heartbeat(self) -> None:
        with self._lock:
            now = time.monotonic()
            if now - self._said >= self._heartbeat_s:
                lasted = seconds(now - self._stage_since)
                self._output.line(f"{clock(utc_now())} still in {self._stage}, {lasted} so far")
                self._said = now

    def close(self) -> None:
        """Stop the heartbeat."""
        self._ticker.close()
