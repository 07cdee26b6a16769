"""What is known of a cause from before: its issue, and in how many runs it was seen."""

from __future__ import annotations

import re
from typing import Final

from loopctl.inert import one_line
from loopctl.journal.wording import count
from loopctl.model.finding import Finding, Sightings

_NAMED: Final = 2
_NUMBERED: Final = re.compile(
    r"https?://[^\s]+/(?:issues|pull|merge_requests|-/issues)/(\d{1,9})/?"
)
_KEYED: Final = re.compile(r"https?://[^\s]+/browse/([A-Z][A-Z0-9]{0,19}-\d{1,9})/?")


def known_issue(finding: Finding) -> str:
    """`#265, seen in 7 earlier runs since 2026-11-02`; empty where nothing is known."""
    links = [issue_name(link) for link in finding.links[:_NAMED]]
    more = [f"{len(finding.links) - _NAMED} more"] if len(finding.links) > _NAMED else []
    seen = [seen_text(finding.seen)] if finding.seen is not None else []
    return ", ".join(links + more + seen)


def seen_text(seen: Sightings) -> str:
    """How often, and since which day."""
    return f"seen in {count(seen.runs, 'earlier run')} since {seen.since:%Y-%m-%d}"


def issue_name(link: str) -> str:
    """An issue as people call it, `#265` or `OPS-12`; any other link as it stands."""
    if numbered := _NUMBERED.fullmatch(link):
        return f"#{numbered[1]}"
    if keyed := _KEYED.fullmatch(link):
        return keyed[1]
    return one_line(link, 80)
