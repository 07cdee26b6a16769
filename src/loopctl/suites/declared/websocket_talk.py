"""What happens on one connection of a websocket suite, from its opening to its close."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from loopctl.evidence.field_checks import field_at, json_of
from loopctl.model.evidence import HttpExchange, Sample
from loopctl.suites.declared import websocket_client as client
from loopctl.suites.declared.awaited_events import AwaitedEvents
from loopctl.suites.declared.probe_address import traceparent
from loopctl.suites.declared.probe_case import Clean, Running, kept
from loopctl.suites.declared.shape_record import UNNAMED, ShapeRecord
from loopctl.suites.declared.unanswered import errno_name
from loopctl.suites.declared.websocket_probe import WebSocketProbe

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

MOST_MESSAGES = 10_000
_LAST_MESSAGES = 30
_MOST_KINDS = 20


@dataclass(slots=True)
class Odd:
    """Messages that can be no event."""

    binary: int = 0
    no_json: int = 0
    first: str = ""

    def said(self, clean: Clean) -> list[str]:
        """Each sort of them in words."""
        found = []
        if self.binary:
            found.append(_count(self.binary, "is binary", "are binary"))
        if self.no_json:
            first = f" (the first: {clean.field(self.first)})"
            found.append(_count(self.no_json, "is not JSON", "are not JSON") + first)
        return found


@dataclass(slots=True)
class Talk:
    """One connection; `running` is its case. `run` never raises but when it is cancelled."""

    probe: WebSocketProbe
    running: Running
    tls: ssl.SSLContext | None
    timeout_s: float
    clean: Clean
    shapes: ShapeRecord
    odd: Odd = field(default_factory=Odd)
    _counted: client.Counted = field(default_factory=client.Counted)
    _events: AwaitedEvents = field(init=False)
    _opened: float | None = None
    _status: int | None = None
    _failed: str | None = None
    _messages: int = 0
    _sent: int = 0
    _kinds: dict[str, None] = field(default_factory=dict)
    _log: deque[tuple[float, str]] = field(default_factory=lambda: deque(maxlen=_LAST_MESSAGES))

    def __post_init__(self) -> None:
        self._events = AwaitedEvents(self.probe.events, self.probe.ordered)

    async def run(self) -> None:
        """Open, send, receive, close."""
        whole = asyncio.timeout(self.timeout_s)
        try:
            async with whole:
                await self._open_and_talk()
        except TimeoutError as error:
            # The network has such an error of its own.
            if whole.expired():
                self._note_too_late()
            else:
                self._refused(error)
        except client.ERRORS as error:
            self._refused(error)

    def account(self) -> None:
        """Give the case what is known of the connection: to be called once, at the end."""
        address, running = self.probe.address, self.running
        self._counted.look()
        port = self._counted.port
        failed = (self._failed or "not-established") if port is None else None
        counts = self._counted.counts
        ports = (port,) if port is not None else ()
        running.contacts = (address.contact(counts, failed=failed, local_ports=ports),)
        if port is not None:
            path = self.clean.kind(address.path)
            running.exchanges = (HttpExchange(address.target, "GET", path, self._status),)
        if self._opened is not None and not self._events.is_done and not running.faults:
            running.faults.append(self._events.said(self.clean.field))
        changed = self.shapes.explained(self._kinds, named=True) if running.faults else None
        running.faults += [changed] if changed else []
        running.output = self.clean.transcript(f"{at:.3f} s {text}" for at, text in self._log)

    async def _open_and_talk(self) -> None:
        trace = {"traceparent": traceparent(self.running.trace)} if self.running.trace else {}
        headers = {**trace, **self.probe.headers}
        began = time.monotonic()
        connection = await client.opened(self.probe.address, headers, self.tls, self._counted)
        self._opened = time.monotonic()
        self._status = 101
        self.running.samples.append(Sample("ws.connect", self._opened - began))
        try:
            await self._talk(connection)
            await self._close(connection)
        finally:
            connection.transport.abort()

    async def _talk(self, connection: ClientConnection) -> None:
        sender = asyncio.create_task(self._send(connection))
        try:
            async with asyncio.timeout(self.probe.within_s):
                await self._receive(connection)
                await sender
        except TimeoutError:
            self._unmet(f"within {self.probe.within_s:g} s")
        except client.ERRORS as error:
            self._unmet(f"{client.closed(error, self.clean)} after {self._since_open():.2f} s,")
        finally:
            sender.cancel()
            await asyncio.gather(sender, return_exceptions=True)
        self._note_unsent()

    async def _send(self, connection: ClientConnection) -> None:
        # A service that has closed meanwhile is told of by what it has sent, or has not.
        with contextlib.suppress(*client.ERRORS):
            for message in self.probe.messages:
                await connection.send(message)
                self._sent += 1

    async def _receive(self, connection: ClientConnection) -> None:
        while not self._events.is_done:
            message = await connection.recv()
            self._take(message)
            self._counted.look()
            if self._messages >= MOST_MESSAGES and not self._events.is_done:
                self._unmet(f"after {MOST_MESSAGES} messages")
                return

    def _take(self, message: str | bytes) -> None:
        at = self._since_open()
        self._messages += 1
        if isinstance(message, bytes):
            self.odd.binary += 1
            self._log.append((at, f"{len(message)} B of binary"))
            return
        self._log.append((at, kept(message)))
        try:
            document = json_of(message)
        except ValueError:
            self.odd.no_json += 1
            self.odd.first = self.odd.first or kept(message)
            return
        name = field_at(document, self.probe.field)
        named = isinstance(name, str | int) and not isinstance(name, bool)
        kind = self.clean.kind(kept(str(name))) if named else UNNAMED
        self.shapes.see(kind, document)
        if len(self._kinds) < _MOST_KINDS:
            self._kinds[kind] = None
        self._note_event(kept(str(name)) if named else f"(no {self.probe.field})", at)

    def _note_event(self, name: str, at: float) -> None:
        before = len(self._events.came)
        self._events.see(name)
        if len(self._events.came) == before:
            return
        if before == 0:
            self.running.samples.append(Sample("ws.first_event", at))
        if self._events.is_done:
            self.running.samples.append(Sample("ws.last_event", at))

    async def _close(self, connection: ClientConnection) -> None:
        closing = asyncio.create_task(connection.close())
        # Messages that nobody takes would hold up the answer to the close behind them.
        with contextlib.suppress(*client.ERRORS):
            while True:
                await connection.recv()
        await closing
        code, reason = connection.close_code, connection.close_reason or ""
        told = "not answered" if code == 1006 else f"{code} {reason}".rstrip()
        self._log.append((self._since_open(), f"closed: {told}"))

    def _unmet(self, how: str) -> None:
        """Not all came; with them all, what ended the connection is no fault of it."""
        if self._events.is_done:
            return
        said = self._events.said(self.clean.field)
        odd = self.odd.said(self.clean)
        nothing = ["no message at all came"] if not self._messages else []
        self.running.faults.append("; ".join([f"{how} {said}", *odd, *nothing]))

    def _note_unsent(self) -> None:
        """Events that came before all was asked say nothing of the rest."""
        asked = len(self.probe.messages)
        if self._events.is_done and self._sent < asked:
            self.running.faults.append(f"{self._sent} of {asked} messages could be sent")

    def _refused(self, error: Exception) -> None:
        self._status, self._failed = client.status_of(error), errno_name(error)
        self.running.faults.append(client.refusal(error, self.clean))

    def _note_too_late(self) -> None:
        within = f"within {self.timeout_s:g} s"
        if self._opened is not None:
            self._unmet(within)
            return
        self._failed = "ETIMEDOUT"
        step = "connection" if self._counted.port is None else "end of the handshake"
        self.running.faults.append(f"no {step} {within}")

    def _since_open(self) -> float:
        return time.monotonic() - (self._opened or time.monotonic())


def _count(number: int, one: str, more: str) -> str:
    return f"{number} message {one}" if number == 1 else f"{number} messages {more}"
