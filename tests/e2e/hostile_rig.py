"""A project with a green run, in which suites that work against their own process are run.

What each run leaves is looked at: traffic, processes, private folders, and how much memory
loopctl and its host had at most.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rig import Project, Ran, opened, until
from services import suite, tiny_service
from word_loop import still_served

from loopctl.process_table import is_running

ASKS = "def test_{name}():\n    assert 'healthy' in ask()\n"
BEFORE, AFTER = ASKS.format(name="before"), ASKS.format(name="after")
_LOOK_S = 0.02


@dataclass(frozen=True, slots=True)
class Ended:
    """A run of a hostile suite; `peak_mb` is the most that loopctl and its host had resident."""

    ran: Ran
    peak_mb: float

    def statuses(self) -> dict[str, str]:
        """Every case by the name of its test; a case that is told twice is an error."""
        told = [(case["id"].rpartition("::test_")[2], case["status"]) for case in self.cases]
        assert len(told) == len(dict(told)), told
        return dict(told)

    @property
    def cases(self) -> list[dict[str, Any]]:
        return self.ran.cases()

    def case(self, test: str) -> dict[str, Any]:
        return self.ran.case(f"::test_{test}")

    @property
    def suite(self) -> dict[str, Any]:
        return self.ran.suite("smoke")

    @property
    def reasons(self) -> str:
        """Why the suite is no green, in one line."""
        return " | ".join(self.suite["reasons"])


@dataclass(frozen=True, slots=True)
class Attacked:
    """The project; `before` is its green run, and `standing` are the processes that it left."""

    project: Project
    before: Ran
    standing: frozenset[int]
    left: Path

    def run(self, tests: str, *, within_s: float = 150, **keys: Any) -> Ended:
        """Run the suite of `tests`; fails when anything is not as the green run has left it.

        `keys` are the suite's own; the run is killed when it takes longer than `within_s`.
        """
        _write(self.project, f"LEFT = {str(self.left)!r}\n{tests}", keys)
        going = self.project.start("run", "web", "-q")
        with _peak_mb_of(going.process.pid) as peak:
            ran = going.end(within_s)
        still_served(ran, self.before)
        until(lambda: frozenset(self.project.processes()) == self.standing, 8)
        assert not list(Path(self.project.env["TMPDIR"]).glob("loopctl-spool-*"))
        assert self.daemons() == []
        return Ended(ran, peak[0] + _peak_mb(_host(self.project)))

    def daemons(self) -> list[int]:
        """Those that a test has left and told of, in files below `LEFT`, which still run."""
        told = {file: int(file.read_text()) for file in self.left.glob("*.pid")}
        for file, pid in told.items():
            if not is_running(pid):
                file.unlink()  # the kernel may give its number to somebody else
        return [pid for pid in told.values() if is_running(pid)]


@contextlib.contextmanager
def attacked(place: Path) -> Iterator[Attacked]:
    """A project with a green run; what its tests have left is ended whatever they did."""
    left, private = place / "left", place / "tmp"
    left.mkdir()
    private.mkdir()
    with opened(place) as project:
        project.env["TMPDIR"] = str(private)
        _write(project, BEFORE, {})
        before = project.run("web")
        assert before.code == 0, str(before)
        ours = Attacked(project, before, frozenset(project.processes()), left)
        try:
            yield ours
        finally:
            for pid in ours.daemons():
                os.kill(pid, signal.SIGKILL)


def _write(project: Project, tests: str, keys: Mapping[str, Any]) -> None:
    spec = tiny_service(project)
    spec["health"]["stable_for"] = "0s"
    project.loop("web", services={"web": spec}, suites=[suite(project, tests, **keys)])
    project.commit()


@contextlib.contextmanager
def _peak_mb_of(pid: int) -> Iterator[list[float]]:
    """The most that the process had resident, as the kernel keeps it, up to its end."""
    peak, ended = [0.0], threading.Event()

    def look() -> None:
        while not ended.wait(_LOOK_S):
            peak[0] = max(peak[0], _peak_mb(pid))

    looker = threading.Thread(target=look)
    looker.start()
    try:
        yield peak
    finally:
        ended.set()
        looker.join()


def _host(project: Project) -> int:
    """The environment's host, as the kernel knows it of its socket."""
    (path,) = (path for path in project.sockets() if path.name == "host.sock")
    with socket.socket(socket.AF_UNIX) as asking:
        asking.connect(str(path))
        told = asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", told)[0])


def _peak_mb(pid: int) -> float:
    """`VmHWM` of proc(5); zero for a process that is gone, or a zombie."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) * 1024 / 1e6 for line in lines if "VmHWM" in line), 0.0)
