"""Folders for what may be in no file that is kept: output not yet redacted, tokens."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

_PREFIX = "loopctl-spool-"


@contextlib.contextmanager
def private_folder() -> Iterator[Path]:
    """A folder that only this user can read, gone afterwards.

    What a loopctl that was killed has left of its own is removed, too.
    """
    _sweep(Path(tempfile.gettempdir()))
    folder, claim = _claimed()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(claim)


def _claimed() -> tuple[Path, int]:
    """A new folder, and the open file whose lock says that it has an owner."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        try:
            claim = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            continue  # swept by another loopctl before it was opened
        # Where the file system knows no locks, nobody else can sweep either.
        with contextlib.suppress(OSError):
            fcntl.flock(claim, fcntl.LOCK_EX)
        if folder.exists():
            return folder, claim
        os.close(claim)  # swept by another loopctl before it was locked


def _sweep(place: Path) -> None:
    """Remove the folders whose owner has died: the kernel has taken its lock away."""
    for folder in place.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            claim = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                if os.fstat(claim).st_uid == os.getuid():
                    fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(claim)
