"""A real proxy in front of the real engine, for tests that need an engine to lie or to die."""

from __future__ import annotations

import contextlib
import functools
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from loopctl.engine.connection import Engine

Rewrite = Callable[[bytes], bytes]


def _as_it_is(data: bytes) -> bytes:
    return data


class EngineProxy:
    """Passes bytes on both ways. `asked` and `answered` see each piece as it passes."""

    def __init__(self, address: Path, to: str, asked: Rewrite, answered: Rewrite) -> None:
        self.address = address
        self._to = to
        self._asked = asked
        self._answered = answered
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(address))
        self._listening.listen()
        self._run(self._serve)

    def engine(self, **more: str) -> Engine:
        return Engine({**os.environ, "DOCKER_HOST": f"unix://{self.address}", **more})

    def die(self) -> None:
        """As an engine that is killed: every connection breaks, and no new one is taken."""
        self.address.unlink(missing_ok=True)
        for each in [self._listening, *self._open]:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.die()
        for thread in self._threads:
            thread.join(10)
        for each in [self._listening, *self._open]:
            each.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listening.accept()
                far = socket.socket(socket.AF_UNIX)
                far.connect(self._to)
                self._open += [near, far]
                self._run(functools.partial(_pass, near, far, self._asked))
                self._run(functools.partial(_pass, far, near, self._answered))

    def _run(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        self._threads.append(thread)


def _pass(source: socket.socket, sink: socket.socket, rewrite: Rewrite) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(rewrite(data))
    for each in (source, sink):
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def proxied(
    folder: Path, engine: Engine, asked: Rewrite = _as_it_is, answered: Rewrite = _as_it_is
) -> Iterator[EngineProxy]:
    """A proxy in front of `engine`, which must have a unix socket."""
    proxy = EngineProxy(folder / "sock", engine.address.removeprefix("unix://"), asked, answered)
    try:
        yield proxy
    finally:
        proxy.close()
