"""Finds loop files by name, and the project they belong to."""

from __future__ import annotations

import os
from difflib import SequenceMatcher
from pathlib import Path

from loopctl.errors import Problem, UsageError
from loopctl.loopfile.marks import quoted, shown_path
from loopctl.loopfile.paths import absolute, is_file

_SUFFIXES = (".yaml", ".yml")


def find_loop(name_or_path: str, start: Path) -> Path:
    """The loop file of that name, `loops/NAME.yaml` found upwards from `start`, or at that path.

    Relative paths are relative to `start`. Raises `UsageError` with the names that exist.
    """
    if "\0" in name_or_path or not name_or_path:
        raise UsageError("no loop is named", [Problem(f"{quoted(name_or_path)} names no loop")])
    start = absolute(start)
    if "/" in name_or_path or name_or_path.endswith(_SUFFIXES):
        path = absolute(start / name_or_path)
        if is_file(path):
            return path
        raise _missing(f"there is no loop file {quoted(shown_path(path))}", path.stem, start)
    for folder in (start, *start.parents):
        path = folder / "loops" / f"{name_or_path}.yaml"
        if is_file(path):
            return path
    raise _missing(f"there is no loop {quoted(name_or_path)}", name_or_path, start)


def loop_names(start: Path) -> tuple[str, ...]:
    """The names of all loops found upwards from `start`, in order of the alphabet."""
    names: set[str] = set()
    for folder in (start, *start.parents):
        try:
            found = [entry.name for entry in os.scandir(folder / "loops") if entry.is_file()]
        except OSError:
            continue
        names.update(name.removesuffix(".yaml") for name in found if name.endswith(".yaml"))
    return tuple(sorted(names))


def project_root(loop_file: Path) -> Path:
    """The git top level above the file, else the parent of `loops/`, else the file's folder."""
    path = absolute(loop_file)
    for folder in path.parents:
        if (folder / ".git").exists():
            return folder
    return path.parent.parent if path.parent.name == "loops" else path.parent


def _missing(message: str, wanted: str, start: Path) -> UsageError:
    names = sorted(loop_names(start), key=lambda name: -_likeness(wanted, name))
    if names:
        hint = f"these exist, nearest first: {', '.join(quoted(name)[1:-1] for name in names)}"
    else:
        hint = "there is no folder loops/ with loop files from here upwards; the README has one"
    return UsageError("no such loop", [Problem(message, hint=hint)])


def _likeness(wanted: str, name: str) -> float:
    return SequenceMatcher(None, wanted[:100], name).ratio()
