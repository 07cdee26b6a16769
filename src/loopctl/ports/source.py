"""Reading the source that a run is about."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from loopctl.errors import PortError
from loopctl.model.artifact import SourceTree
from loopctl.process import Stop


class SourceError(PortError):
    """The source cannot be read: missing, empty, outside the repository, git broken."""


@dataclass(frozen=True, slots=True)
class CommitLine:
    """One commit, for the list of what changed since green.

    `files` are those it touched, below the folder that was asked about; of a merge none.
    """

    commit: str
    subject: str
    files: tuple[str, ...] = ()


class Sources(Protocol):
    """Reads source trees; never writes to them."""

    def read(self, folder: Path, stop: Stop) -> SourceTree:
        """The tree of `folder` as it is now; raises `SourceError`."""
        ...

    def commits_between(
        self, folder: Path, old: str, new: str, stop: Stop
    ) -> tuple[CommitLine, ...]:
        """Commits that touch `folder`, newest first, at most 50; raises `SourceError`."""
        ...

    def uncommitted(self, folder: Path, stop: Stop) -> tuple[str, ...]:
        """The files below `folder` that are not as in the commit it stands at, at most 50.

        Raises `SourceError`.
        """
        ...
