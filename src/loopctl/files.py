"""Files that are whole or absent, private to the user, and clear about what went wrong."""

import contextlib
import errno
import fcntl
import os
import secrets
import stat
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from loopctl.errors import LockedError, StorageError

_HINTS: Final = {
    errno.ENOSPC: "free some space on that file system, or choose another place",
    errno.EDQUOT: "your disk quota there is used up: free some space, or choose another place",
    errno.EFBIG: "the file reached the size limit of this process (ulimit -f): raise it",
    errno.EACCES: "give yourself permission (ls -ld shows who has it), or choose another place",
    errno.EPERM: "the file is protected or owned by someone else: choose another place",
    errno.EROFS: "that file system is mounted read-only: choose another place",
    errno.EIO: "the device reports a fault: check it, and choose another place meanwhile",
    errno.ENOTDIR: "a part of the path is a file, not a folder: choose another place",
    errno.EISDIR: "a folder stands where a file belongs: move it away",
    errno.ENOENT: "it does not exist: check the path",
    errno.EMFILE: "too many files are open in this process (ulimit -n): raise the limit",
    errno.ENAMETOOLONG: "shorten the name",
}


@contextlib.contextmanager
def storage(doing: str, path: Path) -> Iterator[None]:
    """Turns an `OSError` into a `StorageError` that names doing, path, reason and what to do."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        hint = _HINTS.get(error.errno or 0, "check the path and the device it is on")
        raise StorageError(f"cannot {doing}: {reason}", where=str(path), hint=hint) from error


def write_atomic(path: Path, data: bytes | str, mode: int = 0o600) -> None:
    """Writes a file so that a reader, or a crash, sees the old content or the new, never a part.

    Text becomes UTF-8. File and folder are synced. Raises `StorageError` and leaves what was there
    before; also when path is something else than a file, which a rename would destroy.
    """
    content = data.encode("utf-8", "surrogateescape") if isinstance(data, str) else data
    scratch = path.parent / f".loopctl-{secrets.token_hex(8)}.tmp"
    with storage("write the file", path):
        _refuse_special(path)
        try:
            _write_synced(scratch, content, mode)
            scratch.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                scratch.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)


def ensure_private_dir(path: Path) -> None:
    """Makes a folder, with its parents, that only the user may enter (0700).

    A folder that is there already is closed to others; its parents are left as they are.
    Raises `StorageError`, also if the folder belongs to someone else.
    """
    with storage("make the folder", path):
        missing = [part for part in (path, *path.parents) if not part.exists()]
        for part in reversed(missing):
            # Two processes may start at once: whoever is second finds the folder made.
            part.mkdir(mode=0o700, exist_ok=True)
        found = path.stat().st_mode
        if not stat.S_ISDIR(found):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        if stat.S_IMODE(found) != 0o700:
            path.chmod(0o700)


def remove_tree(path: Path) -> None:
    """Removes a file or a folder with all that is in it; nothing happens if there is none.

    Links are removed, never followed. Folders without permissions are opened first. Raises
    `StorageError`, also for `..`; what could be removed until then is gone.
    """
    with storage("remove", path):
        if path.name in ("", ".."):
            raise OSError(errno.EINVAL, "the path does not end in a name")
        try:
            parent = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        try:
            _remove_entry(path.name, parent)
        except RecursionError:
            raise OSError(errno.ELOOP, "folders are nested too deeply") from None
        finally:
            os.close(parent)


class AppendFile:
    """A file of lines that only grows: journal or log, 0600, one `write` per record.

    After a failed write the file ends with its last whole record again. A torn last line, which
    a power cut may leave, also one of zeros, is cut off on opening, because the next record would
    be glued to it; `torn` is its length in bytes. One process may have it open; threads may share
    it.
    """

    def __init__(self, path: Path) -> None:
        """Opens or makes the file; raises `StorageError`, and `LockedError` if a process has it."""
        self.path: Final = path
        self._lock: Final = threading.Lock()
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        with storage("open the file", path):
            self._fd = os.open(path, flags, 0o600)
            try:
                _claim(self._fd, path)
                self.torn: Final = _cut_torn_line(self._fd)
                self._torn_at: int | None = None
            except BaseException:
                os.close(self._fd)
                raise
        # Who forgets it keeps neither the descriptor nor the claim on the file.
        self._let_go: Final = weakref.finalize(self, os.close, self._fd)

    def append(self, record: bytes) -> None:
        """Adds a record and a line feed; raises `StorageError` if not all of it was written.

        Raises `ValueError` for a record with a line feed inside, which would be two.
        """
        if b"\n" in record:
            raise ValueError("a record must be one line")
        with self._lock, storage("append to the file", self.path):
            self._drop_torn_record()
            self._torn_at = os.fstat(self._fd).st_size
            try:
                _write_all(self._fd, record + b"\n")
            except BaseException:
                self._drop_torn_record()
                raise
            self._torn_at = None

    def sync(self) -> None:
        """Returns once all records are on the device; raises `StorageError`.

        What is written to a file that somebody has deleted is lost, so that raises too.
        """
        with storage("sync the file", self.path):
            os.fsync(self._fd)
            if os.fstat(self._fd).st_nlink == 0:
                raise OSError(errno.ENOENT, "it was deleted")

    def close(self) -> None:
        """Closes the file; a second time does nothing."""
        with self._lock:
            self._fd = -1
            self._let_go()

    def _drop_torn_record(self) -> None:
        # If this fails too, the next append tries again before it writes.
        if self._torn_at is not None and os.fstat(self._fd).st_size > self._torn_at:
            os.ftruncate(self._fd, self._torn_at)
        self._torn_at = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


_BLOCK: Final = 64 * 1024


def is_being_written(path: Path) -> bool:
    """Whether a process has the file open as an `AppendFile`; False also where there is none."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False


def _claim(descriptor: int, path: Path) -> None:
    # Held until the descriptor is closed, by whatever death of the process: a process that was
    # only suspended keeps it, so that nobody goes on with its file.
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise LockedError(
            "another process of loopctl is writing to it",
            where=str(path),
            hint="wait for that run, or end its process; loopctl watch shows it",
        ) from None


def _write_synced(scratch: Path, content: bytes, mode: int) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(scratch, flags, 0o600)
    try:
        _write_all(descriptor, content)
        os.fchmod(descriptor, mode)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, content: bytes) -> None:
    """One write as a rule; after a short one another, which finishes or tells the reason."""
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _refuse_special(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        found = path.lstat().st_mode
        if stat.S_ISDIR(found):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not (stat.S_ISREG(found) or stat.S_ISLNK(found)):
            raise OSError(errno.EINVAL, "a device, pipe or socket stands where a file belongs")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _cut_torn_line(descriptor: int) -> int:
    """Truncates a file after its last whole line; gives how many bytes that cost."""
    size = os.fstat(descriptor).st_size
    whole = _line_start(descriptor, size)
    # A power cut may leave the length of a line, and zeros where its bytes were to be.
    while whole and b"\0" in _pread(descriptor, start := _line_start(descriptor, whole - 1), whole):
        whole = start
    if whole < size:
        os.ftruncate(descriptor, whole)
    return size - whole


def _line_start(descriptor: int, end: int) -> int:
    """Where the line begins that goes on until `end`: behind the last line feed before that."""
    while end > 0:
        start = max(end - _BLOCK, 0)
        line_feed = _pread(descriptor, start, end).rfind(b"\n")
        if line_feed >= 0:
            return start + line_feed + 1
        end = start
    return 0


def _pread(descriptor: int, start: int, end: int) -> bytes:
    return os.pread(descriptor, end - start, start)


def _remove_entry(name: str, parent: int) -> None:
    try:
        found = os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(found.st_mode):
        os.unlink(name, dir_fd=parent)
        return
    folder = _open_folder(name, parent)
    try:
        for entry in os.listdir(folder):  # noqa: PTH208 - by descriptor: no link gets between
            _remove_entry(entry, folder)
    finally:
        os.close(folder)
    os.rmdir(name, dir_fd=parent)


def _open_folder(name: str, parent: int) -> int:
    """Opens a folder, no link, and makes sure that its entries can be removed."""
    no_link = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    # O_PATH needs no permission on the folder itself, which may be closed even to its owner;
    # chmod does not take such a descriptor, but follows the link to it in /proc.
    handle = os.open(name, os.O_PATH | no_link, dir_fd=parent)
    try:
        if os.fstat(handle).st_mode & 0o700 != 0o700:
            Path(f"/proc/self/fd/{handle}").chmod(0o700)
        return os.open(".", os.O_RDONLY | no_link, dir_fd=handle)
    finally:
        os.close(handle)
