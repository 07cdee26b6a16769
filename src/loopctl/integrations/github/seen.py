"""In which runs a cause was seen: a table for people, and beside it the same for loopctl.

Anyone who may edit the issue may edit both, so that nothing of it is taken on trust.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Self

from loopctl.inert import code_span
from loopctl.ports.announcer import AnnouncedCause, Announcement

ROWS: Final = 20
"""How many runs are listed; the others are counted."""

_MOST: Final = 10**9
_STATE: Final = re.compile(r"^<!-- loopctl:seen (\{[^\n]{0,60000}\}) -->\s*$", re.MULTILINE)
_FORMS: Final[Mapping[str, re.Pattern[str]]] = {
    "run_id": re.compile(r"[A-Za-z0-9_-]{1,120}"),
    "at": re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d"),
    "loop": re.compile(r"[A-Za-z0-9_-]{1,63}"),
    "environment": re.compile(r"[A-Za-z0-9_-]{1,200}"),
    "verdict": re.compile(r"[a-z-]{1,20}"),
    "commit": re.compile(r"(?:[0-9a-f]{7,64})?"),
    "url": re.compile(r"(?:https?://[\w.:-]{1,200}/[\w./%=-]{0,300})?", re.ASCII),
}


@dataclass(frozen=True, slots=True)
class Seen:
    """One run that a cause was seen in; `at` in UTC, `commit` and `url` empty where not known."""

    run_id: str
    at: str
    loop: str
    environment: str
    verdict: str
    commit: str = ""
    url: str = ""
    tests: int = 0

    @classmethod
    def of(cls, run: Announcement, cause: AnnouncedCause) -> Self:
        """As this run has seen it."""
        url = (run.job.url if run.job else None) or ""
        return cls(
            run_id=run.run_id,
            at=f"{run.started_at:%Y-%m-%d %H:%M}",
            loop=run.loop,
            environment=run.environment,
            verdict=run.verdict.value,
            commit=_fitting("commit", "" if run.dirty else run.commit or ""),
            url=_fitting("url", url),
            tests=cause.cases,
        )

    @classmethod
    def read(cls, told: object) -> Self | None:
        """Out of what stands in an issue; None for what loopctl has not written so."""
        if not isinstance(told, dict) or not told.keys() <= {*_FORMS, "tests"}:
            return None
        texts = {name: told.get(name, "") for name in _FORMS}
        tests = told.get("tests", 0)
        if not all(_fits(name, text) for name, text in texts.items()) or not _is_number(tests):
            return None
        return cls(**texts, tests=tests)


@dataclass(frozen=True, slots=True)
class Sightings:
    """`rows` newest first, `count` of all runs, `since` when the first of them began."""

    count: int = 0
    since: str = ""
    rows: tuple[Seen, ...] = ()

    @classmethod
    def read(cls, body: str) -> Self:
        """What an issue's body tells; nothing where it tells nothing that can be read."""
        found = _STATE.search(body)
        told = _parsed(found[1]) if found else {}
        listed = told.get("rows")
        read = [Seen.read(each) for each in listed] if isinstance(listed, list) else []
        rows = tuple(_newest(row for row in read if row is not None))
        count, since = told.get("count", 0), told.get("since", "")
        return cls(
            max(count if _is_number(count) else 0, len(rows)),
            since if _fits("at", since) else "",
            rows,
        )

    def has(self, run_id: str) -> bool:
        """Whether that run is among those that are listed."""
        return any(row.run_id == run_id for row in self.rows)

    def plus(self, row: Seen) -> Sightings:
        """With one run more; the same where it is listed already."""
        if self.has(row.run_id):
            return self
        rows = _newest([*self.rows, row])
        since = min(filter(None, [self.since, *(each.at for each in rows)]))
        return Sightings(self.count + 1, since, tuple(rows))

    def cut(self, rows: int) -> Sightings:
        """With no more than so many rows, and the same count."""
        return replace(self, rows=self.rows[:rows])

    def state(self) -> str:
        """The hidden mark that `read` reads."""
        document = {"count": self.count, "since": self.since, "rows": [*map(asdict, self.rows)]}
        text = json.dumps(document, separators=(",", ":"))
        # In a JSON text these stand in strings alone: no comment ends in one of them.
        for char in "<>-":
            text = text.replace(char, f"\\u{ord(char):04x}")
        return f"<!-- loopctl:seen {text} -->"

    def table(self) -> str:
        """As Markdown."""
        rows = [
            "| began (UTC) | run | of | commit | verdict | tests |",
            "|---|---|---|---|---|---|",
            *(_line(row) for row in self.rows),
        ]
        left = self.count - len(self.rows)
        return "\n".join([*rows, *([f"\nand in {left} before these"] if left > 0 else [])])


def _line(row: Seen) -> str:
    run = f"[{code_span(row.run_id)}]({row.url})" if row.url else code_span(row.run_id)
    where = code_span(f"{row.loop} on {row.environment}")
    # Not as code: GitHub leads from a bare commit to the commit.
    tests = str(row.tests) if row.tests else ""
    return f"| {row.at} | {run} | {where} | {row.commit[:12]} | {row.verdict} | {tests} |"


def _newest(rows: Iterable[Seen]) -> Sequence[Seen]:
    """A run's id begins with its time."""
    unique = {row.run_id: row for row in rows}
    return sorted(unique.values(), key=lambda row: (row.at, row.run_id), reverse=True)[:ROWS]


def _parsed(text: str) -> Mapping[str, Any]:
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def _fits(name: str, text: object) -> bool:
    return isinstance(text, str) and _FORMS[name].fullmatch(text) is not None


def _fitting(name: str, text: str) -> str:
    return text if _fits(name, text) else ""


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST
