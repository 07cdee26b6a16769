"""Takes out of an export what looks like a credential, before anything looks at its text.

There is no loop file that names the secrets, so their looks must do.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from dataclasses import replace
from typing import Final

from loopctl.redact import Redactor
from loopctl.triage.export.pieces import Piece
from loopctl.triage.regexes import Regex

_NAMES: Final = (
    r"(?:passw(?:or)?d|passphrase|secret|api[_-]?key|access[_-]?key|private[_-]?key"
    r"|(?:access|auth|refresh|id|bearer)[_-]?token|credentials?)"
)
# The name of a variable or of a secret is what a person has to read.
_NO_VALUE: Final = (
    r"(?!projects/|[A-Z][A-Z0-9_]+\b|\[redacted|required|missing|None|null|undefined)"
)
_VALUE: Final = r"(?P<secret>[^\s\"',;&\\<>()\[\]{}]{6,512})"
_PATTERNS: Final = (
    rf"(?i:{_NAMES})[\"']?=[\"']?{_NO_VALUE}{_VALUE}",
    rf"(?i:{_NAMES})\\?[\"']: ?\\?[\"']{_NO_VALUE}{_VALUE}",
    rf"(?i:{_NAMES})[:=] ?(?=[^\s\"',;]{{0,100}}\d){_NO_VALUE}{_VALUE}",
    r"(?i)(?:^|[?&])(?:key|token|sig|signature|access_token|code)=(?P<secret>[^\s&\"'<>]{8,512})",
    r"(?i)(?:set-)?cookie[\"']?[:=][ \t]{0,2}[\"']?(?P<secret>[^\"'\r\n]{8,2000})",
    r"(?i)x-api-key[\"']?[:=][ \t]{0,2}[\"']?(?P<secret>[^\s\"',;]{6,512})",
    r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
    r"\bsk-(?:[A-Za-z]{2,8}-)?[A-Za-z0-9_-]{20,200}",
    r"\bsk_live_[A-Za-z0-9]{10,200}",
    r"\bglpat-[A-Za-z0-9_-]{16,200}",
    r"\bGOCSPX-[A-Za-z0-9_-]{20,200}",
    r"\bnpm_[A-Za-z0-9]{30,200}",
)
# Every text that any pattern needs, ours and the redactor's: most lines hold none of them.
_GATE: Final = Regex(
    r"://|eyJ|ZXlK|V5S|leU|AIza|ya29\.|gh[oprsu]_|github_pat_|xox|PRIVATE KEY|AKIA|ASIA|sk[-_]"
    r"|glpat-|GOCSPX-|npm_|[?&](?:key|token|sig|signature|code)="
    r"|(?i:authoriz|bearer|passw|passphrase|secret|api[_-]?key|access[_-]?key|private[_-]?key"
    r"|[_-]?token[\"'\\]{0,3} ?[=:]|credential|cookie)"
)
_KEY_BEGINS: Final = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY")
_KEY_ENDS: Final = "-----END "
_KEY_BODY: Final = re.compile(r"[A-Za-z0-9+/=\\nr\s|:,-]{1,200}")
_HIDDEN: Final = "[redacted:private-key]"
_MOST_STREAMS: Final = 256


class Hider:
    """Hides credentials in pieces, in their order; a key of several lines may be one line each."""

    def __init__(self) -> None:
        self._redactor = Redactor({}, _PATTERNS)
        self._in_key: OrderedDict[tuple[str, str, str], None] = OrderedDict()

    def hide(self, piece: Piece) -> None:
        """Put labels in place of what looks like a credential."""
        text = piece.text
        if self._in_key and self._goes_on(piece):
            return
        if _GATE.search(text) is not None:
            if _KEY_BEGINS.search(text) and _KEY_ENDS not in text:
                self._in_key[_stream_of(piece)] = None
                if len(self._in_key) > _MOST_STREAMS:
                    self._in_key.popitem(last=False)
            piece.text = self._redactor.text(text)
        request = piece.request
        if request is not None and (hidden := self._redacted_path(request.path)) != request.path:
            piece.request = replace(request, path=hidden)

    def _goes_on(self, piece: Piece) -> bool:
        """Whether the line is one of a key that began above; it is hidden then."""
        key = _stream_of(piece)
        if key not in self._in_key:
            return False
        if _KEY_ENDS in piece.text or not _KEY_BODY.fullmatch(piece.text.strip()):
            del self._in_key[key]
            if _KEY_ENDS not in piece.text:
                return False
        piece.text = _HIDDEN
        return True

    def _redacted_path(self, path: str) -> str:
        if len(path) > 20 and _GATE.search(path) is not None:
            return self._redactor.text(path)
        return path


def _stream_of(piece: Piece) -> tuple[str, str, str]:
    return (piece.revision, piece.stream, piece.instance)
