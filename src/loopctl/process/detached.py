"""A process that belongs to nobody's terminal."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import IO

from loopctl.process.identity import ProcessId, identify


class Detached:
    """A Python module in a session of its own: it outlives whoever started it, and the terminal."""

    def __init__(
        self, module: str, arguments: Sequence[str], told: bytes, out: IO[bytes], err: IO[bytes]
    ) -> None:
        """Start it here, with our environment; what it is told it reads from its stdin.

        Raises `OSError`.
        """
        # -P: a file of the project's must not stand in for a module of ours.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )
        assert self._process.stdin is not None
        # One that has ended at once says why by itself.
        with contextlib.suppress(BrokenPipeError), self._process.stdin as stdin:
            stdin.write(told)

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    def code(self, within_s: float = 0.0) -> int | None:
        """Its exit code, negative for a signal; None while it goes on."""
        try:
            return self._process.wait(within_s) if within_s else self._process.poll()
        except subprocess.TimeoutExpired:
            return None

    def terminate(self) -> None:
        """Tell it to end, as a person would."""
        self._process.terminate()


def terminate(process: ProcessId) -> bool:
    """Send that very process SIGTERM; False where it has ended. Raises `PermissionError`."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return False
    try:
        # Held by its descriptor it is not confused with one that is given its number meanwhile.
        if identify(process.pid) != process:
            return False
        signal.pidfd_send_signal(descriptor, signal.SIGTERM)
    except ProcessLookupError:
        return False
    finally:
        os.close(descriptor)
    return True
