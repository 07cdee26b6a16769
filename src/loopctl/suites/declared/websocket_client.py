"""One WebSocket connection of the library `websockets`, its bytes counted, its errors in words.

This module is imported where a suite runs, and not before: the library takes its time.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidMessage,
    InvalidStatus,
    WebSocketException,
)
from websockets.proxy import get_proxy
from websockets.uri import parse_uri

from loopctl.inert import decode
from loopctl.suites.declared.probe_address import Address
from loopctl.suites.declared.probe_case import Clean
from loopctl.suites.declared.tcp_counts import Socket, TcpCounts, tcp_counts
from loopctl.suites.declared.unanswered import network_reason

LARGEST_MESSAGE: Final = 2**20
"""Bytes; a larger message ends its connection."""

CLOSE_S: Final = 5.0
"""How long the service may take to answer a close."""

#: What a client raises when there is no connection, or not any more. ImportError: a SOCKS proxy
#: in the environment, and nothing installed that speaks to one.
ERRORS: Final = (WebSocketException, OSError, ValueError, EOFError, ImportError)

# The library logs what services do; a log nobody configured would go to the terminal.
_QUIET = logging.getLogger("loopctl.websocket")
_QUIET.addHandler(logging.NullHandler())
_QUIET.propagate = False

_OWN_WORDS = {
    1002: "what came is no WebSocket's",
    1007: "a text message is not UTF-8",
    1009: f"a message is larger than {LARGEST_MESSAGE // 2**20} MiB",
}


@dataclass(slots=True)
class Counted:
    """What went over one connection; `port` is this end's, None while there is no connection.

    `is_hearsay`: a proxy is on the way and nothing is encrypted, so that what it said need not be
    the service's word. Nothing is counted then.
    """

    socket: Socket | None = None
    port: int | None = None
    counts: TcpCounts | None = None
    is_hearsay: bool = False

    def look(self) -> None:
        """Take the counts, while it is open."""
        if self.socket is not None and not self.is_hearsay:
            self.counts = tcp_counts(self.socket) or self.counts


class _CountedConnection(ClientConnection):
    def __init__(self, protocol: Any, *, counted: Counted, **settings: Any) -> None:
        super().__init__(protocol, **settings)
        self._counted = counted

    def connection_made(self, transport: Any) -> None:
        self._counted.socket = transport.get_extra_info("socket")
        if self._counted.socket is not None:
            self._counted.port = self._counted.socket.getsockname()[1]
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._counted.look()
        super().connection_lost(exc)


class _Connect(connect):
    def process_redirect(self, exc: Exception) -> Exception | str:
        """Follow none: where a service sends its clients is part of what is tested."""
        return exc


def tls_for(address: Address) -> ssl.SSLContext | None:
    """What verifies the service, one for all connections; None for `ws://`."""
    return ssl.create_default_context() if address.url.startswith("wss://") else None


async def opened(
    address: Address, headers: Mapping[str, str], tls: ssl.SSLContext | None, counted: Counted
) -> ClientConnection:
    """A connection whose handshake is done. Raises one of `ERRORS`."""

    def make(protocol: Any, **settings: Any) -> ClientConnection:
        return _CountedConnection(protocol, counted=counted, **settings)

    # A proxy that the environment names does not reach this machine's own services.
    by_proxy = not address.is_loopback
    counted.is_hearsay = by_proxy and tls is None and get_proxy(parse_uri(address.url)) is not None
    return await _Connect(
        address.url,
        additional_headers=headers,
        user_agent_header="loopctl",
        proxy=True if by_proxy else None,
        ssl=tls,
        open_timeout=None,
        ping_interval=None,
        close_timeout=CLOSE_S,
        max_size=LARGEST_MESSAGE,
        max_queue=1,
        logger=_QUIET,
        create_connection=cast("type[ClientConnection]", make),
    )


def status_of(error: BaseException) -> int | None:
    """The HTTP status that refused a handshake."""
    return error.response.status_code if isinstance(error, InvalidStatus) else None


def refusal(error: Exception, clean: Clean) -> str:
    """Why there is no connection."""
    if isinstance(error, InvalidStatus):
        status, body = error.response.status_code, decode(bytes(error.response.body or b"")[:4096])
        said = f"the handshake was refused: HTTP {status}"
        location = error.response.headers.get_all("Location")
        if location and 300 <= status < 400:
            return f"{said}, a redirect to {clean.line(location[0])}, which is not followed"
        return said + (f": {clean.line(body)}" if body.strip() else "")
    found = network_reason(error)
    if found is not None:
        return f"no connection: {clean.line(found)}"
    if isinstance(error, InvalidMessage | EOFError):
        return f"the handshake was not answered in HTTP: {clean.line(_innermost(error))}"
    if isinstance(error, InvalidHandshake):
        return f"no WebSocket handshake: {clean.line(str(error))}"
    return f"no connection: {clean.line(str(error) or type(error).__name__)}"


def closed(error: Exception, clean: Clean) -> str:
    """How a connection ended that was open: by whom, its code and reason."""
    if not isinstance(error, ConnectionClosed):
        broke = network_reason(error) or str(error) or type(error).__name__
        return f"the connection broke: {clean.line(broke)}"
    if error.rcvd is not None and (error.sent is None or error.rcvd_then_sent):
        reason = f" {clean.line(error.rcvd.reason)}" if error.rcvd.reason else ""
        return f"closed {error.rcvd.code}{reason} by the service"
    if error.sent is not None:
        said = _OWN_WORDS.get(error.sent.code, f"closed {error.sent.code} by loopctl")
        detail = f" ({clean.line(error.sent.reason)})" if error.sent.code == 1002 else ""
        return said + detail
    found = network_reason(error)
    return "the connection was cut without a close frame" + (f" ({found})" if found else "")


def _innermost(error: BaseException) -> str:
    """What the library said first: its outer errors only say that something was wrong."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error) or type(error).__name__
