"""Writes a first loop file for a repository."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from loopctl.errors import Problem, UsageError
from loopctl.files import storage, write_atomic

if TYPE_CHECKING:
    from loopctl.authoring.init import Initial

_MODE = 0o644


def init(
    folder: Path,
    *,
    name: str | None = None,
    environment: str | None = None,
    force: bool = False,
    write: bool = True,
) -> Initial:
    """Read a repository and write `loops/NAME.yaml` there; nothing of the repository is executed.

    `environment` becomes the default one. `force` replaces a file that is there; with `write` False
    nothing is written at all. Raises `UsageError`, and `StorageError` where it cannot be written.
    """
    from loopctl.authoring.init import initial

    # The folder is asked for, and may be a link; links in it are not followed.
    made = initial(Path(os.path.abspath(folder)), name=name, environment=environment)  # noqa: PTH100
    if write:
        _refuse(made.path, force=force)
        with storage("make the folder", made.path.parent):
            made.path.parent.mkdir(exist_ok=True)
        write_atomic(made.path, made.text, _MODE)
    return made


def _refuse(path: Path, *, force: bool) -> None:
    if path.parent.is_symlink():
        hint = "make it a folder, or see the file with --stdout"
        raise UsageError("nothing was written", [Problem(f"{path.parent} is a link", hint=hint)])
    if os.path.lexists(path) and not force:
        hint = "--force replaces it, --name NAME writes another, --stdout only shows it"
        raise UsageError("nothing was written", [Problem(f"{path} is there already", hint=hint)])
