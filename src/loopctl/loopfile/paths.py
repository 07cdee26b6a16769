"""Paths as a loop file writes them: relative to the file that wrote them, links not followed."""

from __future__ import annotations

import os
from pathlib import Path

from loopctl.loopfile.nodes import Scalar


def absolute(path: Path) -> Path:
    """The path without `.` and `..`; links stay, so that it reads as it was written."""
    return Path(os.path.abspath(path))  # noqa: PTH100  (resolve would follow links)


def written_path(scalar: Scalar) -> Path:
    """The absolute path that a scalar names."""
    return absolute(scalar.mark.folder / scalar.text)


def glob_from_root(scalar: Scalar, root: Path) -> str:
    """A glob, written relative to its file, as it reads from the project root.

    It starts with `..` when it leads out of there. A slash at its end stays.
    """
    glob = os.path.relpath(written_path(scalar), root)
    return f"{glob}/" if scalar.text.endswith("/") else glob


def is_file(path: Path) -> bool:
    """Whether there is a regular file; a name that no file can have is none."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def folder_fault(path: Path) -> str | None:
    """What keeps a path from being a folder that can be read; None when nothing does."""
    try:
        if not path.exists():
            return "does not exist"
        if not path.is_dir():
            return "is not a folder"
    except (OSError, ValueError) as error:
        return f"cannot be read: {error.strerror if isinstance(error, OSError) else error}"
    return None if os.access(path, os.R_OK | os.X_OK) else "cannot be read: permission denied"


def is_inside(path: Path, root: Path) -> bool:
    """Whether a path lies in `root` once every link is followed."""
    real = Path(os.path.realpath(path))
    return real.is_relative_to(os.path.realpath(root))


def has_files(folder: Path) -> bool:
    """Whether any file is in the folder or below it."""
    return any(files for _, _, files in os.walk(folder))
