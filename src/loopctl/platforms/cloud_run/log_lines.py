"""Entries as lines of a log: redacted, cut into lines, in the order in which they were told.

A secret of several lines reaches Cloud Logging as an entry a line. So each instance's stream is
redacted as one, as a host's capture does it, and a line that may be the beginning of a secret waits
for the next.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from loopctl.model.logs import LogEntry
from loopctl.platforms.cloud_run.log_entries import Logged
from loopctl.platforms.host.log_lines import LineCutter
from loopctl.redact import Redactor
from loopctl.redact.escapes import utf8
from loopctl.redact.stream import StreamRedactor

_MOST_STREAMS: Final = 256


class Transcript:
    """Turns entries into lines. `service` names them where an entry does not. For one thread."""

    def __init__(self, redactor: Redactor, service: str) -> None:
        self._redactor = redactor
        self._service = service
        self._streams: OrderedDict[tuple[str, str, str], _Told] = OrderedDict()
        self._number = 0

    def lines(self, entry: Logged) -> Iterator[LogEntry]:
        """The lines that may leave by now; a traceback is one line after another.

        Of a request only what went wrong is told, in the platform's own words.
        """
        if not entry.text:
            return
        key = (entry.revision, entry.log, entry.source)
        told = self._streams.pop(key, None) or _Told(self._redactor.stream())
        self._streams[key] = told
        yield from self._numbered(told.fed(self._line(entry), entry.text))
        if len(self._streams) > _MOST_STREAMS:
            _, oldest = self._streams.popitem(last=False)
            yield from self._numbered(oldest.flushed())

    def rest(self) -> Iterator[LogEntry]:
        """What still waits: nothing more comes."""
        for told in self._streams.values():
            yield from self._numbered(told.flushed())
        self._streams.clear()

    def _line(self, entry: Logged) -> LogEntry:
        return LogEntry(
            at=entry.at,
            service=entry.service or self._service,
            revision=entry.revision,
            stream=entry.stream,
            text="",
            severity=entry.severity,
            instance=entry.source,
        )

    def _numbered(self, lines: Iterator[LogEntry]) -> Iterator[LogEntry]:
        for line in lines:
            self._number += 1
            yield replace(line, number=self._number)


class _Told:
    """One stream of one instance."""

    def __init__(self, redacted: StreamRedactor) -> None:
        self._redacted = redacted
        self._cutter = LineCutter()
        self._last: LogEntry | None = None

    def fed(self, line: LogEntry, text: str) -> Iterator[LogEntry]:
        self._last = line
        whole = text.rstrip("\n").replace("\r\n", "\n") + "\n"
        return self._as_lines(self._cutter.feed(self._redacted.feed(utf8(whole))))

    def flushed(self) -> Iterator[LogEntry]:
        rest = self._cutter.feed(self._redacted.flush())
        return self._as_lines([*rest, *self._cutter.flush()])

    def _as_lines(self, texts: Sequence[str]) -> Iterator[LogEntry]:
        for text in texts:
            if self._last is not None:
                yield replace(self._last, text=text)
