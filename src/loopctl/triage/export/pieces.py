"""One entry of an export, whatever it was written in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from loopctl.model.logs import LogEntry, RequestEntry
from loopctl.triage.export.times import UNKNOWN

Stream = Literal["stdout", "stderr", "system"]


@dataclass(slots=True)
class Piece:
    """An entry as it was read, not yet redacted. `number` is its entry or line in the file.

    `fine` are the nanoseconds that `at` cannot hold. `service` is empty where the entry does not
    say. `audit`: the text is the status that the platform's audit log gives. `request` is what was
    asked, for an entry of a request log, `project` that of Google Cloud.
    `trouble`: it says by itself that something is wrong; `doubtful`: it only sounds so.
    """

    number: int
    text: str = ""
    at: datetime = UNKNOWN
    fine: int = 0
    identity: str = ""
    service: str = ""
    revision: str = ""
    instance: str = ""
    stream: Stream = "stderr"
    severity: str | None = None
    audit: bool = False
    request: RequestEntry | None = None
    project: str = ""
    trouble: bool = False
    doubtful: bool = False

    def entry(self, service: str) -> LogEntry:
        """It as a line of a log; `service` names it where it does not itself."""
        return LogEntry(
            self.at,
            self.service or service,
            self.revision,
            self.stream,
            self.text,
            self.number,
            self.severity,
            self.instance,
        )
