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
from loopctl.platforms.host.workload import Ended, has_exited
from loopctl.process import Stop
from loopctl.redact import Redactor

# What an engine holds of a container's output, a megabyte or two, is read within that.
_DRAIN_S: Final = 10.0
_KILL_S: Final = 15.0
# An engine that is started again answers within that; its containers ended with it.
_ENGINE_BACK_S: Final = 3.0
_LOOK_AGAIN_S: Final = 5.0
# The output of one that exits ends at about the same time.
_SAME_TIME_S: Final = 0.5
# `docker restart` starts it within half a second of its end, where nothing else keeps it busy.
_STARTED_AGAIN_S: Final = 0.6
# A look every so often for who is slower than that.
_LOOKS_LATER_S: Final = (0.5, 0.5, 1.0, 2.0, 4.0, 8.0)
_BY_SIGNAL: Final = 128
_KILLED: Final = (_BY_SIGNAL + signal.SIGKILL, _BY_SIGNAL + signal.SIGTERM)
_RESTARTED: Final = "somebody has started its container again, without its log and its port"
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
    ending = False

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
        self._lived_s = 0.0
        self._stopping = False
        self._exit_seen = asyncio.Event()
        self._later: asyncio.Task[None] | None = None
        self._process = self._watch_process(state.pid)
        self._look = asyncio.create_task(self._watch_ports())
        self._watch = asyncio.create_task(self._watch_end())

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return not self.ended.done()

    @property
    def ending(self) -> bool:
        """Whether its first process has gone, and how is being found out."""
        if self.ended.done():
            return False
        return self._process is None or has_exited(self._process)

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
        if self._later is not None:
            self._later.cancel()
        if not self._exit_seen.is_set():
            await self._signal(self._state.stop_signal)
        grace = grace_s()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace):
                return await asyncio.shield(self.ended)
        told: str | None = None
        if not self._exit_seen.is_set():
            self._log.system(f"did not end within {grace:g} s of {self._state.stop_signal}: killed")
            told = await self._signal("SIGKILL")
        try:
            async with asyncio.timeout(_KILL_S if told is None else 0):
                return await asyncio.shield(self.ended)
        except TimeoutError:
            self._give_up(told or "it did not end though it was killed")
        return self.ended.result()

    def _give_up(self, why: str) -> None:
        """Look at it no more, although it may run."""
        self._watch.cancel()
        self._look.cancel()
        self._see_exit()
        self._output.finish()
        self._end(self._lost(why))

    def _watch_process(self, pid: int) -> int | None:
        """A descriptor of its first process; None when that has ended already."""
        try:
            process = os.pidfd_open(pid) if pid else None
        except ProcessLookupError:
            process = None
        if process is None:
            self._lived_s = time.monotonic() - self._began
            self._exit_seen.set()
        else:
            asyncio.get_running_loop().add_reader(process, self._see_exit)
        return process

    def _see_exit(self) -> None:
        if self._process is not None:
            asyncio.get_running_loop().remove_reader(self._process)
            os.close(self._process)
            self._process = None
            self._lived_s = time.monotonic() - self._began
        self._exit_seen.set()

    async def _watch_end(self) -> None:
        await self._until_exit()
        self._look.cancel()
        self._see_exit()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN_S):
                await self._output.ended.wait()
        self._output.finish()
        how = await self._how()
        if not self._stopping:
            self._later = asyncio.create_task(self._watch_return(how.lost == _RESTARTED))
        self._end(how)

    async def _until_exit(self) -> None:
        """Wait for its first process to end: while that lives it serves, engine or none."""
        exited = asyncio.create_task(self._exit_seen.wait())
        output = asyncio.create_task(self._output.ended.wait())
        await asyncio.wait((exited, output), return_when=asyncio.FIRST_COMPLETED)
        output.cancel()
        if not await self._exits_within(_SAME_TIME_S):
            self._log.system("its output has ended, it runs on")
        await exited

    async def _watch_return(self, is_back: bool) -> None:
        """End what somebody starts again: nobody would see what it prints, or ever end it."""
        for seconds in _LOOKS_LATER_S:
            if is_back:
                self._log.system(f"{_RESTARTED}: it is killed")
                await self._signal("SIGKILL")
            await asyncio.sleep(seconds)
            state = await self._ask()
            if isinstance(state, str):
                return
            is_back = state.running

    async def _exits_within(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._exit_seen.wait()
        return self._exit_seen.is_set()

    async def _how(self) -> Ended:
        """How it ended, as the engine knows it a moment after its process has."""
        began = time.monotonic()
        while not isinstance(state := await self._ask(), str):
            since = time.monotonic() - began
            if state.running and state.pid not in (0, self._state.pid):
                return self._lost(_RESTARTED)
            if state.running and since > _LOOK_AGAIN_S:
                return self._lost("its process is none of this machine's")
            if not state.running and since > self._doubtful_s(state):
                return self._ended(state)
            await asyncio.sleep(0.02)
        return self._lost(state)

    def _doubtful_s(self, state: ContainerState) -> float:
        """For how long its end may still turn out to be another than it looks.

        That it was for want of memory is told apart from its end, sometimes after it; and whoever
        starts it again has ended it first.
        """
        if self._stopping or state.out_of_memory or state.code not in _KILLED:
            return 0.0
        return _STARTED_AGAIN_S

    def _ended(self, state: ContainerState) -> Ended:
        starved = state.out_of_memory and state.code != 0 and not self._stopping
        return Ended(
            _as_signal(state.code),
            self._lived_s,
            self._stopping,
            memory_limit=(self._spec.memory or 0) if starved else None,
        )

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
        return Ended(0, self._lived_s, self._stopping, lost=why)

    def _end(self, ended: Ended) -> None:
        if self.ended.done():
            return
        self._log.settle()
        self._log.system(ended.words, code=ended.code)
        self.ended.set_result(ended)

    async def _signal(self, name: str) -> str | None:
        """Why it could not be sent, None when it was, or was not needed."""
        try:
            await asyncio.to_thread(
                containers.signal, self._engine, self._state.id, name, Stop(_LOOK_AGAIN_S)
            )
        except EngineError as error:
            _log.warning("%s cannot be sent to %s: %s", name, self._spec.name, error)
            return f"it cannot be ended: {error.what}"
        return None

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
