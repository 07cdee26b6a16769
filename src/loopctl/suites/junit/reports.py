"""The reports that a command left, where it was told to put one: a file, or a folder of files."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from loopctl.process import Stop
from loopctl.suites.junit.copy import JUnitCopies
from loopctl.suites.junit.properties import TraceClaims
from loopctl.suites.junit.reader import read_report
from loopctl.suites.junit.report import Markup, ReportedCase, ReportEnd

_MOST_FILES = 5_000
_NAMED = 3
_BESIDE = ("testng-", "failsafe-summary.")
_SLACK_S = 2.0
"""How coarse a file system's times may be."""


@dataclass(slots=True)
class Survey:
    """What must be known of all cases before one of them is handed over."""

    claims: TraceClaims
    hosts: set[str] = field(default_factory=set)

    def note(self, case: ReportedCase) -> None:
        """Take a case into account."""
        self.claims.note(case.properties)
        if case.host and len(self.hosts) < 2:
            self.hosts.add(case.host)


def reports_at(place: Path) -> list[Path]:
    """The files there, by name; none where nothing was left.

    Of a folder all `*.xml`; without what TestNG and failsafe put beside `TEST-*.xml`, as surefire
    and Gradle write them. What a link leads to counts as what it is.
    """
    if not place.is_dir():
        return [place] if os.path.lexists(place) else []
    found = sorted(path for path in place.glob("*.xml") if not path.is_dir())
    if not any(path.name.startswith("TEST-") for path in found):
        return found
    return [path for path in found if not path.name.startswith(_BESIDE)]


def read_reports(
    files: Sequence[Path],
    on: Callable[[ReportedCase], None],
    stop: Stop,
    copies: JUnitCopies | None = None,
    *,
    began: float = 0.0,
) -> ReportEnd:
    """Read them all; numbers are added up, and what broke is named with its file.

    A report that is older than the command, which `began` then (seconds since the epoch), tells of
    an earlier run: of it nothing is read. Raises `Stopped` when `stop` stops.
    """
    ends: list[ReportEnd] = []
    broken: list[str] = []
    for path in files[:_MOST_FILES]:
        copy = copies.begin() if copies is not None else None
        end = _read(path, on, stop, copy, began)
        if copies is not None and copy is not None:
            copies.keep(copy, end.broken)
        if end.broken is not None:
            broken.append(f"{path.name}: {end.broken}")
        ends.append(end)
    if len(files) > _MOST_FILES:
        broken.append(f"there are more than {_MOST_FILES} reports")
    more = f" and {len(broken) - _NAMED} more" if len(broken) > _NAMED else ""
    return ReportEnd(
        cases=sum(end.cases for end in ends),
        missing=sum(end.missing for end in ends),
        unexplained=sum(end.unexplained for end in ends),
        broken="; ".join(broken[:_NAMED]) + more or None,
    )


def _read(
    path: Path,
    on: Callable[[ReportedCase], None],
    stop: Stop,
    also: Markup | None,
    began: float,
) -> ReportEnd:
    try:
        # A pipe that somebody put there is not waited for.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                return ReportEnd(0, 0, 0, "it is no regular file")
            if found.st_mtime < began - _SLACK_S:
                return ReportEnd(0, 0, 0, "it is older than this run of the command")
            return read_report(file, on, stop, also)
    except OSError as problem:
        return ReportEnd(0, 0, 0, f"it cannot be read: {problem.strerror}")
