"""The host's life: its control socket, and when it is over."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import time
from collections.abc import Callable

from loopctl.errors import LoopctlError
from loopctl.platforms.host.control import (
    LONGEST_LINE,
    ProtocolError,
    answer_line,
    error_line,
    parse_request,
)
from loopctl.platforms.host.durable import write_json
from loopctl.platforms.host.guardian import Guardian
from loopctl.platforms.host.host import Host
from loopctl.platforms.host.limits import lapse_s
from loopctl.platforms.host.rendezvous import Rendezvous
from loopctl.process import identify

_log = logging.getLogger("loopctl.host")


async def serve(place: Rendezvous, guardian: Guardian, on_ready: Callable[[], None]) -> None:
    """Be the host until it is over. Raises `OSError` when socket or state cannot be used."""
    host = Host(place, guardian)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, host.over.set)
    place.socket.unlink(missing_ok=True)
    server = await asyncio.start_unix_server(
        _Conversations(host).serve, place.socket, limit=LONGEST_LINE
    )
    # Until here its folder, which nobody else can enter, has protected it.
    place.socket.chmod(0o600)
    write_json(place.state / "host.json", _identity())
    _log.info("ready as process %s for %s (%s)", os.getpid(), place.root, place.environment)
    on_ready()
    watch = asyncio.create_task(_watch_leases(host))
    try:
        await host.over.wait()
    finally:
        _log.info("ending")
        place.socket.unlink(missing_ok=True)
        server.close()
        watch.cancel()
        await host.end()
        _log.info("ended")


class _Conversations:
    """Answers what clients ask, one line after another."""

    def __init__(self, host: Host) -> None:
        self._host = host

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            # Python 3.11 logs a cancelled conversation as a fault; at the host's end it is none.
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                # One who comes too late gets no answer, which tells him that there is no host.
                while (line := await reader.readline()) and not self._host.over.is_set():
                    writer.write(await self._answer(line))
                    await writer.drain()
        except ValueError:
            writer.write(error_line(ProtocolError("the message is too long")))
        finally:
            writer.close()

    async def _answer(self, line: bytes) -> bytes:
        try:
            verb, args = parse_request(line)
            return answer_line(await self._host.answer(verb, args))
        except LoopctlError as error:
            return error_line(error)
        except Exception:  # noqa: BLE001 - the host has the services in its hands
            _log.exception("a request failed")
            return error_line(
                ProtocolError(
                    "the host met a fault of its own", hint="see host.log beside its logs"
                )
            )


async def _watch_leases(host: Host) -> None:
    """End the host once nobody has held a lease for long, unless it was told to keep up."""
    lapse = lapse_s()
    held = time.monotonic()
    while time.monotonic() - held < lapse:
        await asyncio.sleep(min(1.0, lapse / 4))
        host.reap()
        if host.keep or host.holds_lease():
            held = time.monotonic()
    _log.info("no run has held a lease for %g s", lapse)
    host.over.set()


def _identity() -> dict[str, object]:
    me = identify(os.getpid())
    return {"pid": os.getpid(), "started": 0 if me is None else me.started}
