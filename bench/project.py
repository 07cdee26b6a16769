"""A project of the bench's own: its folder, its runtime folder, its services; gone afterwards."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]

# They would make every start of Python slower than users have it, and hide what was printed.
_NOT_OURS = ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED", "FAULT")


def environ(**more: str) -> dict[str, str]:
    """The environment of everything that is measured."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("LOOPCTL_") and name not in _NOT_OURS
    }
    here = str(Path(sys.executable).parent)
    return {**kept, "PATH": f"{here}{os.pathsep}{os.environ['PATH']}", **more}


class Project:
    """A folder with one loop and one environment, `local` or `docker`; yours are not touched.

    `variables` are added to the environment of what is started in it.
    """

    def __init__(self, folder: Path, loop: str, environment: str = "local") -> None:
        self.folder = folder
        self.loop = loop
        self.environment = environment
        self.variables: dict[str, str] = {}
        self.runtime = folder / "runtime"
        self.runtime.mkdir()

    def write(self, name: str, text: str) -> None:
        """A file of the project."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def write_loop(self, service: Mapping[str, object], suites: Sequence[object]) -> None:
        """The loop file, of one service `web`; JSON is YAML too."""
        document = {
            "version": 1,
            "name": self.loop,
            "environments": {self.environment: {"platform": self.environment}},
            "services": {"web": service},
            "suites": suites,
        }
        self.write(f"loops/{self.loop}.yaml", json.dumps(document))

    def start(self, *arguments: str, cwd: Path | None = None) -> subprocess.Popen[str]:
        """Python with these arguments in the project."""
        return subprocess.Popen(
            [sys.executable, *arguments],
            cwd=cwd or self.folder,
            env=environ(LOOPCTL_RUNTIME_DIR=str(self.runtime), **self.variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def python(self, *arguments: str, cwd: Path | None = None, code: int = 0) -> str:
        """Run it to its end; what it printed. Raises `RuntimeError` on another exit code."""
        process = self.start(*arguments, cwd=cwd)
        try:
            out, err = process.communicate(timeout=300)
        finally:
            process.kill()
        if process.returncode != code:
            raise RuntimeError(f"{arguments} ended in {process.returncode}\n{out}\n{err}")
        return out

    def loopctl(self, command: str, *options: str, code: int = 0) -> str:
        """`loopctl COMMAND LOOP --env ENVIRONMENT OPTIONS`."""
        environment = ("--env", self.environment)
        return self.python("-m", "loopctl", command, self.loop, *environment, *options, code=code)

    def host(self) -> int:
        """The process id of the environment's host, as the kernel knows it of its socket."""
        (path,) = self.runtime.rglob("host.sock")
        with socket.socket(socket.AF_UNIX) as asking:
            asking.connect(str(path))
            size = struct.calcsize("3i")
            told = asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
        return int(struct.unpack("3i", told)[0])


@contextlib.contextmanager
def project(loop: str, environment: str = "local") -> Iterator[Project]:
    """A project in a temporary folder; its services are stopped when it is left."""
    with tempfile.TemporaryDirectory(prefix="loopctl-bench-") as name:
        made = Project(Path(name), loop, environment)
        subprocess.run(["git", "init", "-q", name], check=True, timeout=30)
        try:
            yield made
        finally:
            _end(made)


def _end(made: Project) -> None:
    """Stop the services; where loopctl cannot, its host is ended, and they end with it."""
    if not list(made.runtime.rglob("host.sock")):
        return
    host = made.host()
    try:
        made.loopctl("down")
    except RuntimeError:
        os.kill(host, signal.SIGTERM)
        _await_end(host)
        raise


def _await_end(process: int) -> None:
    """Until then it writes into the folder."""
    deadline = time.monotonic() + 30
    with contextlib.suppress(ProcessLookupError):
        while time.monotonic() < deadline:
            os.kill(process, 0)
            time.sleep(0.05)
