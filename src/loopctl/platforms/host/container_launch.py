"""Starting a revision's container, in place of one that has ended, and removing it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import time
from dataclasses import dataclass
from typing import Final

from loopctl.engine import containers
from loopctl.engine.connection import Engine
from loopctl.engine.containers import ContainerSpec, ContainerState
from loopctl.engine.errors import EngineError, EngineRefusedError
from loopctl.inert import one_line
from loopctl.platforms.host.container import Output, ServiceContainer, StillbornContainer
from loopctl.platforms.host.guardian import Guardian
from loopctl.platforms.host.log_file import LogFile
from loopctl.ports.platform import PlatformError
from loopctl.process import Stop
from loopctl.redact import Redactor

_START_S: Final = 90.0
_REMOVE_S: Final = 20.0
_NOT_EXECUTABLE: Final = 126
_NOT_FOUND: Final = 127
_NAMED: Final = re.compile(r'exec: "(?P<program>[^"]+)"')


@dataclass(slots=True)
class ContainerLaunch:
    """What a container is started with. Must be used within the host's event loop."""

    engine: Engine
    spec: ContainerSpec
    service: str
    guardian: Guardian

    async def prepare(self) -> None:
        """The image is all it needs, and is looked for before there is a revision."""

    async def start(
        self, log: LogFile, redactor: Redactor
    ) -> ServiceContainer | StillbornContainer:
        """Start a fresh container; an old one of the same name is removed first.

        One whose command cannot be run has ended when it comes back. Raises `PlatformError`.
        """
        await self.remove()
        self.guardian.watch_container(self.spec.name, self.engine.environ)
        began = time.monotonic()
        try:
            made, descriptor = await asyncio.to_thread(self._make)
        except EngineError as error:
            raise self._refused(error) from None
        output = Output(descriptor, log, redactor)
        log.system(
            f"started as container {made[:12]}, told PORT={self.spec.port}",
            container=made[:12],
            port=self.spec.port,
            host=os.getpid(),
        )
        try:
            state = await asyncio.to_thread(self._start, made)
        except EngineError as error:
            output.finish()
            return await self._not_started(error, log)
        return ServiceContainer(self.engine, self.spec, state, output, log, began)

    async def remove(self) -> None:
        """Remove the container with its volumes. Raises `PlatformError` when it cannot."""
        try:
            await asyncio.to_thread(containers.remove, self.engine, self.spec.name, Stop(_REMOVE_S))
        except EngineError as error:
            raise PlatformError(
                f"the container {self.spec.name} is left behind: {error.what}",
                where=error.where,
                hint="the next run of this environment removes it, once the engine answers",
                mend=f"docker rm --force --volumes {self.spec.name}",
            ) from None
        self.guardian.forget_container(self.spec.name)

    def _make(self) -> tuple[str, int]:
        stop = Stop(_START_S)
        made = containers.create(self.engine, self.spec, stop)
        return made, containers.attach(self.engine, made, stop)

    def _start(self, made: str) -> ContainerState:
        stop = Stop(_START_S)
        containers.start(self.engine, made, stop)
        return containers.inspect(self.engine, made, stop)

    async def _not_started(self, error: EngineError, log: LogFile) -> StillbornContainer:
        """A command that is not there is the image's fault, all else the engine's."""
        state: ContainerState | None = None
        if isinstance(error, EngineRefusedError):
            with contextlib.suppress(EngineError):
                state = await asyncio.to_thread(
                    containers.inspect, self.engine, self.spec.name, Stop(_REMOVE_S)
                )
        if state is None or state.code not in (_NOT_EXECUTABLE, _NOT_FOUND):
            raise self._refused(error) from None
        log.write("stderr", [f"loopctl: cannot start {self._why_not(state)}"])
        return StillbornContainer(self.spec.port, state.code, log)

    def _why_not(self, state: ContainerState) -> str:
        found = _NAMED.search(state.error)
        own = self.spec.command[0] if self.spec.command else "the image's command"
        program = one_line(found["program"]) if found else own
        if state.code == _NOT_EXECUTABLE:
            return f"{program}: Permission denied"
        if "executable file not found" in state.error:
            return f"{program}: No such file on the PATH of the image"
        return f"{program}: No such file or directory"

    def _refused(self, error: EngineError) -> PlatformError:
        return PlatformError(
            f"the container cannot be started: {error.what}",
            where=self.service,
            hint=error.hint or f"see `docker inspect {self.spec.name}`, or the engine's own log",
        )
