"""A proxy in front of a real engine, that can die, come back and cut what is going on."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import TypeVar

Returned = TypeVar("Returned")


class DyingEngine:
    """Forwards connections to `engine`, a unix socket, from a socket of its own."""

    def __init__(self, path: Path, engine: str) -> None:
        self.address = f"unix://{path}"
        self._path = path
        self._engine = engine
        self._server: asyncio.Server | None = None
        self._going_on: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.revive()

    def revive(self) -> None:
        """Take connections."""
        if self._server is None:
            self._server = self._do(asyncio.start_unix_server(self._serve, self._path))

    def die(self) -> None:
        """Take no more, and cut those that are."""
        if self._server is not None:
            self._loop.call_soon_threadsafe(self._server.close)
            self._server = None
        self.cut()

    def cut(self) -> None:
        """Cut all connections that there are."""
        self._do(self._cut())

    def close(self) -> None:
        self.die()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, work: Coroutine[object, object, Returned]) -> Returned:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _cut(self) -> None:
        for task in self._going_on:
            task.cancel()
        await asyncio.gather(*self._going_on, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._relay(reader, writer))
        self._going_on.add(task)
        task.add_done_callback(self._going_on.discard)
        await asyncio.wait([task])

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        theirs, ours = await asyncio.open_unix_connection(self._engine)
        try:
            await asyncio.gather(_pump(reader, ours), _pump(theirs, writer))
        finally:
            ours.close()
            writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()


@contextlib.contextmanager
def dying(folder: Path, address: str) -> Iterator[DyingEngine]:
    """A proxy in front of the engine at `address`, while the block runs."""
    proxy = DyingEngine(folder / "engine.sock", address.removeprefix("unix://"))
    try:
        yield proxy
    finally:
        proxy.close()
