"""What the service said, and which requests it was met with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from loopctl.errors import PortError
from loopctl.model.artifact import Revision
from loopctl.model.evidence import Receipt
from loopctl.model.logs import Coverage, LogEntry, LogWindow, RequestEntry
from loopctl.process import Stop


class LogError(PortError):
    """The logs cannot be read."""


class LogSource(Protocol):
    """A service's log, redacted at the capture."""

    def read(self, window: LogWindow, into: Callable[[LogEntry], None], stop: Stop) -> Coverage:
        """Hand over every entry of the window in the order of capture."""
        ...

    def follow(self, window: LogWindow, stop: Stop) -> Iterator[LogEntry]:
        """The window's entries and then those to come, until `stop` stops."""
        ...


@dataclass(frozen=True, slots=True)
class Met:
    """The receipts found, and whether the record they were looked for in is complete."""

    receipts: tuple[Receipt, ...]
    coverage: Coverage


class Receipts(Protocol):
    """The target's own request log."""

    late_s: float
    """Seconds by which a record may come after its answer; 0: it is there before it.

    A source whose records are late is asked once, when the tests are over.
    """

    def of(
        self,
        revision: Revision,
        traces: frozenset[str],
        window: LogWindow,
        stop: Stop,
        awaited: frozenset[str] = frozenset(),
    ) -> Met:
        """The requests in the window that carried one of these trace ids to this revision.

        Those that carried none come too, where the record tells from which port they came, or where
        one of the traces that are `awaited` cannot be found. A source whose records are late also
        tells of traces that came to another revision, and waits `late_s` from the window's end for
        those that are awaited.
        """
        ...

    def requests(
        self, window: LogWindow, into: Callable[[RequestEntry], None], stop: Stop
    ) -> Coverage:
        """Hand over every request of the window."""
        ...
