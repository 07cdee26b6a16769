"""A proxy that is refused at one port, where the service behind it listens on another."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from loopctl.model.finding import Fault, FaultKind, Quote
from loopctl.triage.export.pieces import Piece
from loopctl.triage.regexes import Regex

_GATE: Final = Regex(r"(?i)refused")
# nginx, Apache, Envoy, Traefik and Caddy, HAProxy
_REFUSED: Final = re.compile(
    r"(?i)connection refused\)? while connecting to upstream.*upstream: \"\w+://[^/\s\"]*:(\d{2,5})"
    r"|connection refused: AH\d+: .*?:(\d{2,5}) \(|\b502\b.*dial tcp \S+:(\d{2,5}): .*refused"
    r"|\breverse_?proxy\b.*dial tcp \S+:(\d{2,5}): .*refused"
    r"|\bupstream\b.{0,120}?:(\d{2,5})\b.{0,80}refused"
)
_MOST_QUOTED: Final = 2

Listeners = Mapping[str, Sequence[tuple[str, Quote]]]
"""By service the ports that it says it listens on, with the lines that say so."""


def proxied(source: str, pieces: Sequence[Piece], listeners: Listeners) -> Iterator[Fault]:
    """The one service that listens, where a proxy that writes these pieces is refused elsewhere.

    Where several services listen nobody knows which of them was meant.
    """
    refused: dict[str, Piece] = {}
    for piece in pieces:
        if _GATE.search(piece.text) is not None and (found := _REFUSED.search(piece.text)):
            refused[next(filter(None, found.groups()))] = piece
    proxies = {piece.service for piece in refused.values()}
    behind = {name: said for name, said in listeners.items() if said and name not in proxies}
    if len(behind) != 1:
        return
    service, said = next(iter(behind.items()))
    ports = dict.fromkeys(port for port, _ in said)
    for told, piece in refused.items():
        if told not in ports:
            words = f"{service}: told PORT={told}, listens on {', '.join(ports)}"
            line = Quote("log", f"{source}#{piece.number}", piece.text[:500])
            quotes = (line, *(quote for _, quote in said[-_MOST_QUOTED:]))
            yield Fault(FaultKind.WRONG_PORT, words, service, next(iter(ports)), quotes)
