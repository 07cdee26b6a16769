"""The signs of the live view, for terminals with Unicode and for those without."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TextIO

_COERCED: Final = ("C.UTF-8", "C.utf8", "UTF-8")
_NO_NAME: Final = ("", "C", "POSIX")


@dataclass(frozen=True, slots=True)
class Marks:
    """One sign each. `codec` is what the terminal is told text in: what it lacks is escaped."""

    done: str
    failed: str
    running: str
    waiting: str
    between: str
    leads: str
    cut: str
    full: str
    empty: str
    codec: str


UNICODE: Final = Marks("✓", "✗", "▸", "·", " · ", "→", "…", "━", "─", "utf-8")
ASCII: Final = Marks("+", "x", ">", ".", " | ", "->", "...", "#", "-", "ascii")


def marks_for(stream: TextIO, environ: Mapping[str, str]) -> Marks:
    """What the terminal can show, by the stream's encoding and by the locale."""
    encoding = (stream.encoding or "").lower().replace("-", "")
    unicode = encoding == "utf8" and _names_utf8(environ, forced=bool(sys.flags.utf8_mode))
    return UNICODE if unicode else ASCII


def _names_utf8(environ: Mapping[str, str], *, forced: bool) -> bool:
    """Whether the locale names UTF-8. `forced`: Python took it for that where it was `C`."""
    kind, language = environ.get("LC_CTYPE", ""), environ.get("LANG", "")
    # PEP 538: Python itself sets LC_CTYPE where the locale was C.
    coerced = forced and kind in _COERCED and language in _NO_NAME
    named = environ.get("LC_ALL") or ("" if coerced else kind) or language
    return "utf8" in named.lower().replace("-", "")
