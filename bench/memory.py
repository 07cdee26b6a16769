"""Memory

`loopctl run` of a suite of 10,000 tests, each of which asks the service once over a kept
connection. The kernel's own record of the most that a process had resident (`VmHWM`) is read of
loopctl while it runs and of the host when it is done, and added up; the service and pytest are the
user's, and not in it.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from bench.project import project
from bench.table import Row, seconds
from bench.tiny import tiny

PART = "h"
_TESTS = 10_000
_MOST_MB = 150
_LOOK_S = 0.05


def rows() -> Iterator[Row]:
    """One run."""
    with project("bench") as made:
        tiny(made, tests=_TESTS)
        began = time.perf_counter()
        loopctl = _peak_mb_of(made.start("-m", "loopctl", "run", made.loop, "-q"))
        took = time.perf_counter() - began
        host = _peak_mb(made.host())
        yield Row(
            "h",
            f"peak memory over {_TESTS:,} tests, loopctl and its host",
            f"{loopctl + host:.0f} MB",
            f"{loopctl:.0f} MB and {host:.0f} MB; the run took {seconds(took)}",
            f"≤ {_MOST_MB} MB",
            loopctl + host <= _MOST_MB,
        )


def _peak_mb_of(process: subprocess.Popen[str]) -> float:
    """The most that a process had until it ended well."""
    peak = 0.0
    with process:
        try:
            while process.poll() is None:
                peak = max(peak, _peak_mb(process.pid))
                time.sleep(_LOOK_S)
            out, err = process.communicate()
        finally:
            process.kill()
    if process.returncode != 0:
        raise RuntimeError(f"the run ended in {process.returncode}\n{out}\n{err}")
    return peak


def _peak_mb(pid: int) -> float:
    """Zero for a process that is gone, or a zombie: it has no memory any more."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) * 1024 / 1e6 for line in lines if "VmHWM" in line), 0.0)
