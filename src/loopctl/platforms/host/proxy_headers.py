"""Which headers pass a reverse proxy, in both directions (RFC 9110, section 7.6.1). Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import h11

Headers = list[tuple[bytes, bytes]]

#: Marks an answer as the front door's own; its value says why.
OWN_ANSWER: Final = b"x-loopctl-front-door"

_HOP_BY_HOP: Final = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"te", b"transfer-encoding", b"upgrade")
)
# A client must not be able to strip what frames or addresses its own request.
_NEVER_BY_WISH: Final = frozenset((b"host", b"content-length"))


def wants_websocket(request: h11.Request) -> bool:
    """Tell whether the request asks to become a WebSocket connection."""
    return b"websocket" in _tokens(request, b"upgrade") and b"upgrade" in _tokens(
        request, b"connection"
    )


def body_length(request: h11.Request) -> int | None:
    """Return how many body bytes the request announces; None for a chunked body."""
    headers = dict(request.headers)
    if b"transfer-encoding" in headers:
        return None
    return int(headers.get(b"content-length", b"0"))


def for_upstream(request: h11.Request, client: str, authority: str) -> Headers:
    """Return the headers of `request` as its upstream gets them.

    `client` is the client's address, `authority` what stands in for a missing Host (HTTP/1.0).
    """
    upgrade = wants_websocket(request)
    headers = list(_end_to_end(request, keep_upgrade=upgrade))
    names = {name for name, _ in request.headers}
    if upgrade:
        headers.append((b"Connection", b"Upgrade"))
    if b"transfer-encoding" in names:
        headers.append((b"Transfer-Encoding", b"chunked"))
    if b"host" not in names:
        headers.append((b"Host", authority.encode("ascii")))
    if request.http_version < b"1.1":
        headers = [(name, value) for name, value in headers if name.lower() != b"expect"]
    return _forwarded(headers, dict(request.headers), client.encode("ascii"))


def for_client(response: h11.Response | h11.InformationalResponse) -> Headers:
    """Return the headers of an upstream's answer as the client gets them.

    h11 adds the framing that the client's own HTTP version needs.
    """
    upgrade = response.status_code in (101, 426)
    headers = [
        (name, value)
        for name, value in _end_to_end(response, keep_upgrade=upgrade)
        if name.lower() != OWN_ANSWER
    ]
    return [*headers, (b"Connection", b"Upgrade")] if upgrade else headers


def _end_to_end(
    message: h11.Request | h11.Response | h11.InformationalResponse, *, keep_upgrade: bool
) -> Iterator[tuple[bytes, bytes]]:
    dropped = set(_HOP_BY_HOP | (_tokens(message, b"connection") - _NEVER_BY_WISH))
    if keep_upgrade:
        dropped.discard(b"upgrade")
    # With both framings the length is a lie at best and a smuggled request at worst.
    if any(name == b"transfer-encoding" for name, _ in message.headers):
        dropped.add(b"content-length")
    for name, value in message.headers.raw_items():
        if name.lower() not in dropped:
            yield name, value


def _forwarded(headers: Headers, asked: dict[bytes, bytes], client: bytes) -> Headers:
    kept = [(name, value) for name, value in headers if name.lower() != b"x-forwarded-for"]
    chain = [value for name, value in headers if name.lower() == b"x-forwarded-for"]
    kept.append((b"X-Forwarded-For", b", ".join([*chain, client])))
    if b"x-forwarded-proto" not in asked:
        kept.append((b"X-Forwarded-Proto", b"http"))
    if b"x-forwarded-host" not in asked and b"host" in asked:
        kept.append((b"X-Forwarded-Host", asked[b"host"]))
    return kept


def _tokens(
    message: h11.Request | h11.Response | h11.InformationalResponse, header: bytes
) -> frozenset[bytes]:
    return frozenset(
        token.strip().lower()
        for name, value in message.headers
        if name == header
        for token in value.split(b",")
    )
