"""What is sent to the engine to build from: the source without what `.dockerignore` keeps out."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import tarfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from loopctl.builders.ignore_rules import BadPatternError, IgnoreRules
from loopctl.evidence.blobs import EXECUTABLE, LINK, blob_of
from loopctl.inert import decode
from loopctl.model.artifact import SourceFile, SourceTree
from loopctl.ports.builder import BuildError

_CHUNK: Final = 1 << 20
_FLUSH: Final = 256 * 1024
_EPOCH: Final = 946_684_800  # 2000-01-01: zip files know no time before 1980
_ARCHIVE_MODES: Final = ("r:", "r:gz", "r:bz2", "r:xz")


@dataclass(frozen=True, slots=True)
class Context:
    """The files of one build, as they were when the source was read.

    `files` are those that a COPY is meant to take. `sent` has the Dockerfile first, which the
    engine must have even where it is ignored: a COPY of the whole folder takes it then, because
    an engine that is sent a tar reads no `.dockerignore`. `size` is that of all that is sent, in
    bytes, `folders` of each folder of the first level; `links` say where the links point, `stamp`
    is the time that all of them bear.
    """

    root: Path
    dockerfile: str
    text: str
    files: tuple[SourceFile, ...]
    sent: tuple[SourceFile, ...]
    ignored: int
    size: int
    folders: Mapping[str, int]
    links: Mapping[str, str]
    stamp: int

    @property
    def taken_unasked(self) -> tuple[SourceFile, ...]:
        """What reaches a COPY of the whole folder although `.dockerignore` names it."""
        meant = set(self.files)
        return tuple(file for file in self.sent if file not in meant)

    def largest_folders(self, count: int) -> Sequence[tuple[str, int]]:
        """Folders of the first level with their bytes, the largest first; `.` is the root."""
        return Counter(self.folders).most_common(count)

    def chunks(self) -> Iterator[bytes]:
        """The tar, piece by piece: the same tree gives the same bytes, on every machine.

        Raises `BuildError` where a file is not any more what it was when the source was read.
        """
        pending = bytearray()
        for piece in self._pieces():
            pending += piece
            if len(pending) >= _FLUSH:
                yield bytes(pending)
                pending.clear()
        yield bytes(pending) + bytes(2 * tarfile.BLOCKSIZE)

    def is_archive(self, path: str) -> bool:
        """Whether ADD would unpack that file: a tar, plain or compressed."""
        for mode in _ARCHIVE_MODES:
            try:
                with tarfile.open(self.root / path, mode) as archive:
                    if archive.next() is not None:
                        return True
            except (tarfile.TarError, OSError, EOFError, ValueError):
                continue
        return False

    def _pieces(self) -> Iterator[bytes]:
        made: set[str] = set()
        for file in self.sent:
            for folder in [str(p) for p in reversed(PurePosixPath(file.path).parents)][1:]:
                if folder not in made:
                    made.add(folder)
                    yield _header(folder, tarfile.DIRTYPE, 0o755, self.stamp)
            yield from self._file(file)

    def _file(self, file: SourceFile) -> Iterator[bytes]:
        path = self.root / file.path
        try:
            if file.mode == LINK:
                target = str(path.readlink())
                if blob_of(path) != (file.blob, LINK):
                    raise _changed(file)
                yield _header(file.path, tarfile.SYMTYPE, 0o777, self.stamp, link=target)
                return
            yield from _content(path, file, self.stamp)
        except OSError:
            # Gone, of another kind, or not to be read any more.
            raise _changed(file) from None


def context_of(source: SourceTree, dockerfile: str) -> Context:
    """The context of a build by `dockerfile`, a path relative to the source.

    Raises `BuildError` where there is no such file, or where `.dockerignore` cannot be read.
    """
    name = os.path.normpath(dockerfile)
    known = {file.path: file for file in source.files}
    file = known.get(name)
    if file is None or file.mode == LINK:
        raise _no_dockerfile(source, name, file)
    text = _read(source, file)
    rules = _rules(source, known, name)
    kept = tuple(f for f in source.files if not rules.ignores(f.path))
    rest = sorted((f for f in kept if f != file), key=lambda f: os.fsencode(f.path))
    sent = (file, *rest)
    sizes = {each.path: _size(source.root, each) for each in sent}
    folders: Counter[str] = Counter()
    for path, size in sizes.items():
        folders[path.partition("/")[0] if "/" in path else "."] += size
    return Context(
        root=source.root,
        dockerfile=name,
        text=text,
        files=kept,
        sent=sent,
        ignored=len(source.files) - len(kept),
        size=sum(sizes.values()),
        folders=folders,
        links=_links(source.root, sent),
        stamp=_stamp(source),
    )


def _stamp(source: SourceTree) -> int:
    """One time for all files of a tree, and another for each tree.

    All alike, so that nothing looks older than what it was made from; of the content, because
    Python trusts a `.pyc` by its source's time and size, and web servers answer by them: with one
    time for ever an old one would pass for new.
    """
    digest = hashlib.sha256(source.digest.encode()).digest()
    return _EPOCH + int.from_bytes(digest[:3], "big") * 16


def _header(
    path: str, kind: bytes, mode: int, stamp: int, *, size: int = 0, link: str = ""
) -> bytes:
    info = tarfile.TarInfo(path)
    info.type, info.mode, info.mtime, info.size, info.linkname = kind, mode, stamp, size, link
    return info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")


def _content(path: Path, file: SourceFile, stamp: int) -> Iterator[bytes]:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb", buffering=0) as content:  # noqa: PTH123 - opened already
        status = os.fstat(descriptor)
        runs = bool(status.st_mode & stat.S_IXUSR)
        if not stat.S_ISREG(status.st_mode) or runs is not (file.mode == EXECUTABLE):
            raise _changed(file)
        mode = 0o755 if runs else 0o644
        yield _header(file.path, tarfile.REGTYPE, mode, stamp, size=status.st_size)
        digest = hashlib.sha1(b"blob %d\0" % status.st_size, usedforsecurity=False)
        left = status.st_size
        while left and (piece := content.read(min(left, _CHUNK))):
            digest.update(piece)
            left -= len(piece)
            yield piece
        if left or content.read(1) or digest.hexdigest() != file.blob:
            raise _changed(file)
        yield bytes(-status.st_size % tarfile.BLOCKSIZE)


def _read(source: SourceTree, file: SourceFile) -> str:
    """The text of a file of the source, which must still be what it was."""
    content = io.BytesIO()
    try:
        # The tar's first block is the header, its last bytes are padding.
        pieces = list(_content(source.root / file.path, file, 0))[1:-1]
    except OSError:
        raise _changed(file) from None
    content.writelines(pieces)
    return decode(content.getvalue())


def _rules(source: SourceTree, known: Mapping[str, SourceFile], dockerfile: str) -> IgnoreRules:
    """Those beside the Dockerfile win over those of the whole context, as BuildKit has it."""
    for name in (f"{dockerfile}.dockerignore", ".dockerignore"):
        file = known.get(name)
        if file is not None and file.mode != LINK:
            try:
                return IgnoreRules.of(_read(source, file))
            except BadPatternError as error:
                raise BuildError(
                    f"{name}, {error}", step=str(source.root / name), hint="mend the pattern"
                ) from None
    return IgnoreRules(())


def _no_dockerfile(source: SourceTree, name: str, file: SourceFile | None) -> BuildError:
    path = source.root / name
    if file is not None:
        what, hint = "is a symbolic link", "name the file itself in build.dockerfile"
    elif name.startswith(("../", "/")):
        what, hint = "lies outside of the source", "move it into the source of the service"
    elif path.is_file():
        what = "is no part of the source: git ignores it"
        hint = "an image can be proven only by a Dockerfile that git knows; mend .gitignore"
    else:
        what, hint = "does not exist", "write one, or name another in build.dockerfile"
    return BuildError(f"the Dockerfile {path} {what}", step=str(path), hint=hint)


def _links(root: Path, files: Sequence[SourceFile]) -> Mapping[str, str]:
    try:
        return {f.path: str((root / f.path).readlink()) for f in files if f.mode == LINK}
    except OSError as error:
        raise BuildError(f"cannot read {error.filename}: {error.strerror}") from None


def _size(root: Path, file: SourceFile) -> int:
    try:
        return (root / file.path).lstat().st_size
    except OSError:
        raise _changed(file) from None


def _changed(file: SourceFile) -> BuildError:
    return BuildError(
        f"{file.path} changed while it was sent to the engine",
        hint="do not edit the source while a build reads it; run again",
    )
