"""One service container: watched from outside of it, its output captured, its end told."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import time
from typing import Final

from loopctl.engine import containers
from loopctl.engine.connection import Engine
from loopctl.engine.containers import ContainerSpec, ContainerState
from loopctl.engine.errors import EngineError, NotInEngineError
from loopctl.engine.frames import Frames
from loopctl.platforms.host.capture import Reading, Transcript
from loopctl.platforms.host.limits import grace_s
from loopctl.platforms.host.log_file import LogFile
from loopctl.platforms.host.tcp_ports import LOOPBACK, Listening, accepts, listening_in_network_of
from loopctl.platforms.host.workload import Ended
from loopctl.process import Stop
from loopctl.redact import Redactor

# What an engine holds of a container's output, a megabyte or two, is read within that.
_DRAIN_S: Final = 10.0
_KILL_S: Final = 15.0
# An engine that is started again answers within that; its containers ended with it.
_ENGINE_BACK_S: Final = 3.0
_LOOK_AGAIN_S: Final = 5.0
_BY_SIGNAL: Final = 128
_log = logging.getLogger("loopctl.host")


class Output:
    """What an attached container prints, on its way into the log."""

    def __init__(self, descriptor: int, log: LogFile, redactor: Redactor) -> None:
        self._frames = Frames()
        self._streams = {
            "stdout": Transcript("stdout", log, redactor),
            "stderr": Transcript("stderr", log, redactor),
        }
        self._reading = Reading(descriptor, self._feed, self._flush)
        self.ended = self._reading.ended
        self.finish = self._reading.finish

    def _feed(self, data: bytes) -> None:
        for stream, piece in self._frames.feed(data):
            self._streams[stream].feed(piece)

    def _flush(self) -> None:
        for stream in self._streams.values():
            stream.flush()


class StillbornContainer:
    """A container whose command could not be run: dead from the start."""

    listening: frozenset[int] = frozenset()
    loopback_only: frozenset[int] = frozenset()
    accepting = False
    alive = False

    def __init__(self, told: int, code: int, log: LogFile) -> None:
        self.told = told
        self.address = (LOOPBACK, told)
        self.ended: asyncio.Future[Ended] = asyncio.get_running_loop().create_future()
        ended = Ended(code, 0.0, stopped=False)
        log.system(ended.words, code=code)
        self.ended.set_result(ended)

    async def stop(self) -> Ended:
        """It has ended long since."""
        return self.ended.result()


class ServiceContainer:
    """A running container. Must be made and used within the host's event loop.

    Its end is seen by its first process, which is one of this machine: the end of its output does
    not tell, for a container may close that and live on, and an engine that dies lets go of it.
    """

    def __init__(
        self,
        engine: Engine,
        spec: ContainerSpec,
        state: ContainerState,
        output: Output,
        log: LogFile,
        began: float,
    ) -> None:
        """Watch what was just started, and attached to before that."""
        self.told = spec.port
        self.address = (LOOPBACK, state.published or 0)
        self.accepting = False
        self.ended: asyncio.Future[Ended] = asyncio.get_running_loop().create_future()
        self._listening = Listening()
        self._engine = engine
        self._spec = spec
        self._state = state
        self._output = output
        self._log = log
        self._began = began
        self._stopping = False
        self._exit_seen = asyncio.Event()
        self._process = self._watch_process(state.pid)
        self._look = asyncio.create_task(self._watch_ports())
        self._watch = asyncio.create_task(self._watch_end())

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return not self.ended.done()

    @property
    def listening(self) -> frozenset[int]:
        """The ports on which anything in it listens."""
        return self._listening.ports

    @property
    def loopback_only(self) -> frozenset[int]:
        """Those of them on its own loopback interface only."""
        return self._listening.loopback_only

    async def stop(self) -> Ended:
        """The image's stop signal, some grace, SIGKILL; how it ended."""
        self._stopping = True
        if not self._exit_seen.is_set():
            await self._signal(self._state.stop_signal)
        grace = grace_s()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace):
                return await asyncio.shield(self.ended)
        if not self._exit_seen.is_set():
            self._log.system(f"did not end within {grace:g} s of {self._state.stop_signal}: killed")
            await self._signal("SIGKILL")
        try:
            async with asyncio.timeout(_KILL_S):
                return await asyncio.shield(self.ended)
        except TimeoutError:
            self._end(self._lost("it did not end though it was killed"))
        return self.ended.result()

    def _watch_process(self, pid: int) -> int | None:
        """A descriptor of its first process; None when that has ended already."""
        try:
            process = os.pidfd_open(pid) if pid else None
        except ProcessLookupError:
            process = None
        if process is None:
            self._exit_seen.set()
        else:
            asyncio.get_running_loop().add_reader(process, self._see_exit)
        return process

    def _see_exit(self) -> None:
        if self._process is not None:
            asyncio.get_running_loop().remove_reader(self._process)
            os.close(self._process)
            self._process = None
        self._exit_seen.set()

    async def _watch_end(self) -> None:
        lost = await self._until_exit()
        self._look.cancel()
        self._see_exit()
        if lost is None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_DRAIN_S):
                    await self._output.ended.wait()
        self._output.finish()
        self._end(self._lost(lost) if lost is not None else await self._how())

    async def _until_exit(self) -> str | None:
        """Wait for its end; why nothing more can be known of it, None once it has exited."""
        exited = asyncio.create_task(self._exit_seen.wait())
        output = asyncio.create_task(self._output.ended.wait())
        await asyncio.wait((exited, output), return_when=asyncio.FIRST_COMPLETED)
        told = False
        # The output of one that exits ends at about the same time.
        while not await self._exits_within(_LOOK_AGAIN_S if told else 0.5):
            state = await self._ask()
            if isinstance(state, str):
                return state
            if state.running and not told:
                self._log.system("its output has ended, it runs on")
                told = True
        output.cancel()
        return None

    async def _exits_within(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._exit_seen.wait()
        return self._exit_seen.is_set()

    async def _how(self) -> Ended:
        """How it ended, as the engine knows it a moment after its process has."""
        deadline = time.monotonic() + _LOOK_AGAIN_S
        second_look = self._spec.memory is not None
        while not isinstance(state := await self._ask(), str):
            if state.running:
                if time.monotonic() > deadline:
                    return self._lost("its process is none of this machine's")
                await asyncio.sleep(0.02)
                continue
            killed = state.code == _BY_SIGNAL + signal.SIGKILL
            if killed and second_look and not state.out_of_memory and not self._stopping:
                # That it was for want of memory is told apart from its end, sometimes after it.
                second_look = False
                await asyncio.sleep(0.2)
                continue
            starved = state.out_of_memory and state.code != 0 and not self._stopping
            return Ended(
                _as_signal(state.code),
                time.monotonic() - self._began,
                self._stopping,
                memory_limit=(self._spec.memory or 0) if starved else None,
            )
        return self._lost(state)

    async def _ask(self) -> ContainerState | str:
        """What the engine says of it, or why it says nothing."""
        deadline = time.monotonic() + _ENGINE_BACK_S
        while True:
            try:
                return await asyncio.to_thread(
                    containers.inspect, self._engine, self._state.id, Stop(_LOOK_AGAIN_S)
                )
            except NotInEngineError:
                return "somebody has removed its container"
            except EngineError as error:
                if time.monotonic() > deadline:
                    return error.what
            await asyncio.sleep(0.1)

    def _lost(self, why: str) -> Ended:
        return Ended(0, time.monotonic() - self._began, self._stopping, lost=why)

    def _end(self, ended: Ended) -> None:
        if self.ended.done():
            return
        self._log.settle()
        self._log.system(ended.words, code=ended.code)
        self.ended.set_result(ended)

    async def _signal(self, name: str) -> None:
        try:
            await asyncio.to_thread(
                containers.signal, self._engine, self._state.id, name, Stop(_LOOK_AGAIN_S)
            )
        except EngineError as error:
            _log.warning("%s cannot be sent to %s: %s", name, self._spec.name, error)

    async def _watch_ports(self) -> None:
        """Look where it listens, often at first, until the port it was told takes connections."""
        while not self.accepting:
            found = listening_in_network_of(self._state.pid) if self._state.pid else Listening()
            if found != self._listening:
                after = time.monotonic() - self._began
                self._log.system(f"listens on {_places(found)}, {after:.2f} s after its start")
            self._listening = found
            # The engine takes connections to the published port whoever listens behind it.
            heard = self.told in found.ports - found.loopback_only
            self.accepting = heard and accepts(self.address[1])
            await asyncio.sleep(0.02 if time.monotonic() - self._began < 5 else 0.2)


def _places(found: Listening) -> str:
    only = [f"{LOOPBACK}:{port} only" for port in sorted(found.loopback_only)]
    return ", ".join([*map(str, sorted(found.ports - found.loopback_only)), *only]) or "no port"


def _as_signal(code: int) -> int:
    """The engine's code as `local` has it: negative for a signal."""
    known = {number.value for number in signal.Signals}
    return _BY_SIGNAL - code if code - _BY_SIGNAL in known else code
