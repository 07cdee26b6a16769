"""One live revision: its folder, its process, its log and a front door of its own."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from loopctl.platforms.host.child import Ended, Launch, ServiceProcess, sentence
from loopctl.platforms.host.control import Document
from loopctl.platforms.host.front_door import FrontDoor, FrontDoorError
from loopctl.platforms.host.guardian import Guardian
from loopctl.platforms.host.log_file import LogFile
from loopctl.platforms.host.tcp_ports import free_port
from loopctl.platforms.host.upstreams import Upstream
from loopctl.ports.platform import PlatformError
from loopctl.redact import Redactor

LOOPBACK: Final = "127.0.0.1"
_RESTART_LIMIT_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Label:
    """What a revision is known by; `created_at` is ISO 8601 in UTC, `key` the deployment's."""

    service: str
    name: str
    number: int
    digest: str
    key: str
    created_at: str

    def document(self) -> Document:
        """As it goes over the socket."""
        return {
            "service": self.service,
            "name": self.name,
            "digest": self.digest,
            "key": self.key,
            "created_at": self.created_at,
        }


class LiveRevision:
    """A revision that this host has started. Must be used within the host's event loop."""

    def __init__(
        self, label: Label, launch: Launch, log: LogFile, redactor: Redactor, guardian: Guardian
    ) -> None:
        self.label = label
        self._launch = launch
        self._log = log
        self._redactor = redactor
        self._guardian = guardian
        self._stopping = False
        self.retired = False
        """Whether it has lost its traffic for good: its address leads to what serves instead."""
        self._process: ServiceProcess | None = None

    @property
    def folder(self) -> Path:
        """Its private copy of the artifact."""
        return self._launch.folder

    @property
    def serves(self) -> bool:
        """Whether its process runs and nobody is about to stop it."""
        return self._process is not None and self._process.alive and not self._stopping

    @property
    def process(self) -> ServiceProcess:
        """The process it has, or had last."""
        assert self._process is not None, "used before it was started"
        return self._process

    @property
    def upstream(self) -> Upstream:
        """Where its process listens."""
        return Upstream(self.label.name, LOOPBACK, self.process.port)

    async def start(self, door: FrontDoor) -> None:
        """Start the process behind a front door of its own. Raises `PlatformError`."""
        self.door = door
        await open_door(door, 0)
        try:
            self._start_process()
        except PlatformError:
            await door.close()
            raise

    async def ensure_serving(self) -> None:
        """Start it again if it has ended, and wait for its port. Raises `PlatformError`."""
        if self.serves:
            return
        await asyncio.shield(self.process.ended)
        self._start_process()
        ready = asyncio.create_task(self._accepting())
        try:
            async with asyncio.timeout(_RESTART_LIMIT_S):
                done, _ = await asyncio.wait(
                    (ready, self.process.ended), return_when=asyncio.FIRST_COMPLETED
                )
        except TimeoutError:
            await self.stop()
            raise PlatformError(
                f"{self.label.name} was started again and did not listen on port "
                f"{self.process.port} within {_RESTART_LIMIT_S:g} s",
                hint=f"see its log: logs/{self.label.service}/{self.label.name}.jsonl",
            ) from None
        finally:
            ready.cancel()
        if ready not in done:
            ended = self.process.ended.result()
            raise PlatformError(
                f"started again, {sentence(self.label.name, ended)}",
                hint=f"see its log: logs/{self.label.service}/{self.label.name}.jsonl",
            )

    async def stop(self) -> None:
        """End its process and all that it started; nothing if it has ended."""
        self._stopping = True
        await self.process.stop()

    async def close(self) -> None:
        """End it for ever: process, front door, log."""
        await self.door.close()
        await self.end()

    async def end(self) -> None:
        """End process and log for ever; its front door stays for whoever still knows it."""
        await self.stop()
        self._log.close()

    def status(self) -> Document:
        """How far it is, as it goes over the socket."""
        process = self.process
        if process.ended.done():
            return self._dead(process.ended.result())
        if process.accepting:
            return {"state": "ready", "url": self.door.url, "ws_url": self.door.ws_url}
        return {
            "state": "starting",
            "told": process.port,
            "listening": sorted(process.listening),
        }

    def _start_process(self) -> None:
        self._stopping = self.retired = False
        port = free_port()
        self._process = ServiceProcess(
            self._launch, port, self._log, self._redactor, self._guardian
        )
        self._process.ended.add_done_callback(lambda _: self.route_home())
        self.route_home()

    def route_home(self) -> None:
        """Let its own address lead to it; to nobody once it has died."""
        if not self.retired:
            self.door.set_routes([(self.upstream, 100)] if self.process.alive else [])

    async def _accepting(self) -> None:
        while not self.process.accepting:
            await asyncio.sleep(0.01)

    def _dead(self, ended: Ended) -> Document:
        lines = self._log.last_lines("stderr") or self._log.last_lines("stdout")
        place = f"{self.label.service}/{self.label.name}"
        return {
            "state": "dead",
            "code": ended.code,
            "stopped": ended.stopped,
            "summary": sentence(self.label.service, ended),
            "quotes": [{"source": f"{place}#{n}", "quote": text} for n, text in lines],
        }


async def open_door(door: FrontDoor, wanted: int) -> int:
    """Open a front door on `wanted`, or elsewhere if that is taken or 0. Raises `PlatformError`."""
    for port in (*((wanted,) if wanted else ()), *(free_port() for _ in range(3))):
        with contextlib.suppress(FrontDoorError):
            return await door.open(LOOPBACK, port)
    try:
        return await door.open(LOOPBACK, free_port())
    except FrontDoorError as error:
        raise PlatformError(error.what, where=error.where, hint=error.hint) from None
