"""The last green run, wherever it ran: by its record in the history, else by what is kept here."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from loopctl.errors import StorageError
from loopctl.files import ensure_private_dir, write_atomic
from loopctl.journal.earlier_runs import Past
from loopctl.journal.history import RUNS, last_green
from loopctl.model.baseline import Baseline
from loopctl.model.logs import LogEntry
from loopctl.model.plan import Plan, SuiteSpec
from loopctl.ports.history import RunRecord
from loopctl.process import Stop
from loopctl.stages import kept_logs
from loopctl.suites.declared.shape_record import FILE as SHAPES
from loopctl.triage.assemble import assemble
from loopctl.triage.baseline import learn
from loopctl.triage.templates import VERSION

_LOOKED_EVERY: Final = 1000
_LARGEST_SHAPES: Final = 3 << 20


@dataclass(frozen=True, slots=True)
class LastGreen:
    """The newest green run of the whole loop on the environment.

    `record` is what the history keeps of it, `folder` what is kept of it on this machine: one of
    them at least. `verified` are the revisions that it verified, by service; `tree` one hash of all
    sources, where only this machine tells.
    """

    run_id: str
    commit: str | None
    record: RunRecord | None
    folder: Path | None
    verified: Mapping[str, str]
    tree: str | None = None

    @classmethod
    def find(cls, plan: Plan, runs_dir: Path, past: Past) -> LastGreen | None:
        """The newest that either knows; None where there is none."""
        here = last_green(runs_dir, plan.loop, plan.environment.name)
        there = past.last_green
        if here is not None and (there is None or here.run_id[:15] > there.run_id[:15]):
            folder = runs_dir / RUNS / here.run_id
            record = past.record(here.run_id)
            return cls(here.run_id, here.commit, record, folder, here.verified, here.tree)
        if there is None:
            return None
        folder = runs_dir / RUNS / there.run_id
        kept = folder if folder.is_dir() else None
        return cls(there.run_id, there.commit, there, kept, there.verified)

    def is_of(self, trees: Mapping[str, str], tree: str | None) -> bool:
        """Whether it was made from these source trees by service, `tree` one hash of them all."""
        if self.record is not None:
            read = self.record.sources or self.record.images
            return all(read.get(name) == each for name, each in trees.items())
        return self.tree == tree

    def baseline(self, plan: Plan, past: Past) -> Baseline | None:
        """What the newest green runs showed, merged; this one's logs where no record tells."""
        told = past.baseline(VERSION)
        mine = self.record.green if self.record is not None else None
        if self.folder is None or (mine is not None and mine.version == VERSION):
            return told
        folder = self.folder / "logs"
        logs = {
            spec.name: path
            for spec in plan.deployed
            for path in sorted(folder.glob(f"*/{spec.name}.jsonl"))[-1:]
        }
        here = learned(logs, Stop())
        return here if told is None else told.merged(here)


def learned(logs: Mapping[str, Path], stop: Stop) -> Baseline:
    """What the kept logs of green services leave, by service; what is read until `stop`."""
    seconds: dict[str, float] = {}
    read = (
        (service, assemble(_timed(service, path, seconds, stop))) for service, path in logs.items()
    )
    found = learn(read)
    return replace(found, seconds=seconds, version=VERSION)


def _timed(service: str, path: Path, seconds: dict[str, float], stop: Stop) -> Iterator[LogEntry]:
    first = last = None
    # A file that was damaged tells as much as can be read of it.
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        for number, entry in enumerate(kept_logs.entries(path)):
            if number % _LOOKED_EVERY == 0 and stop.reason is not None:
                break
            first, last = first or entry.at, entry.at
            yield entry
    seconds[service] = (last - first).total_seconds() if first and last else 0.0


def shapes_left(suites: Mapping[str, Path]) -> Mapping[str, str]:
    """The shapes of messages that suites left in their folders, by suite."""
    found = {}
    for suite, folder in suites.items():
        try:
            with (folder / SHAPES).open(encoding="utf-8") as file:
                text = file.read(_LARGEST_SHAPES + 1)
        except (OSError, ValueError):
            continue
        if len(text) <= _LARGEST_SHAPES:
            found[suite] = text
    return found


def left_of(suites: Iterable[SuiteSpec], run: Path) -> Mapping[str, Path]:
    """What the last cycle of a run left of each suite, where it left anything."""
    numbered = [path for path in (run / "suites").glob("*") if path.name.isdecimal()]
    cycles = sorted(numbered, key=lambda folder: int(folder.name))
    return {
        spec.id: folder
        for spec in suites
        for cycle in cycles
        if (folder := cycle / spec.id).is_dir()
    }


def shapes_laid_out(suites: Iterable[SuiteSpec], past: Past, folder: Path) -> Mapping[str, Path]:
    """The shapes that the newest green runs tell of, each in a folder of its suite below `folder`.

    A folder that cannot be written costs the comparison, not the run.
    """
    laid: dict[str, Path] = {}
    for spec in suites:
        told = past.shapes(spec.id)
        if told is None:
            continue
        try:
            ensure_private_dir(folder / spec.id)
            write_atomic(folder / spec.id / SHAPES, told)
        except StorageError:
            continue
        laid[spec.id] = folder / spec.id
    return laid
