"""One live revision: what it runs, its log and a front door of its own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Final

from loopctl.platforms.host.control import Document
from loopctl.platforms.host.front_door import FrontDoor, FrontDoorError
from loopctl.platforms.host.log_file import LogFile
from loopctl.platforms.host.runnable import Label
from loopctl.platforms.host.tcp_ports import LOOPBACK, free_port
from loopctl.platforms.host.upstreams import Upstream
from loopctl.platforms.host.workload import Ended, Launch, Workload
from loopctl.ports.platform import PlatformError
from loopctl.redact import Redactor

ON_LOOPBACK: Final = (LOOPBACK,)
_RESTART_LIMIT_S: Final = 30.0
# Shorter than a client waits for an answer.
_SETTLES_S: Final = 5.0


class LiveRevision:
    """A revision that this host has started. Must be used within the host's event loop."""

    def __init__(self, label: Label, launch: Launch, log: LogFile, redactor: Redactor) -> None:
        self.label = label
        self._launch = launch
        self._log = log
        self.redactor = redactor
        self._stopping = False
        self.retired = False
        """Whether it has lost its traffic for good: its address leads to what serves instead."""
        self._workload: Workload | None = None
        self._starting = False

    @property
    def is_up(self) -> bool:
        """Whether its workload runs, or is about to."""
        return self._starting or self.workload.alive

    @property
    def serves(self) -> bool:
        """Whether its workload runs and nobody is about to stop it."""
        return self._workload is not None and self._workload.alive and not self._stopping

    @property
    def workload(self) -> Workload:
        """The workload it has, or had last."""
        assert self._workload is not None, "used before it was started"
        return self._workload

    @property
    def upstream(self) -> Upstream:
        """Where its workload is reached."""
        return Upstream(self.label.name, *self.workload.address)

    async def start(self, door: FrontDoor, hosts: Sequence[str]) -> None:
        """Start the workload behind a front door of its own. Raises `PlatformError`."""
        self.door = door
        await open_door(door, 0, hosts)
        try:
            await self._start_workload()
        except BaseException:
            await door.close()
            raise

    async def ensure_serving(self) -> None:
        """Start it again if it has ended, and wait for its port. Raises `PlatformError`."""
        if self.serves:
            return
        await asyncio.shield(self.workload.ended)
        await self._start_workload()
        ready = asyncio.create_task(self._accepting())
        try:
            async with asyncio.timeout(_RESTART_LIMIT_S):
                done, _ = await asyncio.wait(
                    (ready, self.workload.ended), return_when=asyncio.FIRST_COMPLETED
                )
        except TimeoutError:
            await self.stop()
            raise PlatformError(
                f"{self.label.name} was started again and did not listen on port "
                f"{self.workload.told} within {_RESTART_LIMIT_S:g} s",
                hint=f"see its log: logs/{self.label.service}/{self.label.name}.jsonl",
            ) from None
        finally:
            ready.cancel()
        if ready not in done:
            ended = self.workload.ended.result()
            raise PlatformError(
                f"started again, {ended.sentence(self.label.name)}",
                hint=f"see its log: logs/{self.label.service}/{self.label.name}.jsonl",
            )

    async def stop(self) -> None:
        """End its workload and all that it started; nothing if it has ended."""
        self._stopping = True
        await self.workload.stop()

    async def close(self) -> None:
        """End it for ever: workload, front door, log. Raises `PlatformError` as `end` does."""
        await self.door.close()
        await self.end()

    async def end(self) -> None:
        """End workload and log for ever; its front door stays for whoever still knows it.

        Raises `PlatformError` when something of the workload is left behind.
        """
        await self.stop()
        self._log.close()
        await self._launch.remove()

    async def settled(self) -> None:
        """Wait while how it ended is being found out: who asks must not take it for alive."""
        if self.workload.ending:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_SETTLES_S):
                    await asyncio.shield(self.workload.ended)

    def status(self) -> Document:
        """How far it is, as it goes over the socket."""
        workload = self.workload
        if workload.ended.done():
            return self._dead(workload.ended.result())
        if workload.accepting:
            return {"state": "ready", "url": self.door.url, "ws_url": self.door.ws_url}
        return {
            "state": "starting",
            "told": workload.told,
            "listening": sorted(workload.listening),
            "loopback_only": sorted(workload.loopback_only),
        }

    async def _start_workload(self) -> None:
        self._stopping = self.retired = False
        self._starting = True
        try:
            self._workload = await self._launch.start(self._log, self.redactor)
        finally:
            self._starting = False
        self._workload.ended.add_done_callback(lambda _: self.route_home())
        self.route_home()

    def route_home(self) -> None:
        """Let its own address lead to it; to nobody once it has died."""
        if not self.retired:
            self.door.set_routes([(self.upstream, 100)] if self.workload.alive else [])

    async def _accepting(self) -> None:
        while not self.workload.accepting:
            await asyncio.sleep(0.01)

    def _dead(self, ended: Ended) -> Document:
        lines = self._log.last_lines("stderr") or self._log.last_lines("stdout")
        place = f"{self.label.service}/{self.label.name}"
        return {
            "state": "dead",
            "code": ended.code,
            "stopped": ended.stopped,
            "out_of_memory": ended.memory_limit is not None,
            "lost": ended.lost is not None,
            "summary": ended.sentence(self.label.service),
            "quotes": [{"source": f"{place}#{n}", "quote": text} for n, text in lines],
        }


async def open_door(door: FrontDoor, wanted: int, hosts: Sequence[str] = ON_LOOPBACK) -> int:
    """Open a front door on `wanted`, or elsewhere if that is taken or 0. Raises `PlatformError`.

    It listens on the same port of all `hosts`.
    """
    for port in (*((wanted,) if wanted else ()), *(free_port() for _ in range(3))):
        with contextlib.suppress(FrontDoorError):
            return await door.open(hosts, port)
    try:
        return await door.open(hosts, free_port())
    except FrontDoorError as error:
        raise PlatformError(error.what, where=error.where, hint=error.hint) from None
