"""The bundle: what a remedy's command is given to find the cause with."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from loopctl.errors import StorageError
from loopctl.files import ensure_private_dir, remove_tree, write_atomic

LARGEST_FILE = 8 * 1024 * 1024
_KINDS = ("logs", "suites", "build")
_PIECE = 1024 * 1024


def write_bundle(
    folder: Path, run_folder: Path, cycle: int, documents: Mapping[str, bytes]
) -> None:
    """Fill `folder` anew with the `documents`, by name, and with copies of the cycle's files.

    The copies stand where `failure.json` says (`logs/1/chat.jsonl`): never links, as the command
    may write there. Of a file over 8 MiB the end is copied, whole lines behind one that says what
    was left out. Raises `StorageError`.
    """
    remove_tree(folder)
    ensure_private_dir(folder)
    for name, content in documents.items():
        write_atomic(folder / name, content)
    try:
        for kind in _KINDS:
            _copy_below(run_folder / kind / str(cycle), folder / kind / str(cycle))
    except OSError as error:
        raise StorageError(
            f"cannot fill the remedy's bundle: {error.strerror or error}",
            where=str(folder),
            hint="free some space on that file system, or choose another place: --runs-dir",
        ) from error


def _copy_below(origin: Path, copy: Path) -> None:
    for here, _, names in os.walk(origin):
        target = copy / Path(here).relative_to(origin)
        ensure_private_dir(target)
        for name in sorted(names):
            _copy(Path(here) / name, target / name)


def _copy(origin: Path, copy: Path) -> None:
    # What a test has left there may be a link out of the run, or a pipe that nobody writes to.
    if not stat.S_ISREG(origin.lstat().st_mode):
        return
    with origin.open("rb") as source, copy.open("xb") as target:
        copy.chmod(0o600)
        left = _size(source) - LARGEST_FILE
        if left > 0:
            target.write(_skip(source, left, as_json=copy.suffix == ".jsonl"))
        while piece := source.read(_PIECE):
            target.write(piece)


def _size(source: BinaryIO) -> int:
    return os.fstat(source.fileno()).st_size


def _skip(source: BinaryIO, count: int, *, as_json: bool) -> bytes:
    """Pass over so many bytes and the rest of that line; the line that says so.

    It counts lines, as the places in `failure.json` do.
    """
    lines = 0
    while count > 0 and (piece := source.read(min(_PIECE, count))):
        lines += piece.count(b"\n")
        count -= len(piece)
    lines += source.readline(_PIECE).endswith(b"\n")
    said = f"the first {lines} lines ({source.tell()} bytes) were left out here"
    return f'{{"loopctl": "{said}"}}\n'.encode() if as_json else f"[loopctl: {said}]\n".encode()
