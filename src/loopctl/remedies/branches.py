"""Work trees beside the user's own, each on a branch of its own, in the user's repository.

No hook of the repository is run, and no setting of it is written. What stays is the branch.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from loopctl.errors import StorageError
from loopctl.files import ensure_private_dir, remove_tree
from loopctl.inert import one_line
from loopctl.ports.remedy import Branches, Kept, RemedyError
from loopctl.process import Child, Stop, capture
from loopctl.redact import Redactor
from loopctl.remedies.output import RemedyOutput

_GIT_S: Final = 120.0
_NAMED: Final = 3
_NOT_THIS_REPOSITORY: Final = frozenset(
    {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX"}
)
_QUIET: Final = (
    *("-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false"),
    *("-c", "commit.gpgSign=false", "-c", "gc.auto=0"),
)
_WHO: Final = {
    f"GIT_{role}_{what}": value
    for role in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "loopctl"), ("EMAIL", "loopctl@localhost"))
}


class GitBranches(Branches):
    """Branches of the repository whose work tree is `root`."""

    def __init__(self, root: Path, redactor: Redactor) -> None:
        self._root = root
        self._redactor = redactor

    def begin(
        self, tree: Path, branch: str, start: str | None, commit: str | None, stop: Stop
    ) -> str:
        """See `Branches`."""
        if not (self._root / ".git").exists():
            raise RemedyError(
                "`branch: true` needs a git repository, and this project is none",
                where=str(self._root),
                hint="git init, or take the key away: then the command works in the project itself",
            )
        base = start or self._clean_head(commit, stop)
        self.end(tree, stop)
        self._git(["branch", "-q", "-D", branch], stop, may_fail=True)
        self._folder(tree.parent)
        self._git(["worktree", "add", "-q", "--no-track", "-b", branch, str(tree), base], stop)
        return base

    def again(self, tree: Path, branch: str, stop: Stop) -> None:
        """See `Branches`."""
        if (tree / ".git").exists():
            return
        self.end(tree, stop)
        self._folder(tree.parent)
        self._git(["worktree", "add", "-q", str(tree), branch], stop)

    def keep(
        self, tree: Path, branch: str, base: str, diff: Path, message: str, stop: Stop
    ) -> Kept:
        """See `Branches`."""
        self._git(["add", "--all"], stop, at=tree)
        written = self._git(["write-tree"], stop, at=tree)
        tip = self._git(
            ["rev-parse", "-q", "--verify", f"refs/heads/{branch}"], stop, may_fail=True
        )
        parent = tip or base
        if self._git(["rev-parse", f"{parent}^{{tree}}"], stop) != written:
            made = ["commit-tree", "--no-gpg-sign", "-p", parent, "-m", message, written]
            parent = self._git(made, stop)
            self._git(["update-ref", f"refs/heads/{branch}", parent], stop)
        excerpt = self._diff(base, parent, diff, stop)
        return Kept(parent, changed=parent != base, excerpt=excerpt)

    def end(self, tree: Path, stop: Stop) -> None:
        """See `Branches`."""
        known = (self._root / ".git").exists()
        if known and (tree / ".git").exists():
            self._git(["worktree", "remove", "--force", "--force", str(tree)], stop, may_fail=True)
        try:
            remove_tree(tree)
        except StorageError as error:
            raise RemedyError(error.what, where=error.where, hint=error.hint) from error
        if known:
            self._git(["worktree", "prune"], stop, may_fail=True)

    def forget(self, branch: str, stop: Stop) -> None:
        """See `Branches`."""
        self._git(["branch", "-q", "-D", branch], stop, may_fail=True)

    def refs(self, stop: Stop) -> Mapping[str, str]:
        """See `Branches`."""
        listed = self._git(["for-each-ref", "--format=%(refname) %(objectname)"], stop)
        found = dict(line.split(" ", 1) for line in listed.splitlines())
        head = self._git(["symbolic-ref", "-q", "HEAD"], stop, may_fail=True)
        return {**found, "HEAD": head or self._git(["rev-parse", "HEAD"], stop, may_fail=True)}

    def _clean_head(self, commit: str | None, stop: Stop) -> str:
        head = self._git(["rev-parse", "-q", "--verify", "HEAD^{commit}"], stop, may_fail=True)
        if not head:
            raise RemedyError(
                "`branch: true` needs a commit to begin with, and the repository has none",
                where=str(self._root),
                hint="git commit",
            )
        listed = self._git(["status", "--porcelain", "--untracked-files=normal"], stop)
        dirty = [line[3:] for line in listed.splitlines()]
        if dirty:
            more = f" and {len(dirty) - _NAMED} more" if len(dirty) > _NAMED else ""
            raise RemedyError(
                "`branch: true` needs a clean work tree, and is not begun: not committed are "
                f"{one_line(', '.join(dirty[:_NAMED]), 200)}{more}",
                where=str(self._root),
                hint="git commit or git stash",
            )
        if commit is not None and commit != head:
            raise RemedyError(
                f"the project has moved to commit {head[:12]} since {commit[:12]} was built",
                where=str(self._root),
                hint="run again",
            )
        return head

    def _diff(self, base: str, tip: str, file: Path, stop: Stop) -> str:
        """The diff as a file, redacted and bounded; its first lines."""
        try:
            kept = RemedyOutput(file, self._redactor)
        except OSError as error:
            what = f"the diff cannot be kept: {error.strerror}"
            raise RemedyError(what, where=str(file)) from error
        words = ["diff", "--no-color", "--no-ext-diff", "--no-textconv", "--find-renames"]
        drain = bytearray()
        try:
            child = Child(
                ["git", *_QUIET, *words, base, tip],
                cwd=self._root,
                env=_environ(),
                on_stdout=kept.stream(),
                on_stderr=drain.extend,
            )
            with stop.child(_GIT_S) as limited:
                end = child.wait(limited)
        except OSError as error:
            raise RemedyError(f"git cannot be run: {error}", hint="install git") from error
        finally:
            kept.close()
        stop.remaining(0)
        if end.stopped is not None:
            raise _late("diff", self._root)
        return kept.first(_EXCERPT_LINES, _EXCERPT_BYTES)

    def _folder(self, folder: Path) -> None:
        try:
            ensure_private_dir(folder)
        except StorageError as error:
            raise RemedyError(error.what, where=error.where, hint=error.hint) from error

    def _git(
        self, words: Sequence[str], stop: Stop, *, at: Path | None = None, may_fail: bool = False
    ) -> str:
        try:
            with stop.child(_GIT_S) as limited:
                end, out, err = capture(
                    ["git", *_QUIET, *words], cwd=at or self._root, env=_environ(), stop=limited
                )
        except OSError as error:
            raise RemedyError(f"git cannot be run: {error}", hint="install git") from error
        stop.remaining(0)
        if end.stopped is not None:
            raise _late(words[0], at or self._root)
        if end.code == 0:
            return out.decode("utf-8", "replace").rstrip("\n")
        if may_fail:
            return ""
        said = one_line(self._redactor.text(err.decode("utf-8", "replace")), 200)
        raise RemedyError(f"git {words[0]} failed: {said}", where=str(at or self._root))


_EXCERPT_LINES: Final = 80
_EXCERPT_BYTES: Final = 8 * 1024


def _late(verb: str, where: Path) -> RemedyError:
    return RemedyError(f"git {verb} was not done within {_GIT_S:g} s", where=str(where))


def _environ() -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if k not in _NOT_THIS_REPOSITORY}
    return {**kept, **_WHO, "GIT_TERMINAL_PROMPT": "0"}
