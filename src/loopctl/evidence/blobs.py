"""Names for content: git's blob hash for files, one digest for a whole tree.

Git's own hash is used so that `git ls-tree` and `git hash-object` give a person the same names.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from loopctl.model.artifact import SourceFile

LINK = "120000"
EXECUTABLE = "100755"
REGULAR = "100644"

_CHUNK = 1 << 20


def blob_of(path: Path) -> tuple[str, str]:
    """The (blob hash, mode) git would give the file or link at `path`.

    Raises `OSError`, also for anything else: a pipe, a socket, a device.
    """
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        target = os.fsencode(path.readlink())
        return _hash(len(target), [target]), LINK
    if not stat.S_ISREG(status.st_mode):
        # Opening a pipe would wait for a writer, for ever.
        raise OSError(errno.EINVAL, f"{path.name} is neither a file nor a link")
    mode = EXECUTABLE if status.st_mode & stat.S_IXUSR else REGULAR
    with path.open("rb") as content:
        return _hash(status.st_size, iter(lambda: content.read(_CHUNK), b"")), mode


def _hash(size: int, chunks: Iterable[bytes]) -> str:
    digest = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()


def tree_digest(files: Iterable[SourceFile]) -> str:
    """`sha256:…` over path, mode and blob of every file, in the order of their paths."""
    digest = hashlib.sha256()
    for file in sorted(files, key=lambda f: f.path):
        digest.update(f"{file.mode} {file.blob} {file.path}\0".encode("utf-8", "surrogateescape"))
    return f"sha256:{digest.hexdigest()}"


def walk(folder: Path) -> Iterable[str]:
    """Every file and link below `folder`, as relative paths; links are never followed."""
    for here, folders, files in os.walk(folder, followlinks=False):
        folders.sort()
        links = [name for name in folders if (Path(here) / name).is_symlink()]
        for name in sorted(files + links):
            yield str((Path(here) / name).relative_to(folder))


def read_tree(folder: Path) -> tuple[SourceFile, ...]:
    """All that is in a folder, hashed; raises `OSError`."""
    found = []
    for path in walk(folder):
        blob, mode = blob_of(folder / path)
        found.append(SourceFile(path, blob, mode))
    return tuple(found)
