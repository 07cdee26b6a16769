"""Places in the checkout of a CI job, as its annotations name them."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_PLACE: Final = re.compile(
    r"(?P<file>[^\x00-\x1f:]{1,400}):(?P<line>\d{1,7})(?::(?P<column>\d{1,5}))?(?:\D.*)?", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Place:
    """A file, relative to the repository's root, and where in it, from 1."""

    file: str
    line: int | None = None
    column: int | None = None


@dataclass(frozen=True, slots=True)
class Checkout:
    """The repository that the job checked out at `root`; nothing outside of it is a place."""

    root: Path

    def place(self, text: str, *bases: Path) -> Place | None:
        """The place that `FILE`, `FILE:LINE` or `FILE:LINE:COLUMN …` names, if the file is there.

        A relative one is looked for from each of `bases` in turn, then from the root.
        """
        named = _PLACE.fullmatch(text)
        name = named["file"] if named else text
        for base in (*bases, self.root):
            file = self._file(base, name)
            if file is not None:
                line = int(named["line"]) if named else None
                column = int(named["column"]) if named and named["column"] else None
                return Place(file, line or None, column or None)
        return None

    def _file(self, base: Path, name: str) -> str | None:
        root = os.path.normpath(self.root)
        path = os.path.normpath(base / name)
        try:
            if os.path.commonpath([root, path]) != root:
                return None
            return _below_repository(Path(path), Path(root)) if Path(path).is_file() else None
        except (OSError, ValueError):
            return None


def _below_repository(path: Path, root: Path) -> str:
    """Relative to the repository that holds it: a job may check out several below its root."""
    for folder in path.parents:
        if folder == root or (folder / ".git").is_dir():
            return path.relative_to(folder).as_posix()
    return path.name
