"""Whether a running revision still holds what its artifact holds."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from loopctl.process import Stop

_NAMED: Final = 5
_CHUNK: Final = 1024 * 1024


def difference(artifact: Path, running: Path, stop: Stop) -> str | None:
    """None while every file of the artifact stands unchanged in `running`, else what differs.

    Compared are content, the executable bit and where links point; what the service has added
    (caches, data) is its own business. Raises `OSError` when the artifact cannot be read.
    """
    differing: list[str] = []
    for file in _files(artifact):
        stop.remaining(0)
        name = file.relative_to(artifact)
        if (how := _compare(file, running / name)) is not None:
            differing.append(f"{name} {how}")
    if not differing:
        return None
    shown = ", ".join(sorted(differing)[:_NAMED])
    more = f" and {len(differing) - _NAMED} more" if len(differing) > _NAMED else ""
    return f"{shown}{more}"


def _files(folder: Path) -> Iterator[Path]:
    """All files and links below a folder; a folder that cannot be read is an error."""

    def refuse(error: OSError) -> None:
        raise error

    for parent, folders, files in os.walk(folder, onerror=refuse):
        links = (name for name in folders if (Path(parent) / name).is_symlink())
        yield from (Path(parent) / name for name in (*files, *links))


def _compare(wanted: Path, found: Path) -> str | None:
    want = wanted.lstat()
    try:
        have = found.lstat()
    except OSError:
        return "is missing"
    if stat.S_IFMT(want.st_mode) != stat.S_IFMT(have.st_mode):
        return "is of another kind"
    if stat.S_ISLNK(want.st_mode):
        return None if wanted.readlink() == found.readlink() else "points elsewhere"
    if (want.st_mode ^ have.st_mode) & 0o111:
        return "has another mode"
    if want.st_size != have.st_size or not _same_bytes(wanted, found):
        return "has other content"
    return None


def _same_bytes(one: Path, other: Path) -> bool:
    try:
        with one.open("rb") as left, other.open("rb") as right:
            while chunk := left.read(_CHUNK):
                if right.read(_CHUNK) != chunk:
                    return False
    except PermissionError:
        # Readable when it was copied: somebody has changed it since.
        return False
    return True
