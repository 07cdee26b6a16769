"""What a container has changed of the files that its image holds."""

from __future__ import annotations

import stat
from collections.abc import Iterable
from typing import Final

from loopctl.engine.connection import Engine
from loopctl.engine.errors import NotInEngineError
from loopctl.process import Stop

_MODIFIED: Final = 0
_DELETED: Final = 2
# Go's os.FileMode has a folder's bit where no stat(2) has it.
_GO_FOLDER: Final = 1 << 31


def changed_files(
    engine: Engine, container: str, roots: Iterable[str], stop: Stop
) -> tuple[str, ...]:
    """The image's files below `roots` that were changed or deleted, as `/app/main.py is deleted`.

    What the container has added is not among them. Raises `EngineError`.
    """
    wanted = tuple(root.rstrip("/") for root in roots)
    with engine.api(stop) as api:
        changes = [
            (str(each["Path"]), int(each["Kind"]))
            for each in api.diff(container) or ()
            if _is_below(str(each["Path"]), wanted)
        ]
    found: list[str] = []
    for path, kind in sorted(changes):
        if kind == _DELETED:
            found.append(f"{path} is deleted")
        elif kind == _MODIFIED and not _is_folder(engine, container, path, changes, stop):
            found.append(f"{path} is changed")
    return tuple(found)


def _is_below(path: str, roots: tuple[str, ...]) -> bool:
    return any(path == root or path.startswith(f"{root}/") for root in roots)


def _is_folder(
    engine: Engine, container: str, path: str, changes: list[tuple[str, int]], stop: Stop
) -> bool:
    """A folder is listed as changed for whatever was added to it."""
    if any(other.startswith(f"{path}/") for other, _ in changes):
        return True
    try:
        with engine.api(stop) as api:
            content, found = api.get_archive(container, path)
            content.close()
    except NotInEngineError:
        return False
    mode = int(found.get("mode", 0))
    return bool(mode & _GO_FOLDER) or stat.S_ISDIR(mode)
