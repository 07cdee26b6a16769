"""Listens, gives each connection its task, and stops in good order."""

import asyncio
import logging
import signal
import time

from chat.connection import HttpConnection
from chat.faults import Fault
from chat.live import LiveSocket
from chat.messages import Messages
from chat.routes import Routes, log_answer
from chat.settings import Settings
from chat.web import Request, Response

# Cloud Run, and loopctl, send SIGKILL ten seconds after SIGTERM.
_DRAIN_SECONDS = 8.0
_log = logging.getLogger(__name__)


class ChatServer:
    """The service: HTTP and WebSockets on one port."""

    def __init__(self, settings: Settings, fault: Fault) -> None:
        self._settings = settings
        self._fault = fault
        self._messages = Messages()
        self._routes = Routes(settings, self._messages, fault)
        self._connections: dict[asyncio.Task[None], HttpConnection] = {}
        self._sockets: set[LiveSocket] = set()
        self._draining = False

    async def serve(self) -> None:
        """Serve until SIGTERM or SIGINT; raises OSError when the port cannot be had."""
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        host, port = self._settings.host, self._fault.listen_on(self._settings.port)
        listener = await asyncio.start_server(self._attend, host, port)
        actual = listener.sockets[0].getsockname()[1]
        _log.info("listening on http://%s:%s revision=%s", host, actual, self._settings.revision)
        await stop.wait()
        _log.info("stopping: no new connections, %s open", len(self._connections))
        listener.close()
        await self._drain()

    async def _drain(self) -> None:
        self._draining = True
        for connection in self._connections.values():
            if connection.idle:
                connection.writer.close()
        for socket in tuple(self._sockets):
            await socket.drain()
        if self._connections:
            _, late = await asyncio.wait(self._connections, timeout=_DRAIN_SECONDS)
            if late:
                _log.warning("stopped with %s connections cut short", len(late))
        _log.info("stopped")

    async def _attend(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = HttpConnection(reader, writer)
        task = asyncio.current_task()
        assert task is not None
        self._connections[task] = connection
        try:
            await self._converse(connection)
        except ConnectionError:
            pass  # the client went away; there is nobody left to tell
        finally:
            del self._connections[task]
            writer.close()

    async def _converse(self, connection: HttpConnection) -> None:
        while request := await connection.next_request():
            if request.wants_websocket:
                await self._go_live(connection, request)
                return
            response = await self._routes.answer(request)
            if not await connection.send(response, close=self._draining):
                return

    async def _go_live(self, connection: HttpConnection, request: Request) -> None:
        started = time.monotonic()
        user = await self._routes.admit(request)
        if isinstance(user, Response):
            log_answer(request, user.status, started)
            await connection.send(user, close=True)
            return
        socket = LiveSocket(connection.reader, connection.writer, user)
        status = await socket.accept(connection.handshake)
        log_answer(request, status, started)
        if status != 101:
            return
        self._sockets.add(socket)
        try:
            await socket.converse(self._messages, self._fault, len(self._sockets))
        finally:
            self._sockets.remove(socket)
