"""The process that speaks to a history by fsspec: `python -m … FOLDER`, one question a process.

`FOLDER/asked.json` says what is wanted, `answer.json` there what came of it. The only module that
lets fsspec read and write. Credentials are found as each filesystem finds them: its environment
variables, its files, fsspec's own configuration.
"""

from __future__ import annotations

import contextlib
import errno
import json
import secrets
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import fsspec

from loopctl.inert import one_line
from loopctl.journal.history_codec import KEY_BYTES, LARGEST, decoded, is_record

KEPT: Final = 200
_PAUSES_S: Final = (0.3, 1.0, None)
"""After each try."""

_FOLDERS: Final = frozenset(
    (
        *("file", "local", "memory", "sftp", "ssh", "ftp", "smb", "hdfs", "arrow_hdfs"),
        *("webhdfs", "webdav", "dbfs", "dropbox", "box"),
    )
)
"""Where a folder must be made before a file can be; elsewhere a slip would make a bucket."""

_PASSING: Final = frozenset(
    (None, errno.EIO, errno.EBUSY, errno.EAGAIN, errno.ETIMEDOUT, errno.ECONNRESET, errno.EPIPE)
)
"""What another try may mend; filesystems of networks give their own numbers, or none."""

T = TypeVar("T")


class Records:
    """Objects below a URL, by their names there."""

    def __init__(self, url: str) -> None:
        self._scheme = url.partition("://")[0]
        self._fs, root = fsspec.core.url_to_fs(url)
        self._root = root.rstrip("/")

    def newest(self, folder: str, limit: int) -> list[tuple[str, bytes]]:
        """The newest `limit` that can be understood, the newest first."""
        names = self._names(folder)[: limit * 2]
        found: list[tuple[str, bytes]] = []
        # Side by side where the filesystem can; no more than are wanted.
        for start in range(0, len(names), limit):
            found += self.read(folder, names[start : start + limit])
            if len(found) >= limit:
                break
        return found[:limit]

    def read(self, folder: str, names: list[str]) -> list[tuple[str, bytes]]:
        """Those of these names that are there and can be understood, in that order."""
        paths = {name: self._path(f"{folder}/{name}") for name in names if is_record(name)}
        read = (
            _tried(lambda: self._fs.cat(list(paths.values()), on_error="return")) if paths else {}
        )
        contents = {_plain(path): data for path, data in read.items()}
        found = []
        for name, path in paths.items():
            data = contents.get(_plain(path))
            if isinstance(data, bytes) and decoded(data, f"{folder}/{name}") is not None:
                found.append((f"{folder}/{name}", data))
            elif isinstance(data, Exception) and not isinstance(data, FileNotFoundError):
                raise data
        return found

    def put(self, name: str, data: bytes, keep: frozenset[str]) -> None:
        """Write it; remove the oldest beyond `KEPT`, but for those to `keep`."""
        if not self._make(name, data):
            # Its run was gone on with, or the answer to an earlier try was lost.
            _tried(lambda: self._fs.pipe_file(self._path(name), data))
        folder = name.rpartition("/")[0]
        for old in self._names(folder)[KEPT:]:
            if old not in keep:
                # Another may have removed it; one that may not leaves it to who may.
                with contextlib.suppress(OSError, NotImplementedError):
                    self._fs.rm_file(self._path(f"{folder}/{old}"))

    def key(self, name: str) -> bytes:
        """The key, made if there is none."""
        with contextlib.suppress(FileNotFoundError):
            return self._whole_key(name)
        self._make(name, secrets.token_bytes(KEY_BYTES))
        # Whoever was first, or, where nothing tells that, whoever was last.
        return self._whole_key(name)

    def _whole_key(self, name: str) -> bytes:
        """The key, once whoever makes it has written it."""
        for pause in _PAUSES_S:
            found = bytes(_tried(lambda: self._fs.cat_file(self._path(name))))
            if pause is None or len(found) >= KEY_BYTES:
                return found
            time.sleep(pause)
        raise AssertionError("the last look returns")

    def _make(self, name: str, data: bytes) -> bool:
        """Write what is not there yet; false where it is."""
        path = self._path(name)
        if self._scheme in _FOLDERS:
            _tried(lambda: self._fs.makedirs(path.rpartition("/")[0], exist_ok=True))
        try:
            _tried(lambda: self._created(path, data))
        except FileExistsError:
            return False
        return True

    def _created(self, path: str, data: bytes) -> None:
        if self._scheme in ("file", "local"):
            with self._fs.open(path, "xb") as file:
                file.write(data)
        else:
            self._fs.pipe_file(path, data, mode="create")

    def _names(self, folder: str) -> list[str]:
        try:
            listed = _tried(lambda: self._fs.ls(self._path(folder), detail=True))
        except FileNotFoundError:
            return []
        names = [
            str(each["name"]).rstrip("/").rpartition("/")[2]
            for each in listed
            if (each.get("size") or 0) <= LARGEST
        ]
        return sorted(filter(is_record, names), reverse=True)

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"


def _plain(path: str) -> str:
    # Filesystems give back paths with or without the slash that they were asked with.
    return path.strip("/")


def _tried(call: Callable[[], T]) -> T:
    for pause in _PAUSES_S:
        try:
            return call()
        except OSError as error:
            if pause is None or not _may_pass(error):
                raise
            time.sleep(pause)
    raise AssertionError("the last try returns or raises")


def _may_pass(error: OSError) -> bool:
    if isinstance(error, FileNotFoundError | FileExistsError | PermissionError):
        return False
    return isinstance(error, ConnectionError | TimeoutError) or error.errno in _PASSING


def _answer(asked: Mapping[str, Any], folder: Path) -> Mapping[str, object]:
    records = Records(asked["url"])
    match asked["verb"]:
        case "recent":
            return _written(records.newest(asked["folder"], asked["limit"]), folder)
        case "named":
            return _written(records.read(asked["folder"], asked["names"]), folder)
        case "put":
            data = (folder / "data").read_bytes()
            records.put(asked["name"], data, frozenset(asked["keep"]))
        case _:
            (folder / asked["name"]).write_bytes(records.key(asked["name"]))
    return {}


def _written(found: list[tuple[str, bytes]], folder: Path) -> Mapping[str, object]:
    for number, (_, data) in enumerate(found):
        (folder / str(number)).write_bytes(data)
    return {"names": [name for name, _ in found]}


@contextlib.contextmanager
def _told(answer: dict[str, object]) -> Iterator[None]:
    """Whatever a filesystem raises, in words: there are too many kinds to name."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - of any library
        said = one_line(str(error), 300)
        kind = type(error).__name__
        what = f"cannot be had: {kind}: {said}" if said else f"cannot be had: {kind}"
        answer["error"] = {"what": f"the history {what}", "hint": _hint(error)}


def _hint(error: Exception) -> str | None:
    match error:
        case PermissionError():
            return "give whoever runs this the right to list, read and write there"
        case NotImplementedError():
            return "that filesystem cannot be written: name another in `history`"
        case ImportError():
            return "install what it names beside loopctl"
        case FileNotFoundError():
            return "is there such a place? loopctl makes folders, and no buckets"
        case _:
            return None


def main(folder: Path) -> None:
    """Answer the question in that folder."""
    answer: dict[str, object] = {}
    with _told(answer):
        answer |= _answer(json.loads((folder / "asked.json").read_text()), folder)
    (folder / "answer.json").write_text(json.dumps(answer))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
