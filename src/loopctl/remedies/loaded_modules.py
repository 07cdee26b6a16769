"""What a test process loads from the folders of its tests, and what of it is compiled."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from loopctl.ports.remedy import RemedyError

_MODULES = (".py", ".pyc", ".so", ".pyd")
_COMPILED = "__pycache__"

_NOT_FORGOTTEN = frozenset({".git", ".loopctl", ".venv", "node_modules"})
"""Nobody's source, and read by no comparison either."""

_NOT_SEARCHED = frozenset({_COMPILED, "node_modules", "build", "dist", "venv"})
"""Besides hidden folders; pytest collects nothing there (its `norecursedirs`)."""


def loaded_from(folder: Path) -> Iterator[str]:
    """The files below `folder`, relative to it, that tests load from there without being named.

    That is every module and link directly in it, the beginning of every package directly in it,
    the entry points beside them, which may name plugins, and each `conftest.py` below.
    """
    for here, folders, files in os.walk(folder):
        place = Path(here)
        depth = len(place.relative_to(folder).parts)
        if depth == 0:
            links = (name for name in (*folders, *files) if (place / name).is_symlink())
            yield from (name for name in links if not name.endswith(_MODULES))
        folders[:] = [name for name in folders if _is_searched(place / name)]
        for name in files:
            if _is_loaded(name, depth):
                yield str((place / name).relative_to(folder))


def _is_loaded(name: str, depth: int) -> bool:
    if depth == 0 and name.endswith(_MODULES):
        return True
    if depth == 1 and (name == "entry_points.txt" or name.partition(".")[0] == "__init__"):
        return True
    return name == "conftest.py"


def _is_searched(folder: Path) -> bool:
    if folder.name in _NOT_SEARCHED or folder.name.startswith("."):
        return False
    return not (folder / "pyvenv.cfg").exists()


def forget_compiled(folder: Path, own: frozenset[Path]) -> None:
    """Remove what Python compiled below `folder`; it compiles it again from the source.

    Python believes a compiled module whose header names the source's time and size
    (docs.python.org, "Cached bytecode invalidation"), and both are easily kept: its content alone
    would be the remedy's. `own` are folders of loopctl's, passed over. Raises `RemedyError`.
    """
    for here, folders, files in os.walk(folder, onerror=_tell_ours):
        place = Path(here)
        if _COMPILED in folders and (place / _COMPILED).is_symlink():
            _remove(place / _COMPILED)
        if place.name == _COMPILED:
            for name in files:
                if name.endswith(".pyc"):
                    _remove(place / name)
        folders[:] = [n for n in folders if n not in _NOT_FORGOTTEN and place / n not in own]


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        error.filename = str(path.parent)
        _tell_ours(error)


def _tell_ours(error: OSError) -> None:
    """A folder that another user closes to us was closed to the remedy as well."""
    try:
        if Path(error.filename).stat().st_uid != os.getuid():
            return
    except FileNotFoundError:
        return
    except OSError:
        pass
    raise RemedyError(f"cannot remove what is compiled: {error.strerror}", where=error.filename)
