"""A process that belongs to nobody's terminal."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from loopctl.files import storage
from loopctl.process.identity import ProcessId, identify

_PRIVATE: Final = 0o600


class Detached:
    """A Python module in a session of its own: it outlives whoever started it, and the terminal.

    What it says goes to files, which are made private; what it is to do it reads from its stdin.
    """

    def __init__(
        self, module: str, arguments: Sequence[str], told: bytes, *, out: Path, err: Path
    ) -> None:
        """Start it here, with our environment. Raises `StorageError` where a file cannot be made."""
        with storage("make", out), _made(out) as stdout, storage("make", err), _made(err) as stderr:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                stdin=subprocess.PIPE,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )
