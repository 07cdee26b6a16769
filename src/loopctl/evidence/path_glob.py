"""Globs over relative paths, with `**`, as `PurePath.full_match` of Python 3.13 has them."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

_WILD = frozenset("*?[")


def covers(glob: str, path: str) -> bool:
    """Whether a glob names a path; both are relative to the same folder, divided by `/`.

    `*`, `?` and `[…]` stay within one name, `**` stands for any number of folders and, at the
    end, for all that is below. A last name without wildcards also names all that is below it.
    """
    names = [name for name in glob.split("/") if name not in ("", ".")]
    if not names:
        return False
    if glob.endswith("/") or _WILD.isdisjoint(names[-1]):
        names.append("**")
    return _matches(names, path.split("/"))


def _matches(names: Sequence[str], parts: Sequence[str]) -> bool:
    """Kept linear in memory and quadratic in time: each `**` restarts only behind itself."""
    reached = {0}
    for name in names:
        if name == "**":
            reached = set(range(min(reached), len(parts) + 1))
        else:
            reached = {at + 1 for at in reached if at < len(parts) and fnmatchcase(parts[at], name)}
        if not reached:
            return False
    return len(parts) in reached
