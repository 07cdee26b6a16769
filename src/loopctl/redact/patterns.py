"""What looks like a credential, though nobody named it.

Every expression is linear: a run of token characters is consumed possessively, so that no byte
is looked at again from a later start. Where a match may turn out to be harmless it has a group
`secret`, and only what that group holds is hidden.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

LONGEST_PRIVATE_KEY: Final = 16 * 1024
"""Bytes from BEGIN to END of a PEM block; a 16384-bit RSA key has about 13 kB."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A credential's look: `gates` are byte strings of which one is in every match."""

    name: str
    gates: tuple[bytes, ...]
    regex: re.Pattern[bytes]

    def spans(self, data: bytes) -> list[tuple[int, int]]:
        """The places of data to hide, as (start, end), in order."""
        if not any(gate in data for gate in self.gates):
            return []
        group = "secret" if "secret" in self.regex.groupindex else 0
        found = (match.span(group) for match in self.regex.finditer(data))
        return [(start, end) for start, end in found if end > start]


def by_line(regex: re.Pattern[bytes], data: bytes) -> Iterator[tuple[int, int]]:
    """Where a pattern of the user matches, line by line, widened to whole UTF-8 characters."""
    group = "secret" if "secret" in regex.groupindex else 0
    offset = 0
    for line in data.split(b"\n"):
        for match in regex.finditer(line):
            start, end = match.span(group)
            if end > start:
                yield offset + _character_start(line, start), offset + _character_end(line, end)
        offset += len(line) + 1


def _character_start(line: bytes, at: int) -> int:
    while at > 0 and _continues(line[at]):
        at -= 1
    return at


def _character_end(line: bytes, at: int) -> int:
    while at < len(line) and _continues(line[at]):
        at += 1
    return at


def _continues(byte: int) -> bool:
    return byte & 0xC0 == 0x80


def _pattern(name: str, gates: tuple[bytes, ...], regex: bytes) -> Pattern:
    return Pattern(name, gates, re.compile(regex))


_KEY_NAME: Final = rb"[A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"

DEFAULT_PATTERNS: Final = (
    # Without an END (a log cut it off) as much goes as still looks like the key's body.
    _pattern(
        "private-key",
        (b"PRIVATE KEY",),
        rb"-----BEGIN " + _KEY_NAME + rb"(?:"
        rb"[^-]*+(?:-(?!----(?:BEGIN|END))[^-]*+)*+-----END " + _KEY_NAME + rb"|"
        rb"(?:(?:\s|\\[rn])*+[A-Za-z0-9+/=]{16,}+)*+)",
    ),
    _pattern(
        "authorization",
        (b"uthorization", b"UTHORIZATION"),
        rb"(?i:authorization)[\"'\\]{0,3}[ \t]{0,4}[:=,][ \t]{0,4}[\"'\\]{0,3}"
        rb"(?i:bearer|basic|token)[ \t]{1,4}(?P<secret>[^\s\"',;\\<>]{6,}+)",
    ),
    # A digit is asked for, because "bearer authentication" is prose.
    _pattern(
        "bearer-token",
        (b"earer ", b"EARER "),
        rb"[Bb](?i:earer)[ \t]{1,4}(?P<secret>(?=[A-Za-z._~+/=-]{0,64}[0-9])[\w.~+/=-]{16,}+)",
    ),
    # One whose end was cut off is told by its second part. The last branch swallows a run of
    # token characters that is no JWT, for linear time.
    _pattern(
        "jwt",
        (b"eyJ",),
        rb"(?P<secret>eyJ[\w-]{8,}+\.(?:[\w-]{8,}+(?:\.[\w-]*+){1,3}|eyJ[\w-]*+))|eyJ[\w-]*+",
    ),
    # A JWT in base64 once more, as WebSocket subprotocols carry it.
    _pattern("jwt", (b"ZXlK",), rb"ZXlK[\w+/-]{12,}+={0,2}"),
    # The same behind other text (`Bearer eyJ…`), whose length moves where its bits fall.
    _pattern("jwt", (b"V5S",), rb"[2GWm]V5S(?=[g-v])[\w+/-]{24,}+={0,2}"),
    _pattern("jwt", (b"leU",), rb"[159BFJNRVZdhlptx]leU[op][\w+/-]{24,}+={0,2}"),
    _pattern("google-api-key", (b"AIza",), rb"AIza[\w-]{30,}+"),
    _pattern("google-access-token", (b"ya29.",), rb"ya29\.[\w.-]{10,}+"),
    _pattern(
        "github-token",
        (b"ghp_", b"gho_", b"ghu_", b"ghs_", b"ghr_", b"github_pat_"),
        rb"g(?:h[pousr]|ithub_pat)_\w{20,}+",
    ),
    _pattern("slack-token", (b"xox",), rb"xox[abeoprs]-[\w-]{10,}+"),
    # Greedy up to the last @ before the path: passwords hold unescaped ones in practice.
    _pattern(
        "url-password",
        (b"://",),
        rb"://[^\s/:@\"'<>]{0,256}:(?P<secret>[^\s/\"'<>]{1,512})@",
    ),
)
