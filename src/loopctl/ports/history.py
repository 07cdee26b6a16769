"""What earlier runs of a loop tell later ones, wherever it is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from loopctl.errors import PortError
from loopctl.model.baseline import Baseline
from loopctl.model.evidence import CaseStatus, Grade
from loopctl.process import Stop


class HistoryError(PortError):
    """Records cannot be read or kept: no permission, full disk, a name that is no name."""


@dataclass(frozen=True, slots=True)
class CaseRecord:
    """How one test ended in one run, redacted.

    `code` is the hash of the test's code and fixtures where the control run has borne its pass out.
    """

    status: CaseStatus
    duration_s: float
    grade: Grade | None = None
    code: str | None = None


@dataclass(frozen=True, slots=True)
class RemedyRecord:
    """A remedy that a run carried out. `cause` is the rule or signature that asked for it.

    `result` is `done` or `failed`; `mended`: what it claims to mend was seen whole afterwards, None
    where the run ended before anyone looked. `on` is a digest of the sources that it was done on,
    empty where those are not known.
    """

    cause: str
    action: str
    result: str
    at: datetime
    service: str | None = None
    mended: bool | None = None
    on: str = ""


@dataclass(frozen=True, slots=True)
class FindingRecord:
    """A cause that a run has found, by its fingerprint."""

    fingerprint: str
    signature: str | None
    title: str
    service: str | None = None


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run's last cycle, as later runs need it.

    `images` are what each service was made from, by its name: the hash of the source tree, else the
    image's digest. `suites` are the cases by suite and id, of suites that were run; `outcomes` and
    `seconds` what each of those came to, and how long it took. `verdict` is None for a run that has
    not ended. `verified` are the revisions that it verified, by service; `durations` seconds by
    stage, `duration_s` of the whole run. `green` is what a failing run is held against, of green
    runs alone; `greens` are the newest green runs that this one knew of, itself among them, the
    newest first: by them a green run is found behind many that are not. `configuration` is what
    services and suites were given, names with hashes under the key whose id is `hashed_by`,
    `files` the loop's files with theirs. `findings` and `remedies` are of all its cycles;
    `migrations` a hash of what the schema of each service is made of, where it was the same in all
    of them. `sources` are the hashes of the source trees that were read, by service.
    `told` are the names of those who know how it ended: who were told, or had nothing to be told.
    """

    run_id: str
    loop: str
    environment: str
    started_at: datetime
    verdict: str | None = None
    partial: bool = False
    commit: str | None = None
    images: Mapping[str, str] = field(default_factory=dict)
    suites: Mapping[str, Mapping[str, CaseRecord]] = field(default_factory=dict)
    outcomes: Mapping[str, str] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    verified: Mapping[str, str] = field(default_factory=dict)
    duration_s: float | None = None
    durations: Mapping[str, float] = field(default_factory=dict)
    green: Baseline | None = None
    greens: tuple[str, ...] = ()
    configuration: Mapping[str, str] = field(default_factory=dict)
    hashed_by: str | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    findings: tuple[FindingRecord, ...] = ()
    remedies: tuple[RemedyRecord, ...] = ()
    migrations: Mapping[str, str] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    told: tuple[str, ...] = ()

    @property
    def is_whole_green(self) -> bool:
        """Whether later runs may compare themselves with it."""
        return self.verdict == "green" and not self.partial


class History(Protocol):
    """One object a run; names sort by time."""

    def recent(self, loop: str, environment: str, limit: int, stop: Stop) -> Sequence[RunRecord]:
        """The newest records, at most `limit`, the newest first; raises `HistoryError`.

        A record that cannot be understood is passed over.
        """
        ...

    def named(
        self, loop: str, environment: str, run_ids: Sequence[str], stop: Stop
    ) -> Sequence[RunRecord]:
        """The records of these runs, in their order; raises `HistoryError`.

        One that is not there, or cannot be understood, is left out.
        """
        ...

    def put(self, record: RunRecord, stop: Stop) -> None:
        """Keep a record; one of the same run is replaced whole. Raises `HistoryError`."""
        ...

    def key(self, stop: Stop) -> bytes:
        """The key of hashes of configuration, the same for all who share the history.

        Made when it is first asked for, and kept beside the records, in none of them. Raises
        `HistoryError`.
        """
        ...
