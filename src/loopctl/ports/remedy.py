"""Running a remedy's command, and seeing what it changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from loopctl.errors import PortError
from loopctl.process import Stop


class RemedyError(PortError):
    """A remedy could not be started, or the work tree could not be read."""


@dataclass(frozen=True, slots=True)
class CommandEnd:
    """How a remedy's command ended.

    `code` is negative for a signal; `late`: it was ended because its own time was up.
    `last_line` is the last line it printed, redacted and inert; empty when it printed nothing.
    `output_lost` says why the file with its output is not whole; empty when it is.
    """

    code: int
    duration_s: float
    late: bool = False
    last_line: str = ""
    output_lost: str = ""


@dataclass(frozen=True, slots=True)
class WorkTreeState:
    """The project's files at one moment, as far as a remedy could change what a run relies on.

    `files` maps the path relative to the project root to `mode blob`, as git has them; git-ignored
    files are left out, but for those that tests, loop files and signatures are made of and what git
    itself goes by. `in_git`: the root is a git repository that can be read. `digest` is `sha256:…`
    over `files`.
    """

    files: Mapping[str, str] = field(default_factory=dict)
    in_git: bool = False
    digest: str = ""

    def changed(self, later: WorkTreeState) -> tuple[str, ...]:
        """Paths that were added, removed or changed between this state and a later one, sorted.

        When git was lost in between, nobody knows what it would ignore: then only paths that were
        known before count.
        """
        git_was_lost = self.in_git and not later.in_git
        names = self.files.keys() | (() if git_was_lost else later.files.keys())
        return tuple(sorted(n for n in names if self.files.get(n) != later.files.get(n)))


class WorkTree(Protocol):
    """The work tree that a remedy may change."""

    def read(self, stop: Stop) -> WorkTreeState:
        """Its files now. Raises `RemedyError`."""
        ...

    def forget_compiled(self, stop: Stop) -> None:
        """Remove what Python compiled of it, which a remedy may have poisoned unseen.

        It is no part of the files that `read` compares. Raises `RemedyError`.
        """
        ...


class RemedyCommand(Protocol):
    """Runs a command in the project root, with an allow-listed environment and a deadline."""

    def run(
        self,
        command: Sequence[str],
        variables: Mapping[str, str],
        output: Path,
        timeout_s: float,
        stop: Stop,
    ) -> CommandEnd:
        """Run it to its end; no process that it started outlives this call.

        `variables` are the contract's `LOOPCTL_…`; everything it prints goes, redacted and
        bounded in size, to the file `output`, whose folder exists. Raises `RemedyError` when it
        cannot be started, and `Stopped` when `stop` ended it, once all its processes are dead.
        """
        ...


@dataclass(frozen=True, slots=True)
class Kept:
    """What a branch holds in the end: its last commit, and the first lines of its diff, redacted.

    `changed`: it is not the commit that it began with.
    """

    commit: str
    changed: bool
    excerpt: str = ""


class Branches(Protocol):
    """Clean work trees on branches of their own. Every verb raises `RemedyError`."""

    def begin(
        self, tree: Path, branch: str, start: str | None, commit: str | None, stop: Stop
    ) -> str:
        """Check out a new `branch` at `tree`; the commit that it begins with.

        That is `start`, or, where that is None, what the user's own work tree is at: which must be
        clean, and at `commit` where one is given. What an earlier process had begun there goes.
        """
        ...

    def again(self, tree: Path, branch: str, stop: Stop) -> None:
        """Check the branch out once more, where its work tree has gone; else nothing."""
        ...

    def keep(
        self, tree: Path, branch: str, base: str, diff: Path, message: str, stop: Stop
    ) -> Kept:
        """Commit to the branch all that the work tree holds, and write its diff since `base`."""
        ...

    def end(self, tree: Path, stop: Stop) -> None:
        """Take the work tree away, whatever is in it; the branch stays. Nothing if it is gone."""
        ...

    def forget(self, branch: str, stop: Stop) -> None:
        """Take a branch away on which nothing is."""
        ...

    def refs(self, stop: Stop) -> Mapping[str, str]:
        """Every branch, tag and the like with its commit; `HEAD` is the user's own."""
        ...
