"""Unpacking an archive that anybody may have made: a CI artefact as .zip, .tar or .tar.gz.

Nothing of it is believed. Only plain files are written, below one folder, within bounds that are
counted in bytes that come out, not in what headers claim; links, devices and names that lead
elsewhere are never followed. Only the standard library is used.
"""

from __future__ import annotations

import contextlib
import functools
import gzip
import io
import os
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Final

from loopctl.errors import ExitCode, LoopctlError
from loopctl.files import storage
from loopctl.inert import one_line

MOST_BYTES: Final = 1 << 30
"""What an archive may have, packed, and what may come out of it."""

MOST_FILES: Final = 50_000
_MOST_DIRECTORY: Final = 8 << 20
_MOST_HEADER: Final = 1 << 20
_LONGEST: Final = 1000
_DEEPEST: Final = 24
_PIECE: Final = 1 << 18
_PACKED: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_END: Final = b"PK\x05\x06"
_END_64: Final = b"PK\x06\x06"
_GZIP: Final = b"\x1f\x8b"
_TAR_AT: Final = 257

_BROKEN: Final = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, struct.error),
    *(ValueError, KeyError, IndexError, OverflowError, RuntimeError, RecursionError),
)
"""What a damaged archive makes the libraries raise; `RuntimeError`: it is encrypted, or packed by
means that are not known here."""


class ArtefactError(LoopctlError):
    """What was given for a run is none, or cannot be read safely."""

    exit_code = ExitCode.USAGE


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive that is open: its plain files by name, each with what opens it."""

    path: Path
    files: Mapping[str, Callable[[], IO[bytes]]]


def is_archive(path: Path) -> bool:
    """Whether a file begins as one of the kinds that are read here; raises `StorageError`."""
    with storage("read the file", path), path.open("rb") as file:
        head = file.read(_TAR_AT + 5)
    return head.startswith((b"PK\x03\x04", _END, _GZIP)) or head[_TAR_AT:] == b"ustar"


@contextlib.contextmanager
def opened_archive(path: Path, scratch: Path, most: int = MOST_BYTES) -> Iterator[Archive]:
    """The archive, of at most so many bytes, packed or not; raises `ArtefactError`, `StorageError`.

    `scratch` is a folder of ours.
    """
    with storage("read the file", path), path.open("rb") as file:
        head = file.read(4)
    if path.stat().st_size > most:
        raise _too_large(path, most)
    with contextlib.ExitStack() as stack:
        with _told(path):
            if head.startswith(b"PK"):
                files = _zip(stack.enter_context(_zip_file(path)), path)
            else:
                plain = _gunzipped(path, scratch, most) if head.startswith(_GZIP) else path
                files = _tar(stack.enter_context(_tar_file(plain)), path)
        yield Archive(path, files)


def unpack(
    archive: Archive,
    prefix: str,
    into: Path,
    *,
    leave_out: tuple[str, ...] = (),
    most: int = MOST_BYTES,
) -> None:
    """Write the files below `prefix` into the new folder `into`, private to the user.

    Folders named in `leave_out` are not. Raises `ArtefactError`, also where more than so many bytes
    come out, and `StorageError`.
    """
    left = most
    for name, opened in archive.files.items():
        inside = name.removeprefix(prefix)
        if not name.startswith(prefix) or inside.partition("/")[0] in leave_out:
            continue
        if inside.count("/") > _DEEPEST:
            # Fifty thousand files, each below folders of its own by the hundred, take hours.
            what = f"the artefact has a file below more than {_DEEPEST} folders of its run"
            raise ArtefactError(what, where=str(archive.path), hint="no run keeps such a file")
        target = into / inside
        with storage("unpack the artefact", target):
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(target, flags, 0o600)
        with open(descriptor, "wb") as file:  # noqa: PTH123 - by its descriptor
            left = _copied(archive.path, opened, file, left)
            if left < 0:
                raise _too_large(archive.path, most)


def read_start(archive: Archive, name: str, most: int) -> bytes:
    """The first bytes of one of its files; raises `ArtefactError`."""
    with _told(archive.path), archive.files[name]() as source:
        return source.read(most)


def _copied(path: Path, opened: Callable[[], IO[bytes]], file: IO[bytes], left: int) -> int:
    """How many bytes may still come out of the archive afterwards; less than 0: it was stopped."""
    with _told(path), opened() as source:
        while left >= 0 and (piece := source.read(_PIECE)):
            left -= len(piece)
            with storage("unpack the artefact", Path(str(file.name))):
                file.write(piece)
    return left


def _zip_file(path: Path) -> zipfile.ZipFile:
    # The whole directory is read at once, before anybody can count what is in it.
    if _directory_size(path) > _MOST_DIRECTORY:
        raise _too_many(path)
    return zipfile.ZipFile(path)


def _directory_size(path: Path) -> int:
    """Bytes of a zip's directory, as its end names them, and as `zipfile` will read them."""
    with path.open("rb") as file:
        size = file.seek(0, io.SEEK_END)
        file.seek(max(0, size - (1 << 16) - 22 - 76))
        tail = file.read()
    at = tail.rfind(_END)
    if at < 0 or len(tail) < at + 22:
        raise zipfile.BadZipFile("it has no end")
    named = int(struct.unpack_from("<L", tail, at + 12)[0])
    at = tail.rfind(_END_64, 0, at)
    larger = int(struct.unpack_from("<Q", tail, at + 40)[0]) if at >= 0 else 0
    return max(named if named != 0xFFFFFFFF else 0, larger)


def _zip(archive: zipfile.ZipFile, path: Path) -> Mapping[str, Callable[[], IO[bytes]]]:
    files: dict[str, Callable[[], IO[bytes]]] = {}
    for info in archive.infolist():
        kind = stat.S_IFMT(info.external_attr >> 16)
        if info.is_dir() or kind not in (0, stat.S_IFREG):
            continue
        if info.flag_bits & 1:
            raise ArtefactError(_ENCRYPTED, where=str(path), hint="unpack it yourself first")
        if info.compress_type not in _PACKED:
            raise RuntimeError("packed by means that are not known here")
        _add(files, info.filename, functools.partial(archive.open, info), path)
    return files


_ENCRYPTED: Final = "the artefact is encrypted"


class _Cautious(io.RawIOBase):
    """A tar's bytes, of which no header can make `tarfile` read more than 1 MiB at once."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._file = path.open("rb")

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _MOST_HEADER:
            raise tarfile.ReadError("a header of it is too large")
        return self._file.read(size)

    def readinto(self, buffer: object) -> int:
        return self._file.readinto(buffer)  # type: ignore[arg-type]

    def seek(self, to: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(to, whence)

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        self._file.close()
        super().close()


@contextlib.contextmanager
def _tar_file(path: Path) -> Iterator[tarfile.TarFile]:
    with _Cautious(path) as cautious, tarfile.open(fileobj=cautious, mode="r:") as archive:
        yield archive


def _tar(archive: tarfile.TarFile, path: Path) -> Mapping[str, Callable[[], IO[bytes]]]:
    files: dict[str, Callable[[], IO[bytes]]] = {}
    for seen, member in enumerate(archive):
        if seen >= MOST_FILES:
            raise _too_many(path)
        if member.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and not member.issparse():
            _add(files, member.name, functools.partial(_opened, archive, member), path)
    return files


def _opened(archive: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    found = archive.extractfile(member)
    assert found is not None, "a plain file has content"
    return found


def _add(
    files: dict[str, Callable[[], IO[bytes]]],
    name: str,
    opened: Callable[[], IO[bytes]],
    path: Path,
) -> None:
    parts = PurePosixPath(name).parts
    leads_away = name.startswith("/") or ".." in parts or len(name) > _LONGEST
    if leads_away or "\\" in name or "\0" in name or not parts:
        what = f"the artefact has a file whose name leads elsewhere: {one_line(name, 120)}"
        raise ArtefactError(what, where=str(path), hint="nothing of it was unpacked")
    plain = "/".join(parts)
    if plain in files:
        what = f"the artefact has two files of one name: {one_line(plain, 120)}"
        raise ArtefactError(what, where=str(path), hint="nothing of it was unpacked")
    if len(files) >= MOST_FILES:
        raise _too_many(path)
    files[plain] = opened


def _gunzipped(path: Path, scratch: Path, most: int) -> Path:
    """What is packed in it, as a file; it is gone with `scratch`."""
    plain, left = scratch / "artefact.tar", most
    with gzip.open(path) as source, plain.open("wb") as target:
        while piece := source.read(_PIECE):
            left -= len(piece)
            if left < 0:
                raise _too_large(path, most)
            with storage("unpack the artefact", plain):
                target.write(piece)
    return plain


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, *_BROKEN) as error:
        said = one_line(str(error), 160) or type(error).__name__
        raise ArtefactError(
            f"the artefact cannot be read, it breaks off or is damaged: {said}",
            where=str(path),
            hint="get it once more; .zip, .tar and .tar.gz are read here",
        ) from error


def _too_large(path: Path, most: int) -> ArtefactError:
    return ArtefactError(
        f"the artefact has more than {most >> 20} MiB, packed or not, and is not read",
        where=str(path),
        hint="if it is no bomb, unpack it yourself, and name the run's folder",
    )


def _too_many(path: Path) -> ArtefactError:
    return ArtefactError(
        f"the artefact has more than {MOST_FILES:,} files, and is not unpacked",
        where=str(path),
        hint="if it is no bomb, unpack it yourself, and name the run's folder",
    )
