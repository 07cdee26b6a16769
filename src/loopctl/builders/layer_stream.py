"""A layer as it comes over the wire: hashed packed and unpacked, and read as a tar without a file.

Nothing is written anywhere, and what a layer says of itself is bounded: a few megabytes may unpack
to as many gigabytes, and a header may ask for a buffer of any size.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import itertools
import tarfile
import zlib
from collections.abc import Iterator
from typing import Final

from loopctl.builders.registry_errors import NotAsNamedError, UnreadableError
from loopctl.builders.registry_manifest import Blob

#: What an image may have, unpacked, that is to be proven.
MOST_UNPACKED: Final = 32 << 30
MOST_FILES: Final = 500_000
_SMALLER: Final = "make it smaller, or ask for `provenance: label`"
_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_PIECE: Final = 256 * 1024
_ANY_GZIP: Final = 16 + zlib.MAX_WBITS
#: Between two members of a tar stand their names and attributes; Linux allows no more.
_MOST_HEADER: Final = 2 << 20
_MEANS_NOTHING: Final = frozenset({"comment"})


class Budget:
    """How many bytes an image may still unpack to, and how many files it may still have."""

    def __init__(self, left: int = MOST_UNPACKED, files: int = MOST_FILES) -> None:
        self._all = left
        self._left = left
        self._most_files = files
        self._files = files

    def take(self, count: int) -> None:
        """Raises `UnreadableError` when that is too many."""
        self._left -= count
        if self._left < 0:
            raise UnreadableError(
                f"the image unpacks to more than {self._all >> 20:,} MiB, which is not read",
                hint=_SMALLER,
            )

    def take_file(self) -> None:
        """Raises `UnreadableError` when that is one too many."""
        self._files -= 1
        if self._files < 0:
            raise UnreadableError(
                f"the image has more than {self._most_files:,} files in its layers, which are not "
                "read",
                hint=_SMALLER,
            )


def packed(pieces: Iterator[bytes], blob: Blob) -> Iterator[bytes]:
    """The same pieces; raises `NotAsNamedError` at their end unless they are the blob's."""
    digest, left = hashlib.sha256(), blob.size
    for piece in pieces:
        left -= len(piece)
        if left < 0:
            raise NotAsNamedError(f"the layer {blob.digest} does not end after {blob.size} bytes")
        digest.update(piece)
        yield piece
    found = f"sha256:{digest.hexdigest()}"
    if left or found != blob.digest:
        short = f", {left} bytes are missing" if left else ""
        what = f"the layer is not {blob.digest}: what the registry gives is {found}{short}"
        raise NotAsNamedError(what)


def unpacked(pieces: Iterator[bytes], blob: Blob, diff_id: str, budget: Budget) -> Iterator[bytes]:
    """The layer's tar; raises `NotAsNamedError` at its end unless it is the one of `diff_id`."""
    digest = hashlib.sha256()
    for piece in _inflated(pieces, blob):
        budget.take(len(piece))
        digest.update(piece)
        yield piece
    found = f"sha256:{digest.hexdigest()}"
    if found != diff_id:
        raise NotAsNamedError(f"the layer {blob.digest} unpacks to {found}, not to {diff_id}")


def _inflated(pieces: Iterator[bytes], blob: Blob) -> Iterator[bytes]:
    """By what it begins with: media types were seen to be wrong."""
    head = b""
    for piece in pieces:
        head += piece
        if len(head) >= len(_ZSTD):
            break
    if head.startswith(_ZSTD):
        raise unread(blob)
    if head.startswith(_GZIP):
        yield from _gunzipped(head, pieces, blob)
        return
    yield head
    yield from pieces


def unread(blob: Blob) -> UnreadableError:
    """That a layer is packed in a way that is not known here."""
    return UnreadableError(
        f"the layer {blob.digest} is packed by zstd, which is not read here",
        hint="push the image with gzip, or ask for `provenance: label`",
    )


def _gunzipped(head: bytes, pieces: Iterator[bytes], blob: Blob) -> Iterator[bytes]:
    """Of as many members as there are: some builders give every file one of its own."""
    inflate = zlib.decompressobj(_ANY_GZIP)
    try:
        for data in itertools.chain([head], pieces):
            rest = data
            while rest:
                if inflate.eof:
                    inflate = zlib.decompressobj(_ANY_GZIP)
                if out := inflate.decompress(rest, _PIECE):
                    yield out
                rest = inflate.unused_data if inflate.eof else inflate.unconsumed_tail
        # What it has still to give is there for the asking.
        while not inflate.eof and (out := inflate.decompress(b"", _PIECE)):
            yield out
    except zlib.error as error:
        raise UnreadableError(f"the layer {blob.digest} cannot be unpacked: {error}") from None
    if not inflate.eof:
        raise UnreadableError(f"the layer {blob.digest} cannot be unpacked: it breaks off")


class TarBytes(io.RawIOBase):
    """A stream of bytes as the file that `tarfile` wants: forward only, and by small steps.

    `tarfile` goes back by one byte to see that a member was all there, and never further in what
    is well made.
    """

    def __init__(self, pieces: Iterator[bytes]) -> None:
        super().__init__()
        self._pieces = pieces
        self._rest = memoryview(b"")
        self._at = 0
        self._last = b""
        self._again = b""
        self._asked = 0
        self._block = b""

    def readable(self) -> bool:
        """It is."""
        return True

    def begin(self) -> None:
        """A new member, or a new piece of one, is asked for."""
        self._asked = 0

    def tell(self) -> int:
        """Bytes that were read."""
        return self._at - len(self._again)

    def seek(self, to: int, whence: int = io.SEEK_SET) -> int:
        """Go forward, or back by one byte. Raises `tarfile.ReadError` for anything else."""
        self.begin()
        here = self.tell()
        if whence != io.SEEK_SET or to < self._at - len(self._last):
            raise tarfile.ReadError("it leads back")
        if to < here:
            self._again = self._last
        while here < to and (piece := self._take(min(to - here, _PIECE))):
            here += len(piece)
        return self.tell()

    def read(self, size: int = -1) -> bytes:
        """Up to that many bytes; fewer only at the end."""
        self._asked += size
        if size < 0 or self._asked > _MOST_HEADER:
            raise tarfile.ReadError("a header of it is too large")
        found = bytearray()
        while len(found) < size and (piece := self._take(size - len(found))):
            found += piece
        self._block = bytes(found)
        return self._block

    def finish(self) -> None:
        """Read the rest, which has to be empty. Raises `tarfile.ReadError` where there is more.

        Another reader might go on where this one has come to an end.
        """
        pieces = itertools.chain([self._block], iter(lambda: self._take(_PIECE), b""))
        for piece in pieces:
            if piece.strip(b"\0"):
                raise tarfile.ReadError("there is something behind its end")

    def _take(self, size: int) -> bytes:
        if self._again:
            piece, self._again = self._again, b""
            return piece
        while not self._rest:
            found = next(self._pieces, None)
            if found is None:
                return b""
            self._rest = memoryview(found)
        piece = bytes(self._rest[:size])
        self._rest = self._rest[size:]
        self._at += len(piece)
        self._last = piece[-1:]
        return piece


class _LayerTar(tarfile.TarFile):
    """A tar whose reader and an engine's see the same in it, or that is refused."""

    fileobj: TarBytes
    budget: Budget | None = None

    def next(self) -> tarfile.TarInfo | None:
        """The next member."""
        self.fileobj.begin()
        member = super().next()
        # Go's reader applies these to no member, Python's to all that follow.
        if self.pax_headers.keys() - _MEANS_NOTHING:
            raise tarfile.ReadError("it has attributes for all of its members")
        if member is not None and member.size < 0:
            raise tarfile.ReadError("a member has less than nothing in it")
        if member is not None and self.budget is not None:
            self.budget.take_file()
        return member


@contextlib.contextmanager
def opened_layer(pieces: Iterator[bytes], blob: Blob, budget: Budget) -> Iterator[tarfile.TarFile]:
    """A layer's tar, of which all has to be read; `pieces` are exhausted when it is left.

    Raises `UnreadableError` for one that is not well made.
    """
    content = TarBytes(pieces)
    try:
        with _LayerTar.open(
            fileobj=content, mode="r:", encoding="utf-8", errors="surrogateescape"
        ) as archive:
            assert isinstance(archive, _LayerTar)
            archive.budget = budget
            yield archive
        content.finish()
    except (tarfile.TarError, ValueError, OverflowError) as error:
        what = f"the layer {blob.digest} is no tar that can be read: {error}"
        raise UnreadableError(what) from None
