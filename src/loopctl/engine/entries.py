"""What is at the paths of an image, read from tar archives as they come. Pure but for their reads.

Who gives the archive is all one: an engine that packs a container, a registry that has a layer.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Final

_CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Facts:
    """What an image's configuration says. `layers` are digests, the lowest first.

    `platform` is like `linux/amd64`; `digests` are the registry's, `repository@sha256:…`;
    `times` are those of the history's lines, in seconds since 1970, the oldest line first.
    """

    id: str
    env: Mapping[str, str]
    workdir: str
    labels: Mapping[str, str]
    onbuild: tuple[str, ...]
    layers: tuple[str, ...]
    digests: tuple[str, ...]
    platform: str
    times: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """What is at a path. `kind` is `file`, `link`, `folder` or `other`; `mode` permission bits.

    `mtime` is in seconds since 1970. `blob` is git's hash of a file or of where a link points;
    empty for what was not hashed.
    """

    kind: str
    mode: int
    blob: str = ""
    mtime: float = 0.0


def members(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """The members of a tar that comes as a stream."""
    while (member := archive.next()) is not None:
        yield member
        # Otherwise it keeps every header: an image has a hundred thousand of them.
        archive.members = []  # type: ignore[attr-defined]


def entry_of(archive: tarfile.TarFile, member: tarfile.TarInfo, is_wanted: bool) -> Entry:
    """What a member is; hashed where it is wanted."""
    mode = member.mode & 0o7777
    if member.issym():
        target = member.linkname.encode("utf-8", "surrogateescape")
        return Entry("link", mode, _hash(len(target), io.BytesIO(target)), member.mtime)
    if member.isdir():
        return Entry("folder", mode, mtime=member.mtime)
    if not member.isreg() or member.issparse():
        # No builder writes a sparse file, and one may have more zeros than anybody can hash.
        return Entry("other", mode, mtime=member.mtime)
    content = archive.extractfile(member) if is_wanted else None
    blob = "" if content is None else _hash(member.size, content)
    return Entry("file", mode, blob, member.mtime)


def _hash(size: int, content: IO[bytes]) -> str:
    digest = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    while piece := content.read(_CHUNK):
        digest.update(piece)
    return digest.hexdigest()
