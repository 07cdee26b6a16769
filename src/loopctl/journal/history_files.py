"""The history of runs in plain files: `<root>/<loop>/<environment>/<run_id>.json`.

Written whole or not at all, private to the user. The newest 100 of each environment are kept, and
the green ones that the newest of them names.
"""

from __future__ import annotations

import contextlib
import functools
import os
import secrets
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from loopctl.errors import Stopped, StorageError
from loopctl.files import ensure_private_dir, storage, write_atomic
from loopctl.journal.earlier_runs import heard
from loopctl.journal.history_codec import (
    KEY,
    KEY_BYTES,
    LARGEST,
    decoded,
    encoded,
    is_place,
    is_record,
    name_of,
)
from loopctl.ports.history import History, HistoryError, RunRecord
from loopctl.process import Stop

FOLDER: Final = "history"
KEPT: Final = 100


class FileHistory(History):
    """Records below `root`; `FOLDER` in the runs folder unless the loop file names another."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def recent(self, loop: str, environment: str, limit: int, stop: Stop) -> Sequence[RunRecord]:
        """See `History`. A file that is no record of that run is passed over."""
        found: list[RunRecord] = []
        if not is_place(loop, environment):
            return found
        for path in self._paths(self._root / loop / environment):
            if len(found) >= limit:
                break
            stop.remaining(0)
            record = _read(path, self._root)
            if record is not None:
                found.append(record)
        return found

    def named(
        self, loop: str, environment: str, run_ids: Sequence[str], stop: Stop
    ) -> Sequence[RunRecord]:
        """See `History`."""
        if not is_place(loop, environment):
            return []
        found = []
        for name in (f"{run_id}.json" for run_id in run_ids):
            stop.remaining(0)
            path = self._root / loop / environment / name
            record = _read(path, self._root) if is_record(name) else None
            if record is not None:
                found.append(record)
        return found

    def put(self, record: RunRecord, stop: Stop) -> None:
        """See `History`. Records beyond the newest 100 are removed, but for the green ones."""
        path = self._root / name_of(record)
        data = encoded(record, str(path))
        stop.remaining(0)
        greens = {f"{run_id}.json" for run_id in record.greens}
        with _told():
            ensure_private_dir(path.parent)
            write_atomic(path, data)
            for old in self._paths(path.parent)[KEPT:]:
                if old.name not in greens:
                    with storage("remove the old record", old):
                        old.unlink(missing_ok=True)

    def key(self, stop: Stop) -> bytes:
        """See `History`."""
        stop.remaining(0)
        path = self._root / KEY
        with _told():
            if (known := _key(path)) is not None:
                return known
            ensure_private_dir(self._root)
            _make_key(path)
            made = _key(path)
        if made is None:
            what = f"the key of the history has less than {KEY_BYTES} bytes"
            raise HistoryError(what, where=str(path), hint="remove it: another one is made")
        return made

    @staticmethod
    def _paths(folder: Path) -> Sequence[Path]:
        """The records there, the newest first; other files are left alone."""
        try:
            names = [name for name in os.listdir(folder) if is_record(name)]  # noqa: PTH208
        except FileNotFoundError:
            return []
        except OSError as error:
            what = f"cannot read the history: {error.strerror}"
            raise HistoryError(what, where=str(folder), hint="ls -ld shows who may") from error
        return [folder / name for name in sorted(names, reverse=True)]


def keep_record(
    history: History, record: RunRecord, stop: Stop, *, again: bool = False
) -> tuple[str, ...]:
    """Keep what a run tells later ones; in words, what kept it from that.

    A run that tells nothing must not push out one that does. `again`: one of it was kept before.
    """
    if not (record.suites or record.findings or record.remedies or record.told or again):
        return ()
    try:
        heard(functools.partial(history.put, record), stop)
    except HistoryError as error:
        where = f" ({error.where})" if error.where else ""
        return (f"{_NOT_KEPT}: {error.what}{where}",)
    except Stopped as stopped:
        return (f"{_NOT_KEPT}: ended by {stopped.by}",)
    return ()


_NOT_KEPT: Final = "what this run tells was not kept for later runs"


@contextlib.contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except StorageError as error:
        raise HistoryError(error.what, where=error.where, hint=error.hint) from error


def _key(path: Path) -> bytes | None:
    with storage("read the key of the history", path):
        try:
            found = path.read_bytes()
        except FileNotFoundError:
            return None
    return found if len(found) >= KEY_BYTES else None


def _make_key(path: Path) -> None:
    """Make it whole, unless somebody else has."""
    scratch = path.with_name(f".loopctl-{secrets.token_hex(8)}.tmp")
    write_atomic(scratch, secrets.token_bytes(KEY_BYTES))
    with storage("make the key of the history", path):
        try:
            path.hardlink_to(scratch)
        except FileExistsError:
            pass
        finally:
            scratch.unlink(missing_ok=True)


def _read(path: Path, root: Path) -> RunRecord | None:
    with contextlib.suppress(OSError, ValueError):
        return decoded(_content(path), path.relative_to(root).as_posix())
    return None


def _content(path: Path) -> bytes:
    """The file's bytes; nothing that would block or has no end."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_size > LARGEST:
            raise ValueError("no file of a record")
        return file.read(LARGEST)
