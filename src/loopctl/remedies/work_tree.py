"""The project's files before and after a remedy."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from loopctl.evidence.blobs import REGULAR, blob_of, tree_digest, walk
from loopctl.model.artifact import SourceFile
from loopctl.ports.remedy import RemedyError, WorkTree, WorkTreeState
from loopctl.ports.source import SourceError, Sources
from loopctl.process import Stop
from loopctl.remedies.git_rules import EXCLUDES, ignored_everywhere, rule_files
from loopctl.remedies.loaded_modules import forget_compiled, loaded_from

_CACHES = frozenset(
    {".loopctl", "__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis"}
)
"""Folders that tools fill by themselves: running the tests must not look like changing them."""

_NOBODYS = _CACHES | {".git", ".venv", "node_modules"}
"""What is left out besides where git does not say that it is part of the project."""

_SPECIAL = "special"
_STOP_EVERY = 200


class GitWorkTree(WorkTree):
    """What git tracks or does not ignore below `root`, and all that a run relies on besides.

    That is also what git itself goes by: files that a remedy made git ignore would be seen by
    nobody. The user's own patterns are followed, as there may be large folders behind them, and
    compared like a file `.git/core.excludesFile`: both looks go by the same ones, or it is told.

    `always` are files and folders that are read though git ignores them, `loads_from` folders of
    which that holds for what tests load by themselves; `sources` are folders that may be
    repositories of their own (submodules); `leave_out` are loopctl's own. What does not exist is
    passed over, as a remedy may make it.
    """

    def __init__(
        self,
        root: Path,
        reader: Sources,
        always: Sequence[Path],
        sources: Sequence[Path] = (),
        leave_out: Sequence[Path] = (),
        loads_from: Sequence[Path] = (),
    ) -> None:
        self._root = root
        self._reader = reader
        self._always = tuple(always)
        self._nested = tuple(s for s in sources if s != root)
        self._loads_from = tuple(loads_from)
        self._leave_out = tuple(_relative(path, root) for path in leave_out)

    def read(self, stop: Stop) -> WorkTreeState:
        """Its files now. A repository that is gone or broken is read as a plain folder."""
        if not self._root.is_dir():
            raise RemedyError("the project root does not exist any more", where=str(self._root))
        listed, in_git = self._of_git(stop)
        files = {path: file for path, file in listed if not self._is_left_out(path, _CACHES)}
        for number, path in enumerate(self._besides(in_git=in_git)):
            if number % _STOP_EVERY == 0:
                stop.remaining(0)
            if path not in files:
                files[path] = self._hashed(path)
        if in_git:
            files |= {file.path: file for file in self._ignored_everywhere(stop)}
        return WorkTreeState(
            files={path: f"{file.mode} {file.blob}" for path, file in sorted(files.items())},
            in_git=in_git,
            digest=tree_digest(files.values()),
        )

    def forget_compiled(self, stop: Stop) -> None:
        """Remove what Python compiled of the project and of tests beside it."""
        stop.remaining(0)
        places = (Path(os.path.normpath(p)) for p in (*self._always, *self._loads_from))
        # A folder around the project is other people's too.
        beside = (p for p in places if p not in self._root.parents and self._root not in p.parents)
        own = frozenset(self._root / path for path in self._leave_out)
        for folder in dict.fromkeys([self._root, *beside]):
            forget_compiled(folder, own)

    def _of_git(self, stop: Stop) -> tuple[list[tuple[str, SourceFile]], bool]:
        """What git lists, and whether it still does. A file that git cannot read is found later."""
        if not (self._root / ".git").exists():
            return [], False
        try:
            trees = [self._reader.read(self._root, stop)]
            trees += [self._reader.read(folder, stop) for folder in self._repositories()]
        except SourceError:
            return [], False
        return [
            (name, SourceFile(name, file.blob, file.mode))
            for tree in trees
            for file in tree.files
            for name in [_relative(tree.root / file.path, self._root)]
        ], True

    def _repositories(self) -> Iterator[Path]:
        """The sources that git, asked about the root, does not look into."""
        for folder in self._nested:
            between = (p for p in (folder, *folder.parents) if self._root in p.parents)
            if folder.is_dir() and any((path / ".git").exists() for path in between):
                yield folder

    def _tops(self) -> Iterator[Path]:
        """The work trees of git that are read: the root, and what is around a nested source."""
        yield self._root
        for folder in self._repositories():
            yield next(path for path in (folder, *folder.parents) if (path / ".git").exists())

    def _ignored_everywhere(self, stop: Stop) -> Iterator[SourceFile]:
        """The patterns of `core.excludesFile`, by what they say, not by where it is written."""
        for top in dict.fromkeys(self._tops()):
            patterns = ignored_everywhere(top, stop)
            if patterns is not None:
                name = _relative(top / ".git" / EXCLUDES, self._root)
                yield SourceFile(name, patterns, REGULAR)

    def _besides(self, *, in_git: bool) -> Iterator[str]:
        """The files that are read in any case, and without git all others.

        A link counts as itself. What it leads to is read by its own name where it was known before
        the remedy, and may be the whole machine where the remedy has put it there.
        """
        for place in self._always if in_git else (*self._always, self._root):
            if place.is_dir() and not place.is_symlink():
                below = (_relative(place / name, self._root) for name in walk(place))
                yield from (path for path in below if not self._is_left_out(path, _NOBODYS))
            if place.is_symlink() or place.is_file():
                yield _relative(place, self._root)
        for place in (file for top in self._tops() for file in rule_files(top)):
            if place.is_symlink() or place.is_file():
                yield _relative(place, self._root)
        for folder in (path for path in self._loads_from if not path.is_symlink()):
            below = (_relative(folder / name, self._root) for name in loaded_from(folder))
            yield from (path for path in below if not self._is_left_out(path, _NOBODYS))

    def _is_left_out(self, path: str, folders: frozenset[str]) -> bool:
        if not folders.isdisjoint(path.split("/")):
            return True
        return any(path == own or path.startswith(f"{own}/") for own in self._leave_out)

    def _hashed(self, path: str) -> SourceFile:
        try:
            blob, mode = blob_of(self._root / path)
        except OSError as error:
            if error.errno == errno.EINVAL:
                # A pipe or a socket: that it is there says enough, and reading it might never end.
                return SourceFile(path, _SPECIAL, _SPECIAL)
            raise RemedyError(
                f"cannot read {path}: {error.strerror}", where=str(self._root)
            ) from error
        return SourceFile(path, blob, mode)


def _relative(path: Path, root: Path) -> str:
    return os.path.relpath(path, root)
