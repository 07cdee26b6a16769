"""Asks with httpx as a client would, on a pool of connections, and counts what really went over."""

from __future__ import annotations

import asyncio
import time
import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from loopctl.inert import decode
from loopctl.model.evidence import Contact
from loopctl.suites.declared.http_wire import HttpWire, OpenConnection
from loopctl.suites.declared.probe_address import Address
from loopctl.suites.declared.unanswered import errno_name, network_reason

if TYPE_CHECKING:
    import httpx

MOST_BODY = 8 * 2**20
"""Bytes of a decoded body that are read; an answer that goes on is cut off there."""

# With 32 more than its window zlib takes both gzip and deflate.
_ANY_ZLIB = 32 + zlib.MAX_WBITS


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What came back. `latency_s` is from the start of the request to the last byte.

    `is_endless`: there was more than `MOST_BODY`. `undecoded` says why the body, which the server
    had encoded, could not be read; `is_garbled`: it is not what it says, so that no client can.
    """

    status: int
    latency_s: float
    body: bytes = b""
    content_type: str = ""
    location: str | None = None
    is_endless: bool = False
    undecoded: str | None = None
    is_garbled: bool = False

    @property
    def text(self) -> str:
        """The beginning of the body as text."""
        return decode(self.body[: 64 * 1024])


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: its answer, or in words why there was none; and the connection's part in it.

    `was_sent`: it went out, or a part of it. `status` is that of an answer that broke off, too.
    """

    answer: HttpAnswer | str
    contact: Contact
    status: int | None
    was_sent: bool


class HttpClient:
    """One client with its pool; for one request after the other, inside an event loop.

    It follows no redirect, keeps no cookie, and verifies TLS.
    """

    def __init__(self) -> None:
        self._client = new_client()
        self._open: list[OpenConnection] = []

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def ask(self, request: httpx.Request, address: Address, timeout_s: float) -> Asked:
        """Send it; the whole answer must have come after `timeout_s` seconds."""
        import httpx  # noqa: PLC0415 - costs 100 ms that most commands need not spend

        meant = (request.url.raw_host.decode("ascii"), address.port)
        wire = HttpWire(self._open, meant)
        request.extensions = {"trace": wire.see, "timeout": dict.fromkeys(_TIMEOUTS)}
        failed: str | None = None
        answer: HttpAnswer | str
        began = time.monotonic()
        try:
            async with asyncio.timeout(timeout_s):
                answer = await self._exchange(request, wire, began)
        except TimeoutError:
            answer, failed = _too_late(wire, timeout_s), "ETIMEDOUT"
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError) as error:
            answer, failed = _reason(error, wire), errno_name(error)
        finally:
            await wire.close_unfinished()
        wire.look()
        asked = Asked(answer, wire.contact(address, failed), wire.status, wire.is_sent)
        self._client.cookies.clear()
        self._open = [
            replace(each, before=each.now or each.before)
            for each in wire.open
            if each.socket.fileno() >= 0
        ]
        return asked

    async def _exchange(self, request: httpx.Request, wire: HttpWire, began: float) -> HttpAnswer:
        response = await self._client.send(request, stream=True, follow_redirects=False)
        try:
            wire.status = response.status_code
            encoding = response.headers.get("content-encoding", "identity").strip().lower()
            body = _Body(encoding)
            async for chunk in response.aiter_raw():
                wire.body += len(chunk)
                body.add(chunk)
                if body.is_endless:
                    break
            body.end()
            return HttpAnswer(
                status=response.status_code,
                latency_s=time.monotonic() - began,
                body=bytes(body.data),
                content_type=response.headers.get("content-type", ""),
                location=response.headers.get("location"),
                is_endless=body.is_endless,
                undecoded=body.fault,
                is_garbled=body.is_garbled,
            )
        finally:
            await response.aclose()


class _Body:
    """A body that is decoded while it comes, never beyond `MOST_BODY`."""

    def __init__(self, encoding: str) -> None:
        self.data = bytearray()
        self.fault: str | None = None
        self.is_garbled = False
        self._came = 0
        self._zlib = zlib.decompressobj(_ANY_ZLIB) if encoding in ("gzip", "deflate") else None
        # Meant is zlib's format (RFC 9110, 8.4.1.2); some send its content alone.
        self._bare = zlib.decompressobj(-zlib.MAX_WBITS) if encoding == "deflate" else None
        if self._zlib is None and encoding not in ("identity", ""):
            self.fault = f"it is encoded as {encoding}, which was not asked for"

    @property
    def is_endless(self) -> bool:
        return max(len(self.data), self._came) > MOST_BODY

    def add(self, chunk: bytes) -> None:
        self._came += len(chunk)
        room = MOST_BODY + 1 - len(self.data)
        if self._zlib is None:
            self.data += chunk[:room]
            return
        try:
            self.data += self._zlib.decompress(chunk, max(room, 1))
        except zlib.error as problem:
            if self._bare is not None and not self.data:
                self._zlib, self._bare, self._came = self._bare, None, self._came - len(chunk)
                self.add(chunk)
                return
            self._garbled(f"it is not encoded as it says: {problem}")

    def end(self) -> None:
        """Nothing more comes."""
        is_cut = self._zlib is not None and self._came > 0 and not self._zlib.eof
        if is_cut and self.fault is None and not self.is_endless:
            self._garbled("it breaks off within its encoding")

    def _garbled(self, fault: str) -> None:
        self.fault, self.is_garbled = fault, True


_TIMEOUTS = ("connect", "read", "write", "pool")


def new_client() -> httpx.AsyncClient:
    """A client by the settings of the environment: proxies, certificates.

    A proxy does not reach this machine's own services. Raises `ValueError`, `OSError`,
    `ImportError` or httpx's `InvalidURL` when those settings are wrong.
    """
    import httpx  # noqa: PLC0415

    direct = {f"all://{host}": None for host in ("127.0.0.1", "localhost", "[::1]")}
    return httpx.AsyncClient(
        timeout=None,  # noqa: S113 - each request has one deadline, for the whole of it
        mounts=direct,
    )


def _too_late(wire: HttpWire, timeout_s: float) -> str:
    within = f"within {timeout_s:.3g} s"
    if not wire.is_connected:
        return f"no connection {within}"
    if not wire.is_sent:
        return f"no end of the TLS handshake {within}"
    if wire.status is None:
        return f"no answer {within}"
    return f"no whole answer {within}: HTTP {wire.status}, {wire.body} B of its body came"


def _reason(error: Exception, wire: HttpWire) -> str:
    said = network_reason(error)
    text = " ".join(str(error).split())
    if said is None and text.startswith("Server disconnected"):
        said = "the connection was closed without an answer"
    said = said or text or type(error).__name__
    if wire.status is not None:
        return f"its answer broke off: HTTP {wire.status}, {wire.body} B of its body came; {said}"
    return f"no answer: {said}"
