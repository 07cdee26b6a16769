"""A case's story: what was logged, in the order of its happening.

One line an entry: `SECONDS CHANNEL TEXT`. A line that begins with `| ` goes on with the entry
before it: as an entry of its own 20 µs later, the way Cloud Run splits what a process prints, or
in the same entry where the channel ends in `+`. A channel is
`[SERVICE.]KIND[+][/SEVERITY][@INSTANCE][^REVISION]`; KIND is `stdout`, `stderr`, `system`,
`audit`, `json` (TEXT is a JSON object, or the message of one) or `req` (TEXT is `METHOD PATH STATUS
SECONDS`, and behind ` -- ` what the platform says of it).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

_HEAD: Final = re.compile(
    r"(?P<at>-?[\d.]+)\s+(?:(?P<service>[\w-]+)\.)?(?P<kind>stdout|stderr|system|audit|json|req)"
    r"(?P<plus>\+?)(?:/(?P<severity>[A-Z]+))?(?:@(?P<instance>[\w]+))?(?:\^(?P<revision>[\w-]+))?"
    r"(?: (?P<text>.*))?$"
)
_NEXT_LINE_S: Final = 0.000_02


@dataclass(frozen=True, slots=True)
class Line:
    """One entry; `at` in seconds from the moment that the case is about."""

    at: float
    service: str
    kind: str
    text: str
    severity: str = ""
    instance: str = ""
    revision: str = ""
    whole: bool = False


def told(text: str, service: str, revision: str) -> tuple[Line, ...]:
    """The lines of a story; those that name no service or revision are of the given ones.

    Raises ValueError for a line that is none.
    """
    lines: list[Line] = []
    for number, raw in enumerate(text.splitlines(), 1):
        if raw == "|" or raw.startswith("| "):
            lines.extend(_continued(lines, raw[2:]))
        elif raw.strip():
            lines.append(_begun(raw, number, service, revision))
    return tuple(lines)


def _begun(raw: str, number: int, service: str, revision: str) -> Line:
    head = _HEAD.match(raw)
    if head is None:
        raise ValueError(f"line {number} of the story is none: {raw}")
    mine = head["service"] or service
    serving = head["revision"] or (revision if mine == service else f"{mine}-00007-46f")
    return Line(
        at=float(head["at"]),
        service=mine,
        kind=head["kind"],
        text=head["text"] or "",
        severity=head["severity"] or "",
        instance=head["instance"] or "",
        revision=serving,
        whole=bool(head["plus"]),
    )


def _continued(lines: list[Line], text: str) -> Iterator[Line]:
    before = lines[-1]
    if before.whole:
        lines[-1] = replace(before, text=f"{before.text}\n{text}")
    else:
        yield replace(before, at=before.at + _NEXT_LINE_S, text=text)
