"""Log lines with what varies masked, so that lines of one statement fall together.

Masking plus a dictionary of tokens was measured to group as well as drain3 and faster
(facts/log-triage.md). The token memo is what makes it fast: most tokens of a log recur.
"""

from __future__ import annotations

import re
from typing import Final

_LONGEST: Final = 4096
_MEMO_LIMIT: Final = 50_000

_QUOTED: Final = re.compile(r"\"(?:[^\"\\]|\\.)*\"|(?<!\w)'[^']*'(?!\w)")
_IDENTIFIER: Final = re.compile(r"['\"][A-Za-z_][A-Za-z_.]{0,39}['\"]")
_TOKEN: Final = re.compile(
    r"(?P<uuid>[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12})"
    r"|(?P<time>\d{4}-\d\d-\d\d(?:T[\d:.,]+(?:Z|[+-]\d\d:?\d\d)?)?|\d{1,2}:\d\d:\d\d(?:[.,]\d+)?)"
    r"|(?P<url>\b[a-z][a-z0-9+.-]*://[^\s,;)\]}>]+)"
    r"|(?P<ip>\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?)"
    r"|(?P<path>(?<![\w.])~?/[^\s,;:)\]}>]+)"
    r"|(?P<hex>\b0[xX][0-9a-fA-F]+\b|\b(?=[0-9a-fA-F]*\d)[0-9a-fA-F]{8,}\b)"
    # A revision's name is new with every run (facts/cloud-run.md 1.3), what is said of it is not.
    r"|(?P<revision>\b[a-z][a-z0-9-]{0,48}-\d{5}-[a-z0-9]{3}\b)"
    r"|(?P<n>[-+]?\d+(?:\.\d+)?)"
)
# What such a number says is the message itself: a 500 must not fall together with a 200.
_TELLING: Final = re.compile(r"\(?(?:status|code|exit|errno|signal)[=:]\d+\W*", re.IGNORECASE)
_NEEDS_MASK: Final = re.compile(r"[\d/]")


def _name(match: re.Match[str]) -> str:
    return f"<{match.lastgroup}>"


def _mask_token(token: str) -> str:
    if not _NEEDS_MASK.search(token) or _TELLING.fullmatch(token):
        return token
    return _TOKEN.sub(_name, token)


class Masker:
    """Masks lines; holds a bounded memo of tokens. Not shared between threads."""

    def __init__(self) -> None:
        self._memo: dict[str, str] = {}

    def template(self, text: str) -> str:
        """The line with numbers, hex, uuids, addresses, times, paths and quoted text masked."""
        text = text[:_LONGEST]
        if '"' in text or "'" in text:
            text = _QUOTED.sub("<q>", text)
        memo = self._memo
        masked = []
        for token in text.split():
            known = memo.get(token)
            masked.append(self._learn(token) if known is None else known)
        return " ".join(masked)

    def _learn(self, token: str) -> str:
        # Emptying it whole is cheap, and a log that has so many tokens gains nothing by the memo.
        if len(self._memo) >= _MEMO_LIMIT:
            self._memo.clear()
        masked = self._memo[token] = _mask_token(token)
        return masked


def mask_message(text: str) -> str:
    """A message masked for fingerprints: quoted names stay, they tell two errors apart."""
    text = _QUOTED.sub(
        lambda quoted: quoted[0] if _IDENTIFIER.fullmatch(quoted[0]) else "<q>", text[:_LONGEST]
    )
    return " ".join(_mask_token(token) for token in text.split())
