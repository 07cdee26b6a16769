"""Earlier runs: found, folded, reported again, their logs read."""

from __future__ import annotations

import contextlib
import heapq
import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from operator import itemgetter
from pathlib import Path

from loopctl.api.listing import runs
from loopctl.api.places import journal_of
from loopctl.errors import StorageError
from loopctl.files import storage
from loopctl.journal.fold import fold
from loopctl.journal.history import JOURNAL_NAME, find_run
from loopctl.journal.history_files import KEPT
from loopctl.journal.suite_history import SuiteHistory
from loopctl.journal.suite_history import suite_history as history_of_suite
from loopctl.journal.tail import folding, read
from loopctl.journal.wording import iso
from loopctl.journal.worklog import Worklog
from loopctl.model.events import Event
from loopctl.model.plan import BucketPlace, UrlPlace
from loopctl.ports.history import History
from loopctl.process import Stop


def suite_history(
    runs_dir: Path,
    suite: str,
    *,
    loop: str | None = None,
    environment: str | None = None,
    limit: int = 20,
    stop: Stop | None = None,
) -> SuiteHistory:
    """One suite over the newest `limit` runs that ran it, of one loop and environment or all.

    Raises `NotFoundError`, which names the suites there are, and `HistoryError` where the records
    cannot be read.
    """
    summaries = runs(runs_dir, loop=loop, environment=environment)
    within = stop or Stop(60.0)
    places = dict.fromkeys((run.history, run.loop, run.environment) for run in summaries)
    records = {
        record.run_id: record
        for place, name, environment in places
        for record in history_at(place, runs_dir).recent(name, environment, KEPT, within)
    }
    return history_of_suite(suite, summaries, list(records.values()), limit)


def history_at(place: str | None, runs_dir: Path) -> History:
    """Where a run has said that its record goes to."""
    from loopctl.bootstrap import history_of

    if place is None:
        return history_of(None, runs_dir)
    named = BucketPlace.of_url(place) or UrlPlace.of_url(place) or Path(place)
    return history_of(named, runs_dir)


def worklog_text(worklog: Worklog) -> str:
    """`worklog.md`, as a text, of a run whose folder is not there to write it to."""
    from loopctl.reports.markdown import worklog_markdown

    return worklog_markdown(worklog)


def find(runs_dir: Path, ref: str) -> Path:
    """The folder of a run: its id, a prefix, `@latest` or `@green`; raises `NotFoundError`."""
    return find_run(runs_dir, ref)


def worklog_of(folder: Path) -> Worklog:
    """The worklog of a run that has ended, goes on or was killed; raises `LoopctlError`."""
    path = journal_of(folder)
    with folding(path):
        return fold(read(path))


def events_of(folder: Path) -> Iterator[Event]:
    """The events of a run, from its first; raises `JournalError` where one cannot be trusted."""
    return read(folder / JOURNAL_NAME)


def report(folder: Path) -> Path:
    """Write the reports of a run again from its journal; the path of the worklog."""
    from loopctl.reports.write import write_reports

    problems = write_reports(worklog_of(folder), folder)
    if problems:
        raise StorageError("; ".join(problems), where=str(folder))
    return folder / "worklog.md"


def kept_logs(
    folder: Path, *, service: str | None = None, cycle: int | None = None, requests: bool = False
) -> Sequence[Path]:
    """The kept log files of a run: of one cycle (the last by default), of one service or all."""
    cycles = sorted((p for p in (folder / "logs").glob("*") if p.name.isdecimal()), key=_number)
    chosen = [p for p in cycles if cycle is None or _number(p) == cycle][-1:]
    suffix = ".requests.jsonl" if requests else ".jsonl"
    return [
        path
        for place in chosen
        for path in sorted(place.glob(f"*{suffix}"))
        if path.name.endswith(".requests.jsonl") == requests
        and service in (None, path.name.removesuffix(suffix))
    ]


def log_lines(kept: Sequence[Path]) -> Iterator[str]:
    """The lines of kept log files, as they stand there, in the order of their times.

    A line without a time of its own follows the one before it.
    """
    timed = (_timed(path) for path in kept)
    return (text for _, text in heapq.merge(*timed, key=itemgetter(0)))


def _timed(path: Path) -> Iterator[tuple[datetime, str]]:
    at = datetime.min.replace(tzinfo=UTC)
    with storage("read the log", path), path.open(encoding="utf-8", errors="replace") as lines:
        for text in lines:
            with contextlib.suppress(ValueError, TypeError, KeyError, RecursionError):
                told = datetime.fromisoformat(json.loads(text)["at"])
                at = told if told.tzinfo is not None else told.replace(tzinfo=UTC)
            yield at, text


def log_line(text: str) -> str:
    """One kept line as people read it: time, revision, stream, what was said."""
    try:
        entry = json.loads(text)
        at = iso(datetime.fromisoformat(entry["at"]))
    except (ValueError, TypeError, KeyError, RecursionError):
        return text.rstrip("\n")
    if "text" in entry:
        said = f"{entry.get('revision', '')} {entry.get('stream', '')!s:6} {entry['text']}"
        return f"{at} {said}"
    fields = " ".join(f"{k}={v}" for k, v in entry.items() if k not in ("at", "service"))
    return f"{at} {fields}"


def _number(path: Path) -> int:
    return int(path.name)
