"""Opens a log file for reading as text, whatever its bytes are: packed, in UTF-16, damaged."""

from __future__ import annotations

import codecs
import contextlib
import gzip
import io
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final, cast

from loopctl.errors import Problem

STDIN: Final = "-"
_CHUNK: Final = 256 * 1024
_GZIP: Final = b"\x1f\x8b"
_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_KNOWN_BINARY: Final = (
    (b"PK\x03\x04", "a zip archive; unpack it first"),
    (b"\x28\xb5\x2f\xfd", "packed with zstd; unpack it first: zstd -d"),
    (b"BZh", "packed with bzip2; unpack it first: bunzip2 -k"),
    (b"\xfd7zXZ\x00", "packed with xz; unpack it first: unxz -k"),
    (b"\x7fELF", "a program"),
    (b"%PDF", "a PDF"),
    (b"\x89PNG", "a picture"),
    (b"SQLite format 3", "a database"),
)
# Tab, line feed, form feed, carriage return and escape stand in logs; NUL where a file was cut.
_ODD: Final = re.compile(rb"[\x01-\x07\x0e-\x1a\x1c-\x1f\x7f]")
_MOST_ODD: Final = 0.05
_MOST_NUL: Final = 0.3


class NoLogError(Exception):
    """The file cannot be read as a log at all; `problem` says why and what to do."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


@dataclass(slots=True)
class LogText:
    """The text of a log file, in pieces. `gap` is set once it breaks off."""

    name: str
    _source: IO[bytes]
    _head: bytes
    _encoding: str
    gap: str | None = field(default=None)

    def __iter__(self) -> Iterator[str]:
        decoder = codecs.getincrementaldecoder(self._encoding)("replace")
        data = self._head
        while data:
            yield decoder.decode(data)
            data = self._more()
        yield decoder.decode(b"", final=True)

    def _more(self) -> bytes:
        try:
            return self._source.read(_CHUNK)
        except (EOFError, zlib.error, gzip.BadGzipFile):
            self.gap = "the packed file is damaged or cut off"
        except OSError as error:
            self.gap = f"the rest cannot be read: {error.strerror or error}"
        return b""


@contextlib.contextmanager
def opened(path: Path, stdin: IO[bytes]) -> Iterator[LogText]:
    """The text of the file, `-` for standard input; raises NoLogError where it is no log."""
    name = str(path)
    if name == STDIN:
        yield _text("stdin", stdin)
        return
    with _file(path, name) as source:
        yield _text(name, source)


def _file(path: Path, name: str) -> IO[bytes]:
    try:
        if path.is_dir():
            raise NoLogError(
                Problem("is a folder", where=name, hint="name the files in it: --logs FILE …")
            )
        return path.open("rb")
    except OSError as error:
        raise NoLogError(Problem(f"cannot be read: {error.strerror}", where=name)) from error
    except ValueError as error:
        raise NoLogError(Problem(f"is no path: {error}", where=repr(name))) from error


def _text(name: str, source: IO[bytes]) -> LogText:
    try:
        head = source.read(_CHUNK)
    except OSError as error:
        raise NoLogError(Problem(f"cannot be read: {error.strerror}", where=name)) from error
    if head.startswith(_GZIP):
        source = cast("IO[bytes]", gzip.GzipFile(fileobj=_Rejoined(head, source)))
        try:
            head = source.read(_CHUNK)
        except (OSError, EOFError, zlib.error) as error:
            raise NoLogError(Problem("is packed with gzip and damaged", where=name)) from error
    encoding = _encoding(head)
    if encoding == "utf-8" and (what := _binary(head)):
        raise NoLogError(Problem(f"is no log: {what}", where=name, hint="give a text or JSON file"))
    return LogText(name, source, head, encoding)


def _encoding(head: bytes) -> str:
    for mark, encoding in _BOMS:
        if head.startswith(mark):
            return encoding
    sample = head[:4096]
    half = max(1, len(sample) // 2)
    if sample[1::2].count(0) > 0.6 * half and sample[::2].count(0) < 0.1 * half:
        return "utf-16-le"
    if sample[::2].count(0) > 0.6 * half and sample[1::2].count(0) < 0.1 * half:
        return "utf-16-be"
    return "utf-8"


def _binary(head: bytes) -> str | None:
    for magic, what in _KNOWN_BINARY:
        if head.startswith(magic):
            return what
    if not head:
        return None
    odd = len(_ODD.findall(head)) / len(head)
    return "a binary file" if odd > _MOST_ODD or head.count(0) / len(head) > _MOST_NUL else None


class _Rejoined(io.RawIOBase):
    """A stream with its head put back: standard input cannot be rewound."""

    def __init__(self, head: bytes, rest: IO[bytes]) -> None:
        self._head = head
        self._rest = rest

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if self._head:
            data, self._head = self._head, b""
            if 0 <= size < len(data):
                data, self._head = data[:size], data[size:]
            return data
        return self._rest.read(size)
