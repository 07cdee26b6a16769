"""`report.html`: one file that a browser shows without a network; the page a person looks at.

What it shows is made part by part in `page`, and is whole and readable without its script.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from loopctl.journal.brief import Brief, Role, brief
from loopctl.journal.causes import causes_of
from loopctl.journal.worklog import Worklog
from loopctl.model.events import THE_CAUSE
from loopctl.reports.not_checked import not_checked, open_questions
from loopctl.reports.page.cases import suite_cases
from loopctl.reports.page.chain import chains
from loopctl.reports.page.course import courses
from loopctl.reports.page.failures import failures
from loopctl.reports.page.matrix import matrix
from loopctl.reports.page.rendering import PLACE_OF_TESTS, rendered
from loopctl.reports.story import cycle_changes, mendings_of, unquoted_novel

_MOST_BYTES = 960_000
"""Of the page: the list of tests has the room that all else leaves."""
_MOST_CAUSES = 20
_MOST_EXPLAINED = 5
"""Causes with all of their evidence, whys and drawing; of the others the page has the quotes."""
_MOST_NOVEL = 20
_MOST_ASKED = 200
_COMMANDS = (Role.MEND, Role.NEXT, Role.REPORT)
"""Lines of the brief that a person copies."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """The lines of one role, which stand one after the other."""

    role: str
    is_command: bool
    texts: tuple[str, ...]


def report_html(worklog: Worklog, folder: Path | None = None) -> str:
    """The document. `folder` is the run's own, as a person would type it; the log lines beside
    the failures are read from it.
    """
    cycle = worklog.last
    facts = _facts(worklog, folder)
    page = rendered("page", facts)
    room = _MOST_BYTES - len(page.encode("utf-8", "replace"))
    suites = suite_cases(cycle, room) if cycle else ()
    return page.replace(PLACE_OF_TESTS, rendered("tests", {**facts, "suites": suites}), 1)


def _facts(worklog: Worklog, folder: Path | None) -> dict[str, object]:
    cycle = worklog.last
    causes = causes_of(cycle.findings) if cycle else ()
    return {
        "log": worklog,
        "run": worklog.run,
        "ended": worklog.ended,
        "cycle": cycle,
        "verdict": worklog.ended.verdict.value if worklog.ended else "not ended",
        "entries": tuple(_entries(brief(worklog, folder))),
        "courses": courses(worklog),
        "matrix": matrix(worklog),
        "compared": _compared(worklog),
        "failures": failures(worklog, folder),
        "causes": causes[:_MOST_CAUSES],
        "explained": _MOST_EXPLAINED,
        "left_out": len(causes) - _MOST_CAUSES,
        "novel": unquoted_novel(cycle)[:_MOST_NOVEL] if cycle else (),
        "chains": chains(worklog),
        "mended": mendings_of(worklog),
        "asked": open_questions(worklog)[:_MOST_ASKED],
        "not_checked": [n for n in not_checked(worklog) if n.what != THE_CAUSE][:_MOST_ASKED],
    }


def _entries(told: Brief) -> Iterator[_Entry]:
    for role, lines in groupby(told.lines, key=lambda line: line.role):
        yield _Entry(role.value, role in _COMMANDS, tuple(line.text for line in lines))


def _compared(worklog: Worklog) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """What the last cycle mended, broke and left, by word; empty with one cycle."""
    if len(worklog.cycles) < 2:
        return ()
    changes = cycle_changes(worklog, len(worklog.cycles) - 1)
    return (
        ("mended", changes.fixed),
        ("broken anew", changes.new),
        ("as before", changes.persisting),
    )
