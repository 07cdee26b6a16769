"""A port of this machine that threads answer, none of which outlives it."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Final

_PATIENCE_S: Final = 15.0


class Listener:
    """Takes connections on 127.0.0.1, each served by a thread of its own until it returns."""

    def __init__(self, serve: Callable[[socket.socket], None], name: str, port: int = 0) -> None:
        self._serve = serve
        self._name = name
        self._open: set[socket.socket] = set()
        self._threads: set[threading.Thread] = set()
        self._lock = threading.Lock()
        self.closing = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", port), backlog=128)
        self.port = int(self._socket.getsockname()[1])
        self._acceptor = threading.Thread(target=self._accept, name=f"{name}-accept")
        self._acceptor.start()

    @contextlib.contextmanager
    def tracking(self, connection: socket.socket) -> Iterator[None]:
        """Cut `connection` too when the listener closes."""
        with self._lock:
            self._open.add(connection)
        try:
            if self.closing.is_set():
                cut(connection)
            yield
        finally:
            with self._lock:
                self._open.discard(connection)

    def close(self) -> None:
        """Cut every connection, and wait for the threads."""
        self.closing.set()
        cut(self._socket)  # wakes the thread that accepts
        self._acceptor.join()
        self._socket.close()
        with self._lock:
            threads = list(self._threads)
            for connection in self._open:
                cut(connection)
        for thread in threads:
            thread.join(_PATIENCE_S)

    def _accept(self) -> None:
        while not self.closing.is_set():
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._run, args=(connection,), name=self._name)
            with self._lock:
                self._threads.add(thread)
            thread.start()

    def _run(self, connection: socket.socket) -> None:
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with connection, self.tracking(connection):
                self._serve(connection)
        except OSError:
            pass  # whoever asked has gone
        finally:
            with self._lock:
                self._threads.discard(threading.current_thread())


def cut(connection: socket.socket) -> None:
    """End a connection at once, whoever waits on it."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
