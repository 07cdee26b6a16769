"""Copies what the services said, and were asked, into the run, while it is still there."""

from __future__ import annotations

import functools
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from loopctl.errors import StorageError
from loopctl.files import ensure_private_dir, storage
from loopctl.journal.store import Journal
from loopctl.journal.worklog import CycleRecord, ServiceRecord
from loopctl.model.events import LogsKept
from loopctl.model.logs import Coverage, LogEntry, LogWindow, RequestEntry
from loopctl.ports.logs import LogError, LogSource, Receipts
from loopctl.process import Stop, TaskScope, in_parallel, utc_now


class LogKeeper:
    """Keeps the log and the request log of every revision of a cycle."""

    def __init__(self, logs: LogSource, requests: Receipts) -> None:
        self._logs = logs
        self._requests = requests

    def keep(self, cycle: CycleRecord, journal: Journal, stop: Stop) -> list[str]:
        """Keep them all; what could not be kept, in words.

        Side by side: where entries come late each is waited for.
        """
        records = [
            r for r in cycle.services.values() if r.revision is not None or r.before is not None
        ]
        tasks = {
            record.name: functools.partial(self._kept, record, _since(cycle, record), journal)
            for record in records
        }
        found = in_parallel(stop, len(tasks), tasks)
        return [problem for problem in found.values() if problem is not None]

    def _kept(
        self, record: ServiceRecord, since: datetime, journal: Journal, stop: Stop
    ) -> str | None:
        """Keep those of one service; None, or why they could not be kept."""
        try:
            kept = self._keep(record, since, journal, stop)
        except (LogError, StorageError) as error:
            where = f" ({error.where})" if error.where else ""
            return f"the logs of {record.name} could not be kept: {error.what}{where}"
        journal.append(kept, service=record.name)
        return None

    def _keep(
        self, record: ServiceRecord, since: datetime, journal: Journal, stop: Stop
    ) -> LogsKept:
        folder = journal.folder / "logs" / str(journal.cycle)
        ensure_private_dir(folder)
        # A candidate's lines alone; where nothing was deployed, what serves is what was tested.
        revision = record.revision.name if record.revision else None
        window = LogWindow(record.name, since, revision=revision)
        path = folder / f"{record.name}.jsonl"
        requests = folder / f"{record.name}.requests.jsonl"
        with TaskScope(stop) as scope:
            scope.start(
                f"requests of {record.name}",
                lambda inner: self._keep_requests(requests, window, journal, inner),
            )
            lines, coverage = _write_logs(path, self._logs, window, scope.stop)
        return LogsKept(
            path=str(path.relative_to(journal.folder)),
            requests=str(requests.relative_to(journal.folder)),
            lines=lines,
            complete=coverage.complete,
            gap=coverage.gap,
        )

    def _keep_requests(self, path: Path, window: LogWindow, journal: Journal, stop: Stop) -> None:
        with storage("keep the request log", path), _private(path) as out:
            # The front door logs what it is asked as it was asked: a path may hold a secret.
            self._requests.requests(
                window, lambda e: _write(out, journal.redacted(request_document(e))), stop
            )


def _since(cycle: CycleRecord, record: ServiceRecord) -> datetime:
    if record.revision is not None:
        # All that a revision of this cycle ever said is of this cycle, whatever the clock says.
        return datetime.min.replace(tzinfo=UTC)
    return cycle.started_at or utc_now()


def _write_logs(path: Path, logs: LogSource, window: LogWindow, stop: Stop) -> tuple[int, Coverage]:
    count = 0
    with storage("keep the log", path), _private(path) as out:

        def keep(entry: LogEntry) -> None:
            nonlocal count
            count += 1
            _write(out, log_document(entry))

        coverage = logs.read(window, keep, stop)
    return count, coverage


def _private(path: Path) -> IO[str]:
    path.touch(mode=0o600)
    return path.open("w", encoding="utf-8", errors="replace")


def _write(out: IO[str], document: dict[str, object]) -> None:
    out.write(json.dumps(document, ensure_ascii=False, separators=(",", ":")) + "\n")


def log_document(entry: LogEntry) -> dict[str, object]:
    """A log entry as a line of `logs/<cycle>/<service>.jsonl`."""
    document: dict[str, object] = {
        "at": entry.at.isoformat(),
        "service": entry.service,
        "revision": entry.revision,
        "stream": entry.stream,
        "text": entry.text,
    }
    if entry.severity is not None:
        document["severity"] = entry.severity
    if entry.instance:
        document["instance"] = entry.instance
    return document


def request_document(entry: RequestEntry) -> dict[str, object]:
    """A request as a line of `logs/<cycle>/<service>.requests.jsonl`; empty fields are left out."""
    known = {slot: getattr(entry, slot) for slot in entry.__dataclass_fields__}
    known["at"] = entry.at.isoformat()
    return {name: value for name, value in known.items() if value is not None}
