"""The golden path by loopctl, beside a shell script of the same steps that proves nothing."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.table import Row, compare, seconds, timed

ROOT = Path(__file__).parents[1]

# Copy, start, wait until healthy, stay healthy for 2.5 s, run each suite, stop.
_SCRIPT = """
set -eu
cp -r "$SOURCE/examples/chat" copy
cd copy
python -m chat >../service.log 2>&1 &
service=$!
trap 'kill $service' EXIT
python -c "$HEALTHY"
for suite in auth events message_flow first_time_journey concurrency; do
  python -m pytest -q -p no:cacheprovider "tests/test_$suite.py"
done
"""

_HEALTHY = """
import os, time, urllib.request
def healthy():
    try:
        return urllib.request.urlopen(os.environ["BASE_URL"] + "/health", timeout=5).status == 200
    except OSError:
        return False
while not healthy():
    time.sleep(0.05)
time.sleep(2.5)
assert healthy()
"""


def rows() -> Iterator[Row]:
    """One run of each, in a project of its own, so that no environment of yours is touched."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("loops", "examples"):
            shutil.copytree(ROOT / part, folder / part)
        subprocess.run(["git", "init", "-q", name], check=True, timeout=30)
        try:
            yield compare(
                "golden-path by loopctl",
                lambda: timed(lambda: _loopctl(folder, "run")),
                "the same steps in a shell script",
                lambda: timed(lambda: _script(folder)),
                1,
                seconds,
            )
        finally:
            _loopctl(folder, "down")


def _environ(**more: str) -> dict[str, str]:
    here = str(Path(sys.executable).parent)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LOOPCTL_")}
    return {**kept, "PATH": f"{here}{os.pathsep}{os.environ['PATH']}", "FAULT": "", **more}


def _loopctl(folder: Path, command: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "loopctl", command, "golden-path"],
        cwd=folder,
        env=_environ(),
        check=True,
        capture_output=True,
        timeout=120,
    )


def _script(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = str(found.getsockname()[1])
    told = {
        "SOURCE": str(folder),
        "HEALTHY": _HEALTHY,
        "PORT": port,
        "BASE_URL": f"http://127.0.0.1:{port}",
        "WS_URL": f"ws://127.0.0.1:{port}",
        "JWT_SECRET": "a-secret-for-one-minute-0123456789",
    }
    with tempfile.TemporaryDirectory() as work:
        subprocess.run(
            ["sh", "-c", _SCRIPT],
            cwd=work,
            env=_environ(**told),
            check=True,
            capture_output=True,
            timeout=120,
        )
