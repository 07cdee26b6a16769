"""Reading back what `keep_logs` kept. A line's number in the file is its place in every report."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from loopctl.model.logs import LogEntry, RequestEntry


def entries(path: Path) -> Iterator[LogEntry]:
    """The log entries of a kept file; nothing when it is not there."""
    for number, document in _documents(path):
        document["at"] = datetime.fromisoformat(str(document["at"]))
        yield LogEntry(number=number, **document)  # type: ignore[arg-type]


def requests(path: Path) -> Iterator[RequestEntry]:
    """The requests of a kept file; nothing when it is not there."""
    for _, document in _documents(path):
        document["at"] = datetime.fromisoformat(str(document["at"]))
        # Left out, as empty fields are, when the client went away before there was an answer.
        document.setdefault("status", None)
        yield RequestEntry(**document)  # type: ignore[arg-type]


def _documents(path: Path) -> Iterator[tuple[int, dict[str, object]]]:
    if not path.is_file():
        return
    with path.open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, start=1):
            yield number, json.loads(line)
