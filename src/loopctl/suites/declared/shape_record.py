"""The shapes of a suite's messages: recorded, kept, and compared with the last green run's."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from functools import reduce
from pathlib import Path

from loopctl.errors import StorageError
from loopctl.evidence.shapes import (
    Shape,
    ShapeChange,
    carried,
    changes,
    from_json,
    merge,
    shape_of,
    to_json,
)
from loopctl.files import ensure_private_dir, write_atomic
from loopctl.inert import one_line
from loopctl.ports.suite import SuiteError

UNNAMED = "?"
"""The kind of messages that do not say which event they are."""

FILE = "shapes.json"
_MOST_KINDS = 100
_MOST_MESSAGES = 250
_MOST_SAID = 3
_MOST_NOTES = 20
_LONGEST_PLACE = 400
_LARGEST_FILE = 16 * 1024 * 1024
_SINCE = "since the last green run"


class ShapeRecord:
    """One shape for each kind of message, of the first 250 of each of 100 kinds.

    `clean` redacts names of fields. `baseline` is the folder of the last green run's same suite;
    without a record that can be read there, nothing is compared.
    """

    def __init__(self, clean: Callable[[str], str], baseline: Path | None) -> None:
        self._clean = clean
        self._before = _read(baseline / FILE) if baseline is not None else {}
        self._now: dict[str, Shape] = {}
        self._seen: Counter[str] = Counter()

    def see(self, kind: str, message: object) -> None:
        """Take a message."""
        if kind not in self._now and len(self._now) >= _MOST_KINDS:
            return
        self._seen[kind] += 1
        if self._seen[kind] <= _MOST_MESSAGES:
            shape = shape_of(message, self._clean)
            known = self._now.get(kind)
            self._now[kind] = shape if known is None else merge(known, shape)

    def explained(self, kinds: Iterable[str], *, named: bool) -> str | None:
        """How messages of these kinds have changed, to explain a failure; `named`: which kind."""
        found = [
            f"{_shown(change.path)} ({change.difference})"
            + (f" of {kind}" if named and kind != UNNAMED else "")
            for kind in kinds
            for change in self._changes(kind)
        ]
        if not found:
            return None
        more = len(found) - _MOST_SAID
        rest = f" and at {more} more places" if more > 0 else ""
        return f"changed shape at {', '.join(found[:_MOST_SAID])}{rest} {_SINCE}"

    def notes(self) -> tuple[str, ...]:
        """Every change, for a reader."""
        found = [
            f"{'' if kind == UNNAMED else f'{kind}: '}{_shown(change.said)} ({_SINCE})"
            for kind in sorted(self._now)
            for change in self._changes(kind)
        ]
        more = len(found) - _MOST_NOTES
        return (*found[:_MOST_NOTES], *([f"{more} more changes of shape"] if more > 0 else ()))

    def write(self, folder: Path) -> None:
        """Leave the record there: what is now, and what was known before and did not come up."""
        kept = dict(self._before)
        for kind, shape in self._now.items():
            before = self._before.get(kind)
            kept[kind] = shape if before is None else carried(before, shape)
        kinds = dict(sorted(kept.items(), key=lambda item: item[0] not in self._now)[:_MOST_KINDS])
        told = {"version": 1, "kinds": {kind: to_json(shape) for kind, shape in kinds.items()}}
        try:
            ensure_private_dir(folder)
            write_atomic(folder / FILE, json.dumps(told, sort_keys=True))
        except StorageError as problem:
            raise SuiteError(problem.what, where=problem.where, hint=problem.hint) from problem

    def _changes(self, kind: str) -> tuple[ShapeChange, ...]:
        now, before = self._now.get(kind), self._before.get(kind)
        if before is None and kind == UNNAMED and self._before:
            # Events that lost their name, or carry it elsewhere, are held against all there were.
            before = reduce(merge, self._before.values())
        return changes(before, now) if before is not None and now is not None else ()


def _shown(said: str) -> str:
    """What names fields as a service calls them, fit for one line."""
    return one_line(said, _LONGEST_PLACE)


def _read(path: Path) -> dict[str, Shape]:
    """The record of an earlier run; empty when it is absent, broken or of another version."""
    try:
        with path.open("rb") as file:
            told = json.loads(file.read(_LARGEST_FILE))
        if told["version"] != 1:
            return {}
        return {str(kind): from_json(shape) for kind, shape in told["kinds"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}
