"""A service's log, as the host captured it."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from loopctl.errors import Stopped
from loopctl.model.logs import Coverage, LogEntry, LogWindow
from loopctl.platforms.host.client import HostClient
from loopctl.platforms.host.rendezvous import Rendezvous
from loopctl.platforms.hosted import captures
from loopctl.platforms.hosted.captures import LogLine
from loopctl.ports.logs import LogError
from loopctl.process import Stop, utc_now

_FOLLOW_S: Final = 0.1


class HostLogs:
    """The log port over `logs/SERVICE/REVISION.jsonl`; an entry's number is its line there."""

    def __init__(self, place: Rendezvous) -> None:
        self._host = HostClient(place)

    def read(self, window: LogWindow, into: Callable[[LogEntry], None], stop: Stop) -> Coverage:
        """Hand over the window's entries by time; raises `LogError` when a file cannot be read.

        There is a gap where a log reached its bound, where the disk took no more, and where the
        host was killed before it could write the end.
        """
        state = captures.state_folder(self._host, stop)
        readers = [_Reader(file, window) for file in _files(state, window)]
        try:
            for entry in heapq.merge(*readers, key=lambda each: each.at):
                stop.remaining(0)
                into(entry)
            host = captures.living_host(state)
        except OSError as error:
            raise _unreadable(error, state) from None
        gaps = [gap for reader in readers if (gap := reader.gap(host)) is not None]
        until = window.until or utc_now()
        return Coverage(complete=not gaps, until=until, gap="; ".join(gaps) or None)

    def follow(self, window: LogWindow, stop: Stop) -> Iterator[LogEntry]:
        """The window's entries and those to come, until `stop` stops or the window ends."""
        offsets: dict[Path, int] = {}
        try:
            while window.until is None or utc_now() <= window.until:
                yield from self._news(window, offsets, stop)
                stop.wait(_FOLLOW_S)
        except Stopped:
            return

    def _news(self, window: LogWindow, offsets: dict[Path, int], stop: Stop) -> Iterator[LogEntry]:
        found: list[LogEntry] = []
        for file in _files(captures.state_folder(self._host, stop), window):
            try:
                for line in captures.log_lines(file, window.service, offsets.get(file, 0)):
                    offsets[file] = line.behind
                    if window.since <= line.entry.at and not window.is_over(line.entry.at):
                        found.append(line.entry)
            except OSError as error:
                raise _unreadable(error, file) from None
        yield from sorted(found, key=lambda entry: entry.at)


@dataclass(slots=True)
class _Reader:
    """One revision's file within a window; what it learns on the way tells of gaps."""

    file: Path
    window: LogWindow
    dropped: int = 0
    full: bool = False
    running_under: int | None = None
    empty: bool = True

    def __iter__(self) -> Iterator[LogEntry]:
        begun = False
        for line in captures.log_lines(self.file, self.window.service):
            if self.window.is_over(line.entry.at):
                # What goes on after the window is complete within it, whatever came later.
                self.running_under, self.empty = None, False
                return
            self._learn(line)
            # Lines stand in the order in which they came, whatever the clock was set to meanwhile.
            begun = begun or line.entry.at >= self.window.since
            if begun:
                self.dropped += line.dropped
                yield line.entry

    def gap(self, host: int | None) -> str | None:
        """What is missing, in words; `host` is the process of the host that lives now."""
        name = self.file.stem
        if self.empty:
            return f"the log of {name} has not even its start: the disk did not take it"
        if self.dropped:
            return f"{self.dropped} lines of {name} were dropped"
        if self.full:
            return f"the log of {name} is full: of what follows only the end is kept"
        if self.running_under is not None and self.running_under != host:
            return f"the end of {name} is missing: its host was killed"
        return None

    def _learn(self, line: LogLine) -> None:
        self.empty = False
        if line.started_by is not None:
            self.running_under = line.started_by
        if line.ended:
            self.running_under = None
            self.full = False
        self.full = self.full or line.full


def _files(state: Path, window: LogWindow) -> list[Path]:
    folder = state / "logs" / window.service
    if window.revision is not None:
        file = folder / f"{window.revision}.jsonl"
        return [file] if file.exists() else []
    return sorted(folder.glob("*.jsonl"))


def _unreadable(error: OSError, where: Path) -> LogError:
    return LogError(f"the log cannot be read: {error.strerror}", where=str(where))
