"""Source trees out of a git work tree, or out of a plain folder where there is no git."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path, PurePath

from loopctl.evidence.blobs import blob_of, tree_digest, walk
from loopctl.inert import one_line
from loopctl.model.artifact import SourceFile, SourceTree
from loopctl.ports.source import CommitLine, SourceError, Sources
from loopctl.process import Stop, capture

GIT_TIMEOUT_S = 60.0

_NEVER_SOURCE = frozenset({".git", ".loopctl", "__pycache__", ".venv", "node_modules"})
"""Folders that are nobody's source; asked only where no git says what is ignored."""

_CACHES = ":(exclude,glob)**/__pycache__/**"
"""What Python makes of source and rewrites where it runs: never source, also where no .gitignore
says so. Else the first run of a project without one would find its own caches changed."""

_MOST_COMMITS = 50
_MOST_FILES = 50
_COMMIT = "\x01"
"""What stands before each commit in a list: no name of a file begins so, git quotes those."""
_NAMES = ("--name-only", "--relative", "--no-renames", "--no-ext-diff", "--no-textconv")

_NOT_THIS_REPOSITORY = frozenset(
    {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX"}
)
"""What git sets for a hook: it would make every question one about the hook's repository."""


class GitSources(Sources):
    """Reads what git tracks and what it does not ignore."""

    def read(self, folder: Path, stop: Stop) -> SourceTree:
        """The tree as it is in the work tree now, not as it was committed."""
        if not folder.is_dir():
            raise SourceError(f"the source folder {folder} does not exist", where=str(folder))
        inside = self._is_repository(folder, stop)
        commit = self._head(folder, stop) if inside else None
        paths = self._listed(folder, stop) if inside else _plain(folder)
        files = tuple(_hashed(folder, path) for path in paths if _exists(folder, path))
        if not files:
            raise SourceError(
                f"the source folder {folder} holds no files",
                where=str(folder),
                hint="git-ignored files do not count as source",
            )
        return SourceTree(
            root=folder,
            files=files,
            digest=tree_digest(files),
            commit=commit,
            # A commit made meanwhile is not the one that the files were read at.
            dirty=inside and (self._is_dirty(folder, stop) or self._head(folder, stop) != commit),
        )

    def commits_between(
        self, folder: Path, old: str, new: str, stop: Stop
    ) -> tuple[CommitLine, ...]:
        """Newest first; raises `SourceError` also where git does not know the old commit."""
        asked = ["log", f"-{_MOST_COMMITS}", f"--format={_COMMIT}%H %s", *_NAMES]
        try:
            listed = self._git(folder, [*asked, f"{old}..{new}", "--", "."], stop)
        except SourceError as error:
            # A clone of CI's is shallow, and the last green run may be one of another machine.
            what = f"git does not know {one_line(old, 12)} here, or what came after it"
            hint = "fetch all of it: git fetch --unshallow (fetch-depth: 0 for actions/checkout)"
            raise SourceError(what, where=str(folder), hint=hint) from error
        return tuple(map(_commit, listed.decode("utf-8", "replace").split(_COMMIT)[1:]))

    def uncommitted(self, folder: Path, stop: Stop) -> tuple[str, ...]:
        """What differs from HEAD, and what git was not told of; none outside git."""
        if self.head(folder, stop) is None:
            return ()
        edited = self._git(folder, ["diff", *_NAMES, "-z", "HEAD", "--", ".", _CACHES], stop)
        asked = ["ls-files", "-z", "--others", "--exclude-standard", "--", ".", _CACHES]
        names = {*edited.split(b"\0"), *self._git(folder, asked, stop).split(b"\0")} - {b""}
        return tuple(sorted(one_line(name.decode("utf-8", "replace")) for name in names))[
            :_MOST_FILES
        ]

    def head(self, folder: Path, stop: Stop) -> str | None:
        """The commit that is checked out; None outside git and before the first one."""
        return self._head(folder, stop) if self._is_repository(folder, stop) else None

    def _is_repository(self, folder: Path, stop: Stop) -> bool:
        try:
            self._git(folder, ["rev-parse", "--git-dir"], stop)
        except SourceError:
            # Where there is a repository that git refuses to read (dubious ownership, a broken
            # .git), taking every file for source would ship what git ignores.
            if any((parent / ".git").exists() for parent in (folder, *folder.parents)):
                raise
            return False
        return True

    def _listed(self, folder: Path, stop: Stop) -> Sequence[str]:
        arguments = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        arguments += ["--", ".", _CACHES]
        listed = self._git(folder, arguments, stop)
        return sorted({os.fsdecode(path) for path in listed.split(b"\0") if path})

    def _head(self, folder: Path, stop: Stop) -> str | None:
        try:
            return self._git(folder, ["rev-parse", "--verify", "HEAD"], stop).decode().strip()
        except SourceError:
            return None  # a repository without a commit yet

    def _is_dirty(self, folder: Path, stop: Stop) -> bool:
        arguments = ["status", "--porcelain", "-z", "--untracked-files=all", "--", ".", _CACHES]
        return bool(self._git(folder, arguments, stop)) or self._is_told_not_to_look(folder, stop)

    def _is_told_not_to_look(self, folder: Path, stop: Stop) -> bool:
        """Whether git was told to take a file that is there for unchanged, whatever is in it.

        `git ls-files -v` has a small letter for --assume-unchanged and S for --skip-worktree.
        """
        listed = self._git(folder, ["ls-files", "-z", "-v", "--cached", "--", "."], stop)
        flagged = (line.split(" ", 1) for line in os.fsdecode(listed).split("\0") if line)
        return any(
            (flag.islower() or flag == "S") and (folder / path).exists() for flag, path in flagged
        )

    def _git(self, folder: Path, arguments: Sequence[str], stop: Stop) -> bytes:
        # A hook or an alias of the user's must not run because loopctl looks at files.
        command = ["git", "-c", "core.fsmonitor=false", "-c", "core.quotePath=false"]
        command += ["--no-optional-locks", *arguments]
        try:
            with stop.child(GIT_TIMEOUT_S) as limited:
                end, out, err = capture(command, cwd=folder, env=_environ(), stop=limited)
        except OSError as error:
            raise SourceError(f"git cannot be run: {error}", hint="install git") from error
        stop.remaining(0)
        if end.code != 0:
            said = one_line(err.decode("utf-8", "replace"))
            raise SourceError(f"git {arguments[0]} failed: {said}", where=str(folder))
        return out


def _commit(listed: str) -> CommitLine:
    first, *names = listed.splitlines()
    commit, _, subject = first.partition(" ")
    files = tuple(one_line(name) for name in names if name)
    return CommitLine(commit, one_line(subject), files[:_MOST_FILES])


def _environ() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if k not in _NOT_THIS_REPOSITORY}


def _plain(folder: Path) -> Sequence[str]:
    return [p for p in walk(folder) if not _NEVER_SOURCE.intersection(Path(p).parts)]


def _exists(folder: Path, path: str) -> bool:
    """Tracked files may be deleted in the work tree; a submodule is a folder that git lists.

    What is reached through a link is not there either, as git sees it: the link itself is source.
    """
    if any((folder / parent).is_symlink() for parent in PurePath(path).parents[:-1]):
        return False
    return (folder / path).is_symlink() or (folder / path).is_file()


def _hashed(folder: Path, path: str) -> SourceFile:
    try:
        blob, mode = blob_of(folder / path)
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror}", where=str(folder)) from error
    return SourceFile(path, blob, mode)
