"""One service process: started through the shim, watched, stopped with all it has started."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from loopctl import process_table
from loopctl.platforms.host import process_tree, shim
from loopctl.platforms.host.capture import capture_pipe
from loopctl.platforms.host.contract import told
from loopctl.platforms.host.folders import copy_artifact, remove_folder
from loopctl.platforms.host.guardian import Guardian
from loopctl.platforms.host.limits import grace_s
from loopctl.platforms.host.log_file import LogFile
from loopctl.platforms.host.tcp_ports import LOOPBACK, accepts, free_port, listening_ports
from loopctl.platforms.host.workload import Ended, has_exited
from loopctl.ports.platform import PlatformError
from loopctl.redact import Redactor

_DRAIN_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class ProcessLaunch:
    """What a process is started with; `environment` is all it gets, and never leaves memory.

    It runs in `folder`, a private copy of `artifact`.
    """

    service: str
    revision: str
    command: tuple[str, ...]
    artifact: Path
    folder: Path
    environment: Mapping[str, str] = field(repr=False)
    guardian: Guardian

    async def prepare(self) -> None:
        """Copy the artifact. Raises `PlatformError`."""
        await asyncio.to_thread(copy_artifact, self.artifact, self.folder)

    async def start(self, log: LogFile, redactor: Redactor) -> ServiceProcess:
        """Start the process on a free port. Raises `PlatformError`."""
        return ServiceProcess(self, free_port(), log, redactor, self.guardian)

    async def remove(self) -> None:
        """Remove the copy of the artifact; what cannot be removed stays."""
        await asyncio.to_thread(remove_folder, self.folder)

    def environment_on(self, port: int) -> dict[str, str]:
        """The environment with what the Cloud Run container contract adds."""
        return {**self.environment, **told(self.service, self.revision, port)}


class ServiceProcess:
    """A running service. Must be made and used within the host's event loop."""

    def __init__(
        self,
        launch: ProcessLaunch,
        port: int,
        log: LogFile,
        redactor: Redactor,
        guardian: Guardian,
    ) -> None:
        """Start it. Raises `PlatformError`."""
        self.told = port
        self.address = (LOOPBACK, port)
        self.listening: frozenset[int] = frozenset()
        #: Its loopback interface is ours too.
        self.loopback_only: frozenset[int] = frozenset()
        self.accepting = False
        self.ended: asyncio.Future[Ended] = asyncio.get_running_loop().create_future()
        self._launch = launch
        self._log = log
        self._guardian = guardian
        self._stopping = False
        self._began = time.monotonic()
        self._process, out, err = _start(launch, port)
        guardian.watch(self.pid, launch.revision, port)
        log.system(
            f"started as process {self.pid}, told PORT={port}",
            pid=self.pid,
            port=port,
            host=os.getpid(),
        )
        self._captures = (
            capture_pipe(out, "stdout", log, redactor),
            capture_pipe(err, "stderr", log, redactor),
        )
        self._pidfd = os.pidfd_open(self.pid)
        self._exit_seen = asyncio.Event()
        asyncio.get_running_loop().add_reader(self._pidfd, self._exit_seen.set)
        self._watch = asyncio.create_task(self._watch_exit())
        self._look = asyncio.create_task(self._watch_ports())

    @property
    def pid(self) -> int:
        """Process id, which is the id of its session too."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return not self.ended.done()

    @property
    def ending(self) -> bool:
        """Whether it has exited, and what came of it is being ended."""
        if self.ended.done():
            return False
        return self._exit_seen.is_set() or has_exited(self._pidfd)

    async def stop(self) -> Ended:
        """SIGTERM to the group, some grace, SIGKILL to everything; return how it ended."""
        self._stopping = True
        if not self._exit_seen.is_set():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGTERM)
        grace = grace_s()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace):
                return await asyncio.shield(self.ended)
        self._log.system(f"did not end within {grace:g} s of SIGTERM: killed")
        self.kill()
        return await asyncio.shield(self.ended)

    def kill(self) -> None:
        """SIGKILL to all of it."""
        if self.alive:
            self._stopping = True
            process_tree.kill_service(self.pid, self._launch.revision, self.told)

    async def _watch_exit(self) -> None:
        loop = asyncio.get_running_loop()
        await self._exit_seen.wait()
        after = time.monotonic() - self._began
        loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        # Until the process is reaped its number, which is the group's too, is nobody else's.
        process_tree.kill_service(self.pid, self._launch.revision, self.told)
        code = self._process.wait()
        self._guardian.forget(self.pid)
        self._look.cancel()
        await self._drain()
        self._log.settle()
        ended = Ended(code, after, self._stopping)
        self._log.system(ended.words, code=code)
        self.ended.set_result(ended)

    async def _drain(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN_S):
                for capture in self._captures:
                    await capture.ended.wait()
        for capture in self._captures:
            capture.finish()

    async def _watch_ports(self) -> None:
        """Look where it listens, often at first, until the port it was told takes connections."""
        while not self.accepting:
            found = listening_ports(process_table.descendants(self.pid))
            if found != self.listening:
                after = time.monotonic() - self._began
                text = ", ".join(map(str, sorted(found))) or "no port any more"
                self._log.system(f"listens on {text}, {after:.2f} s after its start")
            self.listening = found
            self.accepting = self.told in found and accepts(self.told)
            await asyncio.sleep(0.02 if time.monotonic() - self._began < 5 else 0.2)


def _start(launch: ProcessLaunch, port: int) -> tuple[subprocess.Popen[bytes], int, int]:
    """The process, and the ends of its pipes that we read."""
    (out, out_theirs), (err, err_theirs) = os.pipe(), os.pipe()
    try:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", shim.__file__, str(os.getpid()), *launch.command],
            cwd=launch.folder,
            env=launch.environment_on(port),
            stdin=subprocess.DEVNULL,
            stdout=out_theirs,
            stderr=err_theirs,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        os.close(out)
        os.close(err)
        raise PlatformError(
            f"the service's process cannot be started: {error}", where=launch.service
        ) from None
    finally:
        os.close(out_theirs)
        os.close(err_theirs)
    return process, out, err
