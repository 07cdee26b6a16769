"""Log lines with what varies masked, so that lines of one statement fall together.

Masking plus a dictionary of tokens was measured to group as well as drain3 and faster
(facts/log-triage.md). The token memo is what makes it fast: most tokens of a log recur.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from loopctl.triage.shapes import Span, digits_at, shape_of, written_of

VERSION: Final = 2
"""Of how lines become templates and stacks fingerprints: those of another do not compare."""

_LONGEST: Final = 1000
_LONGEST_MESSAGE: Final = 4096
_MOST_TOKENS: Final = 50_000
_MOST_SHAPES: Final = 20_000
_MOST_SAID: Final = 1000

_QUOTED: Final = re.compile(r"\"(?:[^\"\\]|\\.)*\"|(?<!\w)'[^']*'(?!\w)")
_IDENTIFIER: Final = re.compile(r"['\"][A-Za-z_][A-Za-z_.]{0,39}['\"]")
_TOKEN: Final = re.compile(
    r"(?P<uuid>[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12})"
    r"|(?P<time>\d{4}-\d\d-\d\d(?:T[\d:.,]+(?:Z|[+-]\d\d:?\d\d)?)?|\d{1,2}:\d\d:\d\d(?:[.,]\d+)?)"
    r"|(?P<url>\b[a-z][a-z0-9+.-]{0,15}://[^\s,;)\]}>]+)"
    r"|(?P<ip>\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?)"
    r"|(?P<path>(?<![\w.])~?/[^\s,;:)\]}>]+)"
    r"|(?P<hex>\b0[xX][0-9a-fA-F]+\b|\b(?=[0-9a-fA-F]*\d)[0-9a-fA-F]{8,}\b)"
    # A revision's name is new with every run (facts/cloud-run.md 1.3), what is said of it is not.
    r"|(?P<revision>\b[a-z][a-z0-9-]{0,48}-\d{5}-[a-z0-9]{3}\b)"
    r"|(?P<n>[-+]?\d+(?:\.\d+)?)"
)
# What such a number says is the message itself: a 500 must not fall together with a 200.
_TELLING: Final = re.compile(
    r"(?:\b(?:status|code|exit|errno|signal)(?: code)?[=: ] ?|\bexit\(| HTTP/\d(?:\.\d)?\" )"
    r"(\d{1,5})\b",
    re.IGNORECASE,
)
_TELLING_BYTES: Final = re.compile(_TELLING.pattern.encode(), re.IGNORECASE)
_NEEDS_MASK: Final = re.compile(r"[\d/]")
# Digits that must outlast the masking wait it out as characters that no log holds.
_HIDDEN: Final = {ord(str(digit)): 0xE930 + digit for digit in range(10)}
_SHOWN: Final = {hidden: shown for shown, hidden in _HIDDEN.items()}
_REQUEST: Final = re.compile(r"\"[A-Z]{3,8} \S+ HTTP/[\d.]+\"")


def _name(match: re.Match[str]) -> str:
    return f"<{match.lastgroup}>"


def _mask_token(token: str) -> str:
    return _TOKEN.sub(_name, token) if _NEEDS_MASK.search(token) else token


def _hide(telling: re.Match[str]) -> str:
    start = telling.start(1) - telling.start()
    return telling[0][:start] + telling[1].translate(_HIDDEN)


class Masker:
    """Masks lines; holds bounded memos. Not shared between threads.

    Lines that differ in digits alone are of one shape, and looked up by it: most are.
    """

    def __init__(self) -> None:
        self._tokens: dict[str, str] = {}
        self._shapes: dict[bytes, str | _Shape] = {}

    def template(self, text: str) -> str:
        """The line with numbers, hex, uuids, addresses, times, paths and quoted text masked."""
        written = written_of(text[:_LONGEST])
        shape = shape_of(written)
        known = self._shapes.get(shape)
        if known is None:
            return self._learn(shape, written, text[:_LONGEST])
        if isinstance(known, str):
            return known
        said = digits_at(known.spans, written)
        template = known.templates.get(said)
        if template is None:
            template = self._mask(text[:_LONGEST], tells=True)
            if len(known.templates) < _MOST_SAID:
                known.templates[said] = template
        return template

    def _learn(self, shape: bytes, written: bytes, text: str) -> str:
        # Emptying it whole is cheap, and a log that has so many gains nothing by the memo.
        if len(self._shapes) >= _MOST_SHAPES:
            self._shapes.clear()
        spans = telling_digits(written)
        template = self._mask(text, tells=bool(spans))
        if spans:
            tells = _Shape(spans)
            tells.templates[digits_at(spans, written)] = template
            self._shapes[shape] = tells
        else:
            self._shapes[shape] = template
        return template

    def _mask(self, text: str, *, tells: bool) -> str:
        if tells:
            text = _TELLING.sub(_hide, text)
        if '"' in text:
            text = _REQUEST.sub("<request>", text)
        if '"' in text or "'" in text:
            text = _QUOTED.sub("<q>", text)
        tokens = self._tokens
        masked = []
        for token in text.split():
            known = tokens.get(token)
            masked.append(self._learn_token(token) if known is None else known)
        template = " ".join(masked)
        return template.translate(_SHOWN) if tells else template

    def _learn_token(self, token: str) -> str:
        if len(self._tokens) >= _MOST_TOKENS:
            self._tokens.clear()
        masked = self._tokens[token] = _mask_token(token)
        return masked


@dataclass(slots=True)
class _Shape:
    """A shape of which some digits tell, by where they stand."""

    spans: tuple[Span, ...]
    templates: dict[bytes, str] = field(default_factory=dict)


def telling_digits(written: bytes) -> tuple[Span, ...]:
    """Where a line has digits that its template keeps."""
    return tuple([telling.span(1) for telling in _TELLING_BYTES.finditer(written)])


def mask_message(text: str) -> str:
    """A message masked for fingerprints: quoted names stay, they tell two errors apart."""
    text = _TELLING.sub(_hide, text[:_LONGEST_MESSAGE])
    text = _QUOTED.sub(
        lambda quoted: quoted[0] if _IDENTIFIER.fullmatch(quoted[0]) else "<q>", text
    )
    return " ".join(_mask_token(token) for token in text.split()).translate(_SHOWN)
