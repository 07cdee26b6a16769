"""Waiting, threads and child processes: the only module that starts either of the last two.

Every wait of loopctl goes through a `Stop`, so that a signal or a deadline ends it at once.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TypeVar

from loopctl.errors import Stopped

T = TypeVar("T")

FOREVER = float("inf")

_PUMPS_END_WITHIN_S = 2.0
_TASK_FAILED = "a parallel task failed"


def utc_now() -> datetime:
    """The time of day, for people to read; durations come from `time.monotonic`."""
    return datetime.now(UTC)


class Stop:
    """A deadline and a cancellation in one: the only way to wait.

    A child stops with its parent or at its own deadline, whichever comes first.
    `seconds` counts from the making of the object.
    """

    def __init__(self, seconds: float = FOREVER) -> None:
        self._deadline = time.monotonic() + seconds
        self._event = threading.Event()
        self._reason = ""
        self._children: set[Stop] = set()
        self._lock = threading.Lock()

    def stop(self, reason: str) -> None:
        """End every wait on this object and on its children; the first reason stays."""
        with self._lock:
            if not self._event.is_set():
                self._reason = reason
                self._event.set()
            children = list(self._children)
        for child in children:
            child.stop(reason)

    @property
    def reason(self) -> str | None:
        """Why it has stopped, or None while it has not."""
        if self._event.is_set():
            return self._reason
        return "deadline" if self._left() <= 0 else None

    def remaining(self, at_most: float) -> float:
        """Seconds for the next blocking call, `at_most` at the most; raises `Stopped` at zero."""
        if (reason := self.reason) is not None:
            raise Stopped(reason)
        return min(at_most, self._left())

    def wait(self, seconds: float) -> None:
        """Sleep, or raise `Stopped` the moment someone stops or the deadline passes."""
        self._event.wait(self.remaining(seconds))
        self.remaining(0)

    @contextlib.contextmanager
    def child(self, seconds: float = FOREVER, *, beyond: bool = False) -> Iterator[Stop]:
        """A tighter deadline for one piece of work; `beyond`: one that may outlast this one."""
        child = Stop(seconds if beyond else min(seconds, self._left()))
        with self._lock:
            self._children.add(child)
            if self._event.is_set():
                child.stop(self._reason)
        try:
            yield child
        finally:
            with self._lock:
                self._children.discard(child)

    def _left(self) -> float:
        return self._deadline - time.monotonic()


class TaskScope:
    """Threads that are named, stop their siblings on the first error, and are always joined.

    `with TaskScope(stop) as scope: scope.start("build chat", work)`; work is given the scope's
    own `Stop`. Leaving the scope joins every thread and raises the first error.
    """

    def __init__(self, stop: Stop) -> None:
        self._outer = stop.child()
        self._threads: list[threading.Thread] = []
        self._errors: list[BaseException] = []
        self._lock = threading.Lock()

    def __enter__(self) -> TaskScope:
        self.stop = self._outer.__enter__()
        return self

    def start(self, name: str, work: Callable[[Stop], None]) -> None:
        """Run `work` in a thread of its own."""
        thread = threading.Thread(target=self._run, args=(work,), name=name, daemon=True)
        thread.start()
        # Only now: one that could not be started cannot be joined.
        self._threads.append(thread)

    def _run(self, work: Callable[[Stop], None]) -> None:
        try:
            work(self.stop)
        except BaseException as error:  # noqa: BLE001 - carried to the thread that joins
            with self._lock:
                self._errors.append(error)
            self.stop.stop(_TASK_FAILED)

    def __exit__(self, _type: object, error: BaseException | None, _tb: object) -> None:
        if error is not None:
            self.stop.stop("the scope was left by an error")
        for thread in self._threads:
            thread.join()
        self._outer.__exit__(None, None, None)
        # A body that was only stopped because a task had failed does not hide why.
        told = isinstance(error, Stopped) and error.reason == _TASK_FAILED
        if self._errors and (error is None or told):
            raise self._errors[0]


def in_parallel(stop: Stop, jobs: int, tasks: Mapping[str, Callable[[Stop], T]]) -> Mapping[str, T]:
    """Run named tasks, at most `jobs` at once; the results by name, the first error raised."""
    results: dict[str, T] = {}
    gate = threading.Semaphore(max(1, jobs))

    def one(name: str, task: Callable[[Stop], T], inner: Stop) -> None:
        with gate:
            inner.remaining(0)
            results[name] = task(inner)

    with TaskScope(stop) as scope:
        for name, task in tasks.items():
            scope.start(name, functools.partial(one, name, task))
    return {name: results[name] for name in tasks}


@dataclass(frozen=True, slots=True)
class Exit:
    """How a child ended: `code` is negative for a signal, as `subprocess` has it.

    `stopped` says why loopctl ended it (deadline, interruption), None if it ended by itself.
    """

    code: int
    duration_s: float
    stopped: str | None = None


@dataclass(frozen=True, slots=True)
class ProcessId:
    """A process, told from a later one of the same number by its start time in clock ticks."""

    pid: int
    started: int


def identify(pid: int) -> ProcessId | None:
    """The identity of a live process; None when there is none (or only a zombie)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    # The command stands in parentheses and may hold spaces and parentheses itself.
    fields = stat.rpartition(b")")[2].split()
    return None if fields[0] in (b"Z", b"X") else ProcessId(pid, int(fields[19]))


def is_alive(process: ProcessId) -> bool:
    """Whether that very process still runs."""
    return identify(process.pid) == process


def signal_name(number: int) -> str:
    """`SIGSEGV` for 11, `signal 35` for one without a name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


OnBytes = Callable[[bytes], None]
SIGNAL_LADDER: tuple[tuple[signal.Signals, float], ...] = (
    (signal.SIGINT, 3.0),
    (signal.SIGTERM, 2.0),
    (signal.SIGKILL, 5.0),
)


class Child:
    """A child in a session of its own, both pipes drained by one pump thread each."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        on_stdout: OnBytes,
        on_stderr: OnBytes,
    ) -> None:
        """Start it. Raises `OSError` when the command cannot be started."""
        self._began = time.monotonic()
        self._process = subprocess.Popen(
            list(command),
            cwd=cwd,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._hearing = threading.Lock()
        self._over = False
        self._deaf: list[BaseException] = []
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._pumps = [
            self._pump("stdout", self._process.stdout, on_stdout),
            self._pump("stderr", self._process.stderr, on_stderr),
        ]

    @property
    def pid(self) -> int:
        """Process id, which is also the id of its group and session."""
        return self._process.pid

    def identity(self) -> ProcessId | None:
        """Pid and start time, None once it has ended."""
        return identify(self.pid)

    def wait(
        self, stop: Stop, ladder: Sequence[tuple[signal.Signals, float]] = SIGNAL_LADDER
    ) -> Exit:
        """Wait for the end; when `stop` stops first, climb the ladder of signals.

        The whole group is dead when this returns, so nothing the child left behind outlives it,
        and no more output is handed on. Raises what `on_stdout` or `on_stderr` raised, if they did.
        """
        stopped: str | None = None
        try:
            while not self._ended_within(stop.remaining(0.2)):
                pass
        except Stopped as reason:
            stopped = reason.reason
            self._climb(ladder)
        self.kill_group()
        code = self._process.wait()
        ended = Exit(code, time.monotonic() - self._began, stopped)
        self._let_pumps_end()
        return ended

    def kill_group(self) -> None:
        """SIGKILL whatever is left of the group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def _let_pumps_end(self) -> None:
        # A grandchild that left the group may hold the pipes open for ever.
        until = time.monotonic() + _PUMPS_END_WITHIN_S
        for pump in self._pumps:
            pump.join(timeout=max(0.0, until - time.monotonic()))
        with self._hearing:
            self._over = True
        if self._deaf:
            raise self._deaf[0]

    def _climb(self, ladder: Sequence[tuple[signal.Signals, float]]) -> None:
        for number, grace in ladder:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, number)
            if self._ended_within(grace):
                return

    def _ended_within(self, seconds: float) -> bool:
        try:
            self._process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

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


def capture(
    command: Sequence[str], *, cwd: Path, env: Mapping[str, str] | None = None, stop: Stop
) -> tuple[Exit, bytes, bytes]:
    """Run a short command to its end: how it ended, its stdout, its stderr."""
    out, err = bytearray(), bytearray()
    child = Child(
        command,
        cwd=cwd,
        env=os.environ if env is None else env,
        on_stdout=out.extend,
        on_stderr=err.extend,
    )
    return child.wait(stop), bytes(out), bytes(err)
