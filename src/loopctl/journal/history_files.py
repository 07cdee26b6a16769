"""The history of cases in plain files: `<root>/<loop>/<environment>/<run_id>.json`.

Written whole or not at all, private to the user. The newest 50 of each environment are kept.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import stat
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from loopctl.errors import Stopped, StorageError
from loopctl.files import ensure_private_dir, storage, write_atomic
from loopctl.inert import one_line
from loopctl.journal.case_history import record_of
from loopctl.journal.wording import iso
from loopctl.journal.worklog import Worklog
from loopctl.model.evidence import CaseStatus, Grade
from loopctl.ports.history import CaseRecord, History, HistoryError, RunRecord
from loopctl.process import Stop

FOLDER: Final = "history"
KEPT: Final = 50
SCHEMA: Final = 1
_LARGEST: Final = 8 << 20
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
_RECORD: Final = re.compile(r"\d{8}-\d{6}-[A-Za-z0-9_-]{1,120}\.json")


class FileHistory(History):
    """Records below `root`; `FOLDER` in the runs folder unless the loop file names another."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def recent(self, loop: str, environment: str, limit: int, stop: Stop) -> Sequence[RunRecord]:
        """See `History`. A file that is no record of that run is passed over."""
        found: list[RunRecord] = []
        if not (_NAME.fullmatch(loop) and _NAME.fullmatch(environment)):
            return found
        for path in self._paths(self._root / loop / environment):
            if len(found) >= limit:
                break
            stop.remaining(0)
            record = _read(path)
            if record is not None and (record.loop, record.environment) == (loop, environment):
                found.append(record)
        return found

    def put(self, record: RunRecord, stop: Stop) -> None:
        """See `History`. Records beyond the newest 50 are removed."""
        for name in (record.loop, record.environment):
            if not _NAME.fullmatch(name):
                raise HistoryError(f"{one_line(name, 120)} is no name of a loop or environment")
        folder = self._root / record.loop / record.environment
        path = folder / f"{record.run_id}.json"
        if not _RECORD.fullmatch(path.name):
            raise HistoryError(f"{one_line(record.run_id, 120)} is no name of a run")
        data = _to_json(record)
        if len(data) > _LARGEST:
            what = f"the record of the run has {len(data)} bytes, and {_LARGEST} can be read again"
            raise HistoryError(what, where=str(path))
        stop.remaining(0)
        try:
            ensure_private_dir(folder)
            write_atomic(path, data)
            for old in self._paths(folder)[KEPT:]:
                with storage("remove the old record", old):
                    old.unlink(missing_ok=True)
        except StorageError as error:
            raise HistoryError(error.what, where=error.where, hint=error.hint) from error

    @staticmethod
    def _paths(folder: Path) -> Sequence[Path]:
        """The records there, the newest first; other files are left alone."""
        try:
            names = [name for name in os.listdir(folder) if _RECORD.fullmatch(name)]  # noqa: PTH208
        except FileNotFoundError:
            return []
        except OSError as error:
            what = f"cannot read the history of cases: {error.strerror}"
            raise HistoryError(what, where=str(folder), hint="ls -ld shows who may") from error
        return [folder / name for name in sorted(names, reverse=True)]


def keep_record(history: History, worklog: Worklog, stop: Stop) -> tuple[str, ...]:
    """Keep what a run tells of its cases; in words, what kept it from that.

    A run in which no suite was run tells nothing, and must not push out one that does.
    """
    record = record_of(worklog)
    if not record.suites:
        return ()
    try:
        history.put(record, stop)
    except HistoryError as error:
        where = f" ({error.where})" if error.where else ""
        return (f"{_NOT_KEPT}: {error.what}{where}",)
    except Stopped as stopped:
        return (f"{_NOT_KEPT}: ended by {stopped.by}",)
    return ()


_NOT_KEPT: Final = "what this run tells of its cases was not kept for later runs"


def _to_json(record: RunRecord) -> bytes:
    document = {
        "schema": SCHEMA,
        "run_id": record.run_id,
        "loop": record.loop,
        "environment": record.environment,
        "started_at": iso(record.started_at),
        "verdict": record.verdict,
        "partial": record.partial,
        "commit": record.commit,
        "images": dict(record.images),
        "suites": {
            name: {
                "outcome": record.outcomes.get(name),
                "duration_s": record.seconds.get(name),
                "cases": {case: _case_json(facts) for case, facts in cases.items()},
            }
            for name, cases in record.suites.items()
        },
    }
    # ASCII: an id may hold half a surrogate pair, and must be the same when it is read again.
    return json.dumps(document, separators=(",", ":"), ensure_ascii=True).encode("ascii")


def _case_json(case: CaseRecord) -> Mapping[str, object]:
    facts: dict[str, object] = {
        "status": case.status.value,
        "duration_s": round(case.duration_s, 4),
    }
    if case.grade is not None:
        facts["grade"] = case.grade.value
    if case.code is not None:
        facts["code"] = case.code
    return facts


_NO_RECORD: Final = (
    *(OSError, ValueError, TypeError, KeyError),
    *(AttributeError, OverflowError, RecursionError),
)
"""What a damaged file, or one of another version, makes the reading of it raise."""


def _read(path: Path) -> RunRecord | None:
    with contextlib.suppress(*_NO_RECORD):
        record = _record(json.loads(_content(path)))
        return record if record.run_id == path.stem else None
    return None


def _content(path: Path) -> bytes:
    """The file's bytes; nothing that would block or has no end."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_size > _LARGEST:
            raise ValueError("no file of a record")
        return file.read(_LARGEST)


def _record(of: Any) -> RunRecord:  # Any: JSON; every field is checked where it is read
    if int(of["schema"]) != SCHEMA:
        raise ValueError("of a later version")
    suites = dict(of["suites"])
    return RunRecord(
        run_id=_text(of["run_id"]),
        loop=_text(of["loop"]),
        environment=_text(of["environment"]),
        started_at=_moment(of["started_at"]),
        verdict=_text_or_none(of.get("verdict")),
        partial=of.get("partial") is True,
        commit=_text_or_none(of.get("commit")),
        images={_text(name): _text(image) for name, image in dict(of["images"]).items()},
        suites={name: _cases(suite["cases"]) for name, suite in suites.items()},
        outcomes={
            name: _text(suite["outcome"])
            for name, suite in suites.items()
            if suite.get("outcome") is not None
        },
        seconds={
            name: _seconds(suite["duration_s"])
            for name, suite in suites.items()
            if suite.get("duration_s") is not None
        },
    )


def _cases(of: Mapping[str, Any]) -> Mapping[str, CaseRecord]:
    return {
        name: CaseRecord(
            CaseStatus(case["status"]),
            _seconds(case["duration_s"]),
            Grade(case["grade"]) if case.get("grade") is not None else None,
            _text_or_none(case.get("code")),
        )
        for name, case in of.items()
    }


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(type(value).__name__)
    return value


def _text_or_none(value: object) -> str | None:
    return None if value is None else _text(value)


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TypeError("no duration")
    return float(value)


def _moment(value: object) -> datetime:
    at = datetime.fromisoformat(_text(value))
    if at.tzinfo is None:
        raise ValueError("no time zone")
    return at
