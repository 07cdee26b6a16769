"""Revisions as processes of this machine: an image stands for a command line."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

from emulator.run_runtime import GRACE_S, End, ExecFailed, ImageTrouble, InstanceSpec, Output

_LOOK_S: Final = 0.05
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_MIB: Final = 2**20


@dataclass(frozen=True, slots=True)
class Program:
    """What an image runs: its command line and folder, and what it has in its environment."""

    argv: tuple[str, ...]
    cwd: Path | None = None
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class ProcessRuntime:
    """`programs` by the image's reference as templates give it; more may be added at any time.

    The port that a process is to listen on is a free one of this machine, not the template's.
    """

    programs: MutableMapping[str, Program]

    def resolve(self, image: str) -> str:
        program = self._program(image)
        if "@" in image:
            return image
        digest = hashlib.sha256(repr((program.argv, program.cwd)).encode()).hexdigest()
        head, colon, tag = image.rpartition(":")
        name = head if colon and "/" not in tag else image
        self.programs[f"{name}@sha256:{digest}"] = program
        return f"{name}@sha256:{digest}"

    def start(self, spec: InstanceSpec, output: Output) -> ProcessInstance:
        return ProcessInstance(self._program(spec.image), spec, output)

    def close(self) -> None:
        """Instances are the fleet's to stop."""

    def _program(self, image: str) -> Program:
        if image not in self.programs:
            raise ImageTrouble(image)
        return self.programs[image]


class ProcessInstance:
    """A process in a group of its own; with the process all that it started ends."""

    def __init__(self, program: Program, spec: InstanceSpec, output: Output) -> None:
        self._spec = spec
        self.address = ("127.0.0.1", _free_port())
        self.ended = threading.Event()
        self.end: End | None = None
        self._used: int | None = None
        argv = [*(spec.command or program.argv), *spec.args]
        try:
            self._process = subprocess.Popen(
                argv,
                cwd=program.cwd,
                env=self._environment(program),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise ExecFailed(argv[0]) from error
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        streams = {"stdout": self._process.stdout, "stderr": self._process.stderr}
        self._pumps = [
            threading.Thread(target=_pump, args=(name, pipe, output), name=f"emulator-{name}")
            for name, pipe in streams.items()
        ]
        self._waiter = threading.Thread(target=self._wait, name="emulator-instance")
        for thread in (*self._pumps, self._waiter):
            thread.start()

    def stop(self, grace_s: float = GRACE_S) -> None:
        self._signal(signal.SIGTERM)
        if not self.ended.wait(grace_s):
            self._signal(signal.SIGKILL)
        self._waiter.join()

    def _environment(self, program: Program) -> dict[str, str]:
        inherited = {key: os.environ[key] for key in ("PATH", "HOME", "LANG") if key in os.environ}
        own = {**self._spec.env, "PORT": str(self.address[1])}
        return {**inherited, **program.env, **own}

    def _wait(self) -> None:
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = self._process.wait(_LOOK_S)
                break
            self._look_at_memory()
        self._signal(signal.SIGKILL)  # children that it left hold its pipes open
        for pump in self._pumps:
            pump.join()
        self.end = End(code, self._used)
        self.ended.set()

    def _look_at_memory(self) -> None:
        with contextlib.suppress(OSError, ValueError, IndexError):
            pages = int(Path(f"/proc/{self._process.pid}/statm").read_text("ascii").split()[1])
            if pages * _PAGE > self._spec.memory:
                self._used = pages * _PAGE // _MIB
                self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)


def _pump(name: str, pipe: IO[bytes], output: Output) -> None:
    with pipe:
        for line in pipe:
            output(name, line.rstrip(b"\r\n"))
    output(name, None)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
