"""Telling others how a run ended: an issue, a comment, a status, a message.

What is told is made of the journal, so that it is redacted; it is not inert: each announcer makes
it so for the place where it is shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

from loopctl.errors import PortError
from loopctl.model.ci_job import CiJob
from loopctl.model.state import Verdict
from loopctl.process import Stop


class AnnounceError(PortError):
    """Somebody could not be told: no answer, a refusal, no permission."""


@dataclass(frozen=True, slots=True)
class AnnouncedCause:
    """A cause that the last cycle found, with the line that shows it and where that stands.

    `suggestion` is what may mend it, `cases` how many tests failed by it. `signature` is None
    where no known cause matches; `fingerprint` is the same for the same cause in every run.
    """

    fingerprint: str
    title: str
    signature: str | None = None
    service: str | None = None
    confidence: float = 0.0
    quote: str | None = None
    source: str | None = None
    suggestion: str | None = None
    cases: int = 0


@dataclass(frozen=True, slots=True)
class Before:
    """A run of the same loop on the same environment before this one.

    `causes` are fingerprints, `told` the names of those announcers that know how it ended.
    """

    run_id: str
    verdict: str
    causes: tuple[str, ...] = ()
    told: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Announcement:
    """A run that has ended, as others are told of it.

    `lines` are the first screen's: label and text. `commit` is that of the source that was read,
    `dirty` whether it was changed. `folder` is the run's own, as a person would type it.
    `before` is None for the first run, and where the history could not be read. `earlier` are the
    runs before it that tell how things stood, the newest first; None where they could not be read.
    `asked`: somebody wants it told now, whatever was told before.
    """

    run_id: str
    loop: str
    environment: str
    verdict: Verdict
    exit_code: int
    started_at: datetime
    ended_at: datetime
    duration_s: float
    folder: str
    partial: bool = False
    protected: bool = False
    commit: str | None = None
    dirty: bool = False
    owner: str | None = None
    runbook: str | None = None
    lines: tuple[tuple[str, str], ...] = ()
    causes: tuple[AnnouncedCause, ...] = ()
    before: Before | None = None
    job: CiJob | None = None
    earlier: tuple[Before, ...] | None = ()
    asked: bool = False


@dataclass(frozen=True, slots=True)
class Beginning:
    """A run that begins. `commit` and `dirty` as in `Announcement`, of the source as it is now."""

    run_id: str
    loop: str
    environment: str
    partial: bool = False
    commit: str | None = None
    dirty: bool = False
    job: CiJob | None = None


class Herald(Protocol):
    """One place where it is told that a run begins."""

    @property
    def name(self) -> str:
        """What it is in words, without a secret: `a commit status on GitHub`."""
        ...

    def begin(self, run: Beginning, stop: Stop) -> Sequence[str]:
        """Tell of it; what was done, in words. Raises as `Announcer.announce` does."""
        ...


class Announcer(Protocol):
    """One place where a run is told of."""

    @property
    def name(self) -> str:
        """What it is in words, without a secret: `an issue on GitHub`."""
        ...

    def announce(self, run: Announcement, stop: Stop) -> Sequence[str]:
        """Tell of it, where there is reason to; what was done, in words, empty: nothing to tell.

        Telling twice of the same run does no more than telling once. Raises `AnnounceError`, and
        `Stopped` when the time is over.
        """
        ...


@runtime_checkable
class Previewer(Protocol):
    """An announcer that can show what it would tell, without telling it."""

    def preview(self, run: Announcement) -> str:
        """What would be sent, for a person to read; no address of its own that is a secret."""
        ...
