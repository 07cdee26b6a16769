"""Earlier runs of this project: read fast, found by name, compared with.

Reads only `summary.json` (at most 2 KB) of each run, with the standard library alone; a run that
was killed, and so has none, is told from the first and the last line of its journal.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
from itertools import groupby, islice
from pathlib import Path
from statistics import median
from typing import Literal, cast

from loopctl.errors import NotFoundError
from loopctl.files import is_being_written
from loopctl.inert import one_line
from loopctl.process import ProcessId, is_alive

RUNS = "runs"
SUMMARY_NAME = "summary.json"
JOURNAL_NAME = "journal.jsonl"
_RUN_ID = re.compile(r"\d{8}-\d{6}-")
_FIRST_LINE = 1 << 20
_LAST_LINE = 1 << 18
_NAMED = 3
_RECENT = 10

RunState = Literal["ended", "running", "interrupted", "unreadable"]


@dataclass(frozen=True, slots=True)
class RunSummary:
    """A run in at most 2 KB of JSON.

    `counts` is of the last cycle's cases, over all suites: `collected` and every status. `stages`
    and `suites` are seconds by name, `verified` the revision that this run verified, by service.
    `history` is the folder of the record of its cases, or the URL of its bucket, None: that in the
    runs folder. `flaky` names the first cases that were flaky, as `SUITE::ID`; older summaries have
    only their number, in `counts`. `cut` names the fields from which something was left out to stay
    within the size.
    """

    run_id: str
    loop: str
    environment: str
    verdict: str | None = None
    exit_code: int | None = None
    stop_reason: str | None = None
    partial: bool = False
    started_at: str = ""
    ended_at: str | None = None
    duration_s: float | None = None
    commit: str | None = None
    dirty: bool = False
    tree: str | None = None
    cycles: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)
    stages: Mapping[str, float] = field(default_factory=dict)
    suites: Mapping[str, float] = field(default_factory=dict)
    verified: Mapping[str, str] = field(default_factory=dict)
    pid: int = 0
    pid_started: int = 0
    history: str | None = None
    flaky: tuple[str, ...] = ()
    cut: tuple[str, ...] = ()
    state: RunState = "ended"

    @property
    def is_verified_green(self) -> bool:
        """Whether later runs may compare themselves with it: green, and the whole loop."""
        return self.verdict == "green" and not self.partial


@dataclass(frozen=True, slots=True)
class PastDurations:
    """Medians in seconds over `runs` earlier green runs."""

    runs: int
    total_s: float | None
    stages: Mapping[str, float]
    suites: Mapping[str, float]


def read_summaries(runs_dir: Path) -> tuple[RunSummary, ...]:
    """Every run below `runs_dir` (`.loopctl`), the newest first; empty when there is none."""
    return tuple(newest_first(runs_dir))


def newest_first(runs_dir: Path) -> Iterator[RunSummary]:
    """The same, one after the other: who needs only the newest reads no others."""
    folders = sorted(_folders(runs_dir), key=_second, reverse=True)
    for _, together in groupby(folders, key=_second):
        runs = [read_summary(folder) for folder in together]
        yield from sorted(runs, key=lambda run: run.started_at, reverse=True)


def _second(folder: Path) -> str:
    return folder.name[:15]


def read_summary(folder: Path) -> RunSummary:
    """One run's summary; a folder that says nothing has the state `unreadable`."""
    document = _json_object(folder / SUMMARY_NAME)
    try:
        summary = _from_json(document) if document else _from_journal(folder)
    except (KeyError, TypeError, ValueError):
        return RunSummary(folder.name, "", "", state="unreadable")
    # A copy under another name is found by that name alone.
    return summary if summary.run_id == folder.name else replace(summary, run_id=folder.name)


def find_run(runs_dir: Path, ref: str) -> Path:
    """The folder of a run: its id, a prefix that only one has, `@latest` or `@green`.

    Raises `NotFoundError`, which names the nearest or the several that match.
    """
    if ref in ("@latest", "@green"):
        runs = newest_first(runs_dir)
        wanted = next((run for run in runs if ref == "@latest" or run.is_verified_green), None)
        if wanted is not None:
            return runs_dir / RUNS / wanted.run_id
        kind = "run" if ref == "@latest" else "green run"
        raise NotFoundError(f"there is no {kind} yet in {runs_dir}", hint="loopctl run LOOP")
    names = [folder.name for folder in _folders(runs_dir)]
    matching = [name for name in names if name.startswith(ref)] if ref else []
    if ref in names or len(matching) == 1:
        return runs_dir / RUNS / (ref if ref in names else matching[0])
    raise _not_found(ref, names, matching)


def last_green(runs_dir: Path, loop: str, environment: str) -> RunSummary | None:
    """The newest green run of the whole loop on that environment."""
    return next(greens_of(newest_first(runs_dir), loop, environment), None)


def past_durations(runs_dir: Path, loop: str, environment: str) -> PastDurations:
    """How long the last ten green runs took."""
    greens = tuple(islice(greens_of(newest_first(runs_dir), loop, environment), _RECENT))
    totals = [run.duration_s for run in greens if run.duration_s is not None]
    return PastDurations(
        runs=len(greens),
        total_s=median(totals) if totals else None,
        stages=medians(run.stages for run in greens),
        suites=medians(run.suites for run in greens),
    )


def verified_revisions(
    runs_dir: Path, loop: str, environment: str
) -> Mapping[str, tuple[str, ...]]:
    """The revisions that green runs have verified, by service, the newest first."""
    greens = greens_of(newest_first(runs_dir), loop, environment)
    return in_order(run.verified for run in greens)


def in_order(verified: Iterable[Mapping[str, str]]) -> Mapping[str, tuple[str, ...]]:
    """The revisions of many runs, by service, each once, in the order of the runs."""
    found: dict[str, dict[str, None]] = {}
    for revisions in verified:
        for service, revision in revisions.items():
            found.setdefault(service, {}).setdefault(revision)
    return {service: tuple(revisions) for service, revisions in found.items()}


def files_of(runs_dir: Path, run_id: str) -> Mapping[str, str]:
    """The loop file and what it extended in that run, with their hashes; empty if not readable."""
    return _told(runs_dir, run_id, "files") or {}


def given_in(runs_dir: Path, run_id: str) -> Mapping[str, str] | None:
    """What services and suites were given in that run, as hashes; None if it does not tell."""
    return _told(runs_dir, run_id, "given")


def _told(runs_dir: Path, run_id: str, field: str) -> Mapping[str, str] | None:
    told = (_first_data(runs_dir / RUNS / run_id) or {}).get(field)
    return {str(k): str(v) for k, v in told.items()} if isinstance(told, dict) else None


def changed_names(before: Mapping[str, str], now: Mapping[str, str]) -> tuple[str, ...]:
    """Names of what was added, removed or changed, by the hashes of both."""
    return tuple(sorted(n for n in before.keys() | now.keys() if before.get(n) != now.get(n)))


def greens_of(runs: Iterable[RunSummary], loop: str, environment: str) -> Iterator[RunSummary]:
    """The green ones of the whole loop on that environment, in their order."""
    return (
        run
        for run in runs
        if run.is_verified_green and (run.loop, run.environment) == (loop, environment)
    )


def medians(measured: Iterable[Mapping[str, float]]) -> Mapping[str, float]:
    """The median by name over many measurements."""
    values: dict[str, list[float]] = {}
    for durations in measured:
        for name, seconds in durations.items():
            values.setdefault(name, []).append(seconds)
    return {name: median(several) for name, several in values.items()}


def _folders(runs_dir: Path) -> Sequence[Path]:
    try:
        # Of each entry its kind is known already: no file is asked for it once more.
        with os.scandir(runs_dir / RUNS) as entries:
            return [
                Path(entry.path)
                for entry in entries
                if _RUN_ID.match(entry.name) and entry.is_dir()
            ]
    except OSError:
        return []


_FIELDS = frozenset(f.name for f in fields(RunSummary)) - {"state"}
_MAPPINGS = ("counts", "stages", "suites", "verified")


def _from_json(document: Mapping[str, object]) -> RunSummary:
    # A later version may have added keys: they are left alone.
    known = {name: value for name, value in document.items() if name in _FIELDS}
    for name in ("run_id", "loop", "environment", "started_at"):
        if not isinstance(known[name], str):
            raise TypeError(name)
    for name in _MAPPINGS:
        if not isinstance(known.get(name, {}), dict):
            raise TypeError(name)
    for name in ("history", "verdict", "ended_at"):
        if not isinstance(known.get(name), str | None):
            raise TypeError(name)
    if not isinstance(known.get("duration_s"), int | float | None):
        raise TypeError("duration_s")
    for name in ("cut", "flaky"):
        known[name] = tuple(map(str, cast("list[object]", known.get(name, ()))))
    return RunSummary(**known)  # type: ignore[arg-type]  # a file's types are checked above


def _from_journal(folder: Path) -> RunSummary:
    event = _first_line(folder)
    data = cast("dict[str, object]", event["data"])
    process = ProcessId(int(cast(int, data["pid"])), int(cast(int, data["pid_started"])))
    summary = RunSummary(
        run_id=str(data["run_id"]),
        loop=str(data["loop"]),
        environment=str(data["environment"]),
        partial=data.get("partial") is not None,
        started_at=str(event["at"]),
        pid=process.pid,
        pid_started=process.started,
        state="running" if _goes_on(folder, process) else "interrupted",
    )
    return _ended(summary, folder) if summary.state == "interrupted" else summary


def _ended(summary: RunSummary, folder: Path) -> RunSummary:
    """The same with how it ended, where it came to its end and only its summary is missing."""
    try:
        event = _last_line(folder)
        if event["kind"] != "run.ended":
            return summary
        data = cast("dict[str, object]", event["data"])
        return replace(
            summary,
            state="ended",
            verdict=str(data["verdict"]),
            exit_code=int(cast(int, data["exit_code"])),
            stop_reason=str(data["stop_reason"]),
            ended_at=str(event["at"]),
            duration_s=float(cast(float, data["duration_s"])),
        )
    except (KeyError, TypeError, ValueError):
        return summary


def _goes_on(folder: Path, process: ProcessId) -> bool:
    """Whether a process writes to it: the one that began it, or one that goes on with it."""
    return is_alive(process) or is_being_written(folder / JOURNAL_NAME)


def _first_data(folder: Path) -> Mapping[str, object]:
    try:
        return cast("dict[str, object]", _first_line(folder)["data"])
    except (KeyError, TypeError, ValueError):
        return {}


def _first_line(folder: Path) -> Mapping[str, object]:
    """The first event of a journal as JSON; `ValueError` when there is none."""
    try:
        with (folder / JOURNAL_NAME).open("rb") as lines:
            document = json.loads(lines.readline(_FIRST_LINE))
    except OSError as error:
        raise ValueError(str(error)) from error
    if not isinstance(document, dict):
        raise TypeError("not an object")
    return document


def _last_line(folder: Path) -> Mapping[str, object]:
    """The last event of a journal as JSON; `ValueError` when there is none."""
    try:
        with (folder / JOURNAL_NAME).open("rb") as lines:
            lines.seek(max(0, lines.seek(0, os.SEEK_END) - _LAST_LINE))
            document = json.loads(lines.read().splitlines()[-1])
    except (OSError, IndexError) as error:
        raise ValueError(str(error)) from error
    if not isinstance(document, dict):
        raise TypeError("not an object")
    return document


def _json_object(path: Path) -> Mapping[str, object]:
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def _not_found(ref: str, names: Sequence[str], matching: Sequence[str]) -> NotFoundError:
    shown = one_line(ref, 120)
    if matching:
        named = ", ".join(sorted(matching, reverse=True)[:_NAMED])
        return NotFoundError(
            f"{len(matching)} runs begin with {shown}: {named}", hint="give more of the id"
        )
    near = get_close_matches(ref, names, _NAMED, 0.4) or sorted(names, reverse=True)[:_NAMED]
    hint = f"nearest: {', '.join(near)}" if near else "there is no run yet: loopctl run LOOP"
    return NotFoundError(f"there is no run {shown}", hint=hint)
