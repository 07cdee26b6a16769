"""One WebSocket: questions in, events out."""

import asyncio
import itertools
import json
import logging
import uuid

from websockets.frames import Close, Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

from chat import agent
from chat.faults import Fault
from chat.logs import pairs
from chat.messages import Messages

LARGEST_MESSAGE = 64 * 1024
_CLOSING_SECONDS = 2.0
_log = logging.getLogger(__name__)


class LiveSocket:
    """A user's socket, driven by websockets' sans-I/O protocol over the connection's streams."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, user: str
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._user = user
        self._protocol = ServerProtocol(max_size=LARGEST_MESSAGE)
        self._turns = itertools.count(1)
        self._parts: list[bytes] = []
        self._busy = False
        self._draining = False

    async def accept(self, handshake: bytes) -> int:
        """Answer the raw handshake; returns the HTTP status, 101 when the socket is open."""
        self._protocol.receive_data(handshake)
        status = 400
        # A handshake that cannot be parsed yields no event; the library has answered it by itself.
        for request in self._protocol.events_received():
            assert isinstance(request, Request)
            response = self._protocol.accept(request)
            self._protocol.send_response(response)
            status = response.status_code
        await self._flush()
        return status

    async def converse(self, messages: Messages, fault: Fault, open_sockets: int) -> None:
        """Welcome the user and answer until either side closes; logs how it ended."""
        try:
            if closing := fault.close_socket(open_sockets):
                await self.close(*closing)
            else:
                await self._welcome(fault)
            await self._talk(messages, fault)
            await self._finish()
        finally:
            # 1006 is what RFC 6455 calls a connection that ended without a close frame.
            close = self._protocol.close_rcvd or self._protocol.close_sent or Close(1006, "")
            details = pairs(user=self._user, code=int(close.code), reason=close.reason)
            _log.info("websocket closed %s", details)

    async def close(self, code: int, reason: str) -> None:
        """Begin the closing handshake, unless it has begun."""
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(code, reason)
            await self._flush()

    async def drain(self) -> None:
        """Close when the answer in hand, if any, is complete."""
        self._draining = True
        if not self._busy:
            await self.close(1001, "going away")

    async def _welcome(self, fault: Fault) -> None:
        connection_id = uuid.uuid4().hex
        welcome = {"type": "connection_established", "user": self._user}
        await self._send(fault, {**welcome, "connection_id": connection_id})

    async def _talk(self, messages: Messages, fault: Fault) -> None:
        while self._protocol.state is State.OPEN and await self._receive():
            for frame in self._protocol.events_received():
                await self._take(frame, messages, fault)
            if self._draining:
                await self.close(1001, "going away")

    async def _take(self, frame: object, messages: Messages, fault: Fault) -> None:
        if not isinstance(frame, Frame) or frame.opcode not in (Opcode.TEXT, Opcode.CONT):
            return
        self._parts.append(bytes(frame.data))
        if not frame.fin:
            return
        text, self._parts = b"".join(self._parts), []
        question = _question(text)
        if question is None:
            reason = 'send {"type": "chat", "content": "your question"}'
            await self._send(fault, {"type": "error", "reason": reason})
            return
        self._busy = True
        try:
            await self._answer(question, messages, fault)
        finally:
            self._busy = False

    async def _answer(self, question: str, messages: Messages, fault: Fault) -> None:
        messages.add(self._user, "user", question)
        async for event in agent.answer(question, next(self._turns)):
            if event["type"] == "agent_completed":
                messages.add(self._user, "agent", str(event["answer"]))
            await self._send(fault, event)

    async def _send(self, fault: Fault, event: dict[str, object]) -> None:
        if self._protocol.state is State.OPEN:
            self._protocol.send_text(json.dumps(fault.wrap(event)).encode())
            await self._flush()

    async def _receive(self) -> bool:
        data = await self._reader.read(65536)
        if data:
            self._protocol.receive_data(data)
        else:
            self._protocol.receive_eof()
        await self._flush()
        return bool(data)

    async def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self._writer.write(data)
            elif self._writer.can_write_eof():
                self._writer.write_eof()
        await self._writer.drain()

    async def _finish(self) -> None:
        """Wait for the peer's half of the closing handshake, but not for long."""
        try:
            async with asyncio.timeout(_CLOSING_SECONDS):
                while self._protocol.state is not State.CLOSED and await self._receive():
                    self._protocol.events_received()
        except TimeoutError:
            _log.warning("websocket peer did not close in time %s", pairs(user=self._user))


def _question(text: bytes) -> str | None:
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        return None
    match message:
        case {"type": "chat", "content": str(content)} if content.strip():
            return content
        case _:
            return None
