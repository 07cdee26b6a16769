"""Processes that go on when this one has ended, and are found again by the next."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from engines.trouble import CannotError

_LOOKS_EVERY_S = 0.05
_LAST_LINES = 8
# Nothing else of the environment: it may hold secrets, and these live longer than what set it.
_HANDED_ON = ("PATH", "HOME", "LANG", "TMPDIR")


@dataclass(frozen=True)
class Daemon:
    """A process, told from another of the same pid by `started`, the kernel's ticks since boot."""

    pid: int
    started: int

    @property
    def runs(self) -> bool:
        """Whether it is this process still, and no zombie."""
        state, started = _look(self.pid)
        return state not in {"", "Z", "X"} and started == self.started

    def end(self, patience_s: float = 20.0) -> None:
        """TERM, then KILL when that has done nothing."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self.runs:
                os.kill(self.pid, number)
            if _became(lambda: not self.runs, patience_s):
                return
        raise CannotError(f"process {self.pid} does not end, not even by KILL")


def launch(command: Sequence[str], log: Path) -> Daemon:
    """Start it in a session of its own, with its output in `log`."""
    proxies = {k: v for k, v in os.environ.items() if k.lower().endswith("_proxy")}
    kept = {name: os.environ[name] for name in _HANDED_ON if name in os.environ}
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=kept | proxies,
            cwd="/",
            start_new_session=True,
        )
    return Daemon(process.pid, _look(process.pid)[1])


def wait_until_ready(
    daemon: Daemon, ready: Callable[[], bool], what: str, log: Path, seconds: float = 30.0
) -> None:
    """Until `ready`; raises `CannotError` with the last it said when it has died or is too slow."""
    _became(lambda: ready() or not daemon.runs, seconds)
    if daemon.runs and ready():
        return
    how = f"does not answer after {seconds:g} s" if daemon.runs else "ended at once"
    daemon.end()
    said = log.read_text(errors="replace").splitlines()[-_LAST_LINES:]
    raise CannotError("\n".join([f"{what} {how}; the end of {log}:", *said]))


def remember(place: Path, daemon: Daemon) -> None:
    """Keep it for `recall`."""
    place.write_text(json.dumps(asdict(daemon)))


def recall(place: Path) -> Daemon | None:
    """What was remembered there; None where nothing was, or only half of it."""
    try:
        return Daemon(**json.loads(place.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _became(true: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(_LOOKS_EVERY_S)
    return True


def _look(pid: int) -> tuple[str, int]:
    """State and start of a process (proc(5), fields 3 and 22); an empty state where it is none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return "", 0
    return fields[0], int(fields[19])
