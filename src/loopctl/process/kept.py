"""A command held by a keeper: loopctl's end of what `keeper.py` does."""

from __future__ import annotations

import contextlib
import errno
import math
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from loopctl import process_table

_KEEPER = Path(__file__).with_name("keeper.py").resolve()
_BORN_WITHIN_S = 30.0
# Longer than the keeper and its inner process each try.
_ENDED_WITHIN_S = 12.0
_KILLED_WITHIN_S = 5.0
# All that an interpreter may need to be found; the command's own environment goes another way.
_KEEPERS_ENVIRONMENT = ("LD_LIBRARY_PATH",)


class KeptProcess:
    """A command below a keeper; it is the leader of a session of its own."""

    def __init__(
        self, command: Sequence[str], cwd: Path, env: Mapping[str, str], private: Path | None
    ) -> None:
        """Start it. Raises `OSError` when the command cannot be started."""
        self._said = b""
        self._silent = False
        with contextlib.ExitStack() as theirs, contextlib.ExitStack() as ours:
            launch = theirs.enter_context(_launch(command, env))
            lifeline, self._lifeline = _pipe(theirs, ours)
            self._status, status = _pipe(ours, theirs)
            files = [file.fileno() for file in (launch, lifeline, status)]
            told = [*map(str, files), *([] if private is None else [str(private)])]
            self._keeper = _keeper(told, cwd, files)
            self._ours = ours.pop_all()
        assert self._keeper.stdout is not None
        assert self._keeper.stderr is not None
        self.stdout: IO[bytes] = self._keeper.stdout
        self.stderr: IO[bytes] = self._keeper.stderr
        self.pid = self._born(command[0])

    def ended_within(self, seconds: float) -> bool:
        """Whether the command and all that it had started are dead, or nobody can tell."""
        if not self._has_ended():
            self._listen(seconds)
        return self._has_ended()

    def finish(self) -> int:
        """See that nothing is left; the exit code, negative for a signal.

        Returns in bounded time, also where something cannot be killed.
        """
        if not self._has_ended():
            # The command may have stopped its keeper.
            self._keeper.send_signal(signal.SIGCONT)
            with contextlib.suppress(OSError):
                self._lifeline.write(b".")
            self.ended_within(_ENDED_WITHIN_S)
        code = self._code()
        if code is None:
            self._keeper.kill()
            self.ended_within(_KILLED_WITHIN_S)
            _kill_session(self.pid)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._keeper.wait(_KILLED_WITHIN_S)
        self._ours.close()
        return -signal.SIGKILL if code is None else code

    def _born(self, program: str) -> int:
        until = time.monotonic() + _BORN_WITHIN_S
        while not self._said.endswith(b"\n") and not self._silent and time.monotonic() < until:
            self._listen(until - time.monotonic())
        words = self._said.split()
        if words[:1] == [b"pid"]:
            return int(words[1])
        self._keeper.kill()
        self._keeper.wait()
        self._ours.close()
        self.stdout.close()
        self.stderr.close()
        if not words:
            raise OSError(errno.ECHILD, "its keeper did not start", program)
        raise OSError(int(words[1]), os.strerror(int(words[1])), program)

    def _listen(self, seconds: float) -> None:
        waits = select.poll()
        waits.register(self._status, select.POLLIN)
        if waits.poll(math.ceil(seconds * 1000)):
            said = os.read(self._status.fileno(), 4096)
            self._said += said
            self._silent = not said

    def _has_ended(self) -> bool:
        return self._silent or self._code() is not None

    def _code(self) -> int | None:
        *_, last, number = self._said.split()
        return os.waitstatus_to_exitcode(int(number)) if last == b"ended" else None


def _keeper(arguments: Sequence[str], cwd: Path, files: Sequence[int]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-I", "-S", str(_KEEPER), *arguments],
        cwd=cwd,
        env={name: os.environ[name] for name in _KEEPERS_ENVIRONMENT if name in os.environ},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        pass_fds=files,
    )


def _pipe(
    reader: contextlib.ExitStack, writer: contextlib.ExitStack
) -> tuple[IO[bytes], IO[bytes]]:
    """Both ends of a pipe, each to be closed with its owner's."""
    read, write = os.pipe()
    ends = os.fdopen(read, "rb", buffering=0), os.fdopen(write, "wb", buffering=0)
    reader.enter_context(ends[0])
    writer.enter_context(ends[1])
    return ends


def _launch(command: Sequence[str], env: Mapping[str, str]) -> IO[bytes]:
    """A file without a name, so that no value of the environment ever meets a disk."""
    words = [*map(os.fsencode, command)]
    for name, value in env.items():
        if "=" in name or not name:
            raise ValueError("illegal environment variable name")
        words.append(os.fsencode(f"{name}={value}"))
    if any(b"\0" in word for word in words):
        raise ValueError("embedded null byte")
    file = os.fdopen(os.memfd_create("launch"), "w+b", buffering=0)
    file.write(b"\0".join([b"%d" % len(command), *words]))
    file.seek(0)
    return file


def _kill_session(leader: int) -> None:
    for pid in process_table.members(leader):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
