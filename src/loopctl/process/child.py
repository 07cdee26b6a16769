"""Child processes: started, drained and ended with all that they have started."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from loopctl.errors import SIGNAL_EXITS, Stopped
from loopctl.process.identity import Exit, ProcessId, identify
from loopctl.process.kept import KeptProcess
from loopctl.process.stop import Stop

OnBytes = Callable[[bytes], None]
SIGNAL_LADDER: tuple[tuple[signal.Signals, float], ...] = (
    (signal.SIGINT, 3.0),
    (signal.SIGTERM, 2.0),
    (signal.SIGKILL, 5.0),
)

# Whoever tells a run to stop has changed traffic put back within 5 s, and that comes after this.
_HURRIED = {signal.SIGINT: 2.0, signal.SIGTERM: 1.0}

_PUMPS_END_WITHIN_S = 2.0
_KILLED_WITHIN_S = 5.0


class Child:
    """A child in a session of its own, both pipes drained by one pump thread each.

    It is kept: all that it starts, however it tries to get away, is dead when `wait` returns, and
    dies with loopctl. One that is not `kept` starts some milliseconds sooner, may leave daemons
    behind, and lives on when loopctl is killed.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        on_stdout: OnBytes,
        on_stderr: OnBytes,
        kept: bool = True,
        private: Path | None = None,
    ) -> None:
        """Start it. `private`: a folder to be removed should loopctl die before a kept child ends.

        Raises `OSError` when the command cannot be started, `ValueError` when a word of it or of
        `env` is none that a process can be given.
        """
        if private is not None and not kept:
            raise ValueError("only the keeper of a kept child removes a private folder")
        self._began = time.monotonic()
        self._process = (
            KeptProcess(command, cwd, env, private) if kept else _PlainProcess(command, cwd, env)
        )
        self._hearing = threading.Lock()
        self._over = False
        self._deaf: list[BaseException] = []
        self._pumps = [
            self._pump("stdout", self._process.stdout, on_stdout),
            self._pump("stderr", self._process.stderr, on_stderr),
        ]

    @property
    def pid(self) -> int:
        """Process id of the command, which is also the id of its group and session."""
        return self._process.pid

    def identity(self) -> ProcessId | None:
        """Pid and start time, None once it has ended."""
        return identify(self.pid)

    def wait(
        self, stop: Stop, ladder: Sequence[tuple[signal.Signals, float]] = SIGNAL_LADDER
    ) -> Exit:
        """Wait for the end; when `stop` stops first, climb the ladder of signals.

        Faster where it stopped for a signal: then the child has 3 s in all.
        Nothing that the child left behind outlives this, and no more output is handed on: of one
        that is not kept, nothing in its group. A process that cannot be killed (it waits for a
        disk, say) is left after some seconds, and counts as killed.
        Raises what `on_stdout` or `on_stderr` raised, if they did.
        """
        stopped: str | None = None
        try:
            while not self._process.ended_within(stop.remaining(0.2)):
                pass
        except Stopped as reason:
            stopped = reason.reason
            self._climb(_hurried(ladder) if stopped in SIGNAL_EXITS else ladder)
        finally:
            code = self._process.finish()
        ended = Exit(code, time.monotonic() - self._began, stopped)
        self._let_pumps_end()
        return ended

    def _climb(self, ladder: Sequence[tuple[signal.Signals, float]]) -> None:
        for number, grace in ladder:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, number)
            if self._process.ended_within(grace):
                return

    def _let_pumps_end(self) -> None:
        # A grandchild that left the group of a plain child may hold the pipes open for ever.
        until = time.monotonic() + _PUMPS_END_WITHIN_S
        for pump in self._pumps:
            pump.join(timeout=max(0.0, until - time.monotonic()))
        with self._hearing:
            self._over = True
        if self._deaf:
            raise self._deaf[0]

    def _pump(self, name: str, stream: IO[bytes], on: OnBytes) -> threading.Thread:
        thread = threading.Thread(
            target=self._drain, args=(stream, on), name=f"pump {name} of {self.pid}", daemon=True
        )
        thread.start()
        return thread

    def _drain(self, stream: IO[bytes], on: OnBytes) -> None:
        with stream:
            while chunk := os.read(stream.fileno(), 65536):
                with self._hearing:
                    if self._over:
                        return
                    try:
                        on(chunk)
                    except BaseException as error:  # noqa: BLE001 - carried to whoever waits
                        self._deaf.append(error)
                        return


def _hurried(
    ladder: Sequence[tuple[signal.Signals, float]],
) -> Sequence[tuple[signal.Signals, float]]:
    return [(number, min(grace, _HURRIED.get(number, grace))) for number, grace in ladder]


class _PlainProcess:
    """A command that is our own child and the leader of a session."""

    def __init__(self, command: Sequence[str], cwd: Path, env: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            list(command),
            cwd=cwd,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self.stdout: IO[bytes] = self._process.stdout
        self.stderr: IO[bytes] = self._process.stderr
        self.pid = self._process.pid

    def ended_within(self, seconds: float) -> bool:
        """Whether the command has ended."""
        try:
            self._process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def finish(self) -> int:
        """SIGKILL whatever is left of the group; the exit code, negative for a signal."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self.ended_within(_KILLED_WITHIN_S)
        code = self._process.returncode
        return -signal.SIGKILL if code is None else code


def capture(
    command: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    stop: Stop,
    kept: bool = False,
) -> tuple[Exit, bytes, bytes]:
    """Run a short command to its end: how it ended, its stdout, its stderr."""
    out, err = bytearray(), bytearray()
    child = Child(
        command,
        cwd=cwd,
        env=os.environ if env is None else env,
        on_stdout=out.extend,
        on_stderr=err.extend,
        kept=kept,
    )
    return child.wait(stop), bytes(out), bytes(err)
