"""The two zoos as loopctl's suites: what is copied into a project, and the loop file around it"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from bench.project import ROOT, Project, environ, project

_ZOO: Final = ROOT / "bench" / "zoo"


@dataclass(frozen=True, slots=True)
class Zoo:
    """One zoo: its tests, and the service that they are about."""

    name: str
    service: str
    script: str
    folder: str
    """Where its `pytest.ini` and its tests are, below the repository's root."""
    arguments: str


ZOO: Final = Zoo("zoo", "zoo", "target.py", "bench/zoo", "tests")
HELD_OUT: Final = Zoo("held out", "shop", "held_out/shop.py", "bench/zoo/held_out", "honest false")


@dataclass(frozen=True, slots=True)
class Mode:
    """One way to run a zoo."""

    name: str
    receipts: bool
    control: bool

    @property
    def id(self) -> str:
        """As the loop file names the suite."""
        return self.name.replace(" + ", "-").replace(" ", "-")

    @property
    def guarded(self) -> bool:
        """Whether the aim of 0 false tests holds."""
        return self.receipts or self.control


MODES: Final = (
    Mode("neither", receipts=False, control=False),
    Mode("receipts", receipts=True, control=False),
    Mode("control run", receipts=False, control=True),
    Mode("receipts + control run", receipts=True, control=True),
)


def run(zoo: Zoo) -> Mapping[str, Mapping[str, object]]:
    """Run it in every mode; the suites of the final document, by the ids of the modes."""
    with project("zoo") as made, _words() as words:
        _write(zoo, made, words)
        # The false tests do not count as proof, so that the run cannot be green: exit code 3.
        document = json.loads(made.loopctl("run", "--json", code=3))
    return {suite["id"]: suite for suite in document["cycles"][-1]["suites"]}


def _write(zoo: Zoo, made: Project, words: str) -> None:
    # The whole package: the held-out tests import what is beside them by its full name.
    copied, without = made.folder / "suite", shutil.ignore_patterns("__pycache__", ".pytest_cache")
    shutil.copytree(_ZOO, copied / "bench" / "zoo", ignore=without)
    shutil.copy(ROOT / "bench" / "__init__.py", copied / "bench")
    made.write("service/service.py", (_ZOO / zoo.script).read_text())
    health = {"path": "/health", "expect": {"status": "healthy"}, "stable_for": "0s"}
    command = {"command": ["python", "service.py"]}
    document = {
        "version": 1,
        "name": made.loop,
        "environments": {"local": {"platform": "local"}},
        "services": {
            zoo.service: {"source": "../service", "run": command, "health": health},
            "words": {"url": f"http://{words}", "health": health},
        },
        "suites": [_suite(zoo, mode, words) for mode in MODES],
        # One after the other: what a child process met is told from its neighbours that way.
        "loop": {"max_cycles": 1, "jobs": 1},
    }
    made.write(f"loops/{made.loop}.yaml", json.dumps(document))


def _suite(zoo: Zoo, mode: Mode, words: str) -> dict[str, object]:
    return {
        "id": mode.id,
        "kind": "pytest",
        "run": f"{zoo.arguments} -p no:cacheprovider",
        "cwd": f"../suite/{zoo.folder}",
        "env": {
            "BASE_URL": f"${{services.{zoo.service}.url}}",
            "WS_URL": f"${{services.{zoo.service}.ws_url}}",
            "GRPC_ADDRESS": words,
        },
        "timeout": {"suite": "5m", "test": "60s"},
        "on_fail": "continue",
        "protects": zoo.service,
        "repeatable": True,
        "evidence": {
            "target": [zoo.service, "words"],
            "receipts": "on" if mode.receipts else "off",
            "control": "always" if mode.control else "off",
        },
    }


@contextmanager
def _words() -> Iterator[str]:
    """The gRPC server, already there; HOST:PORT."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    server = [sys.executable, str(_ZOO / "grpc_target.py")]
    with subprocess.Popen(server, env=environ(PORT=str(port))) as process:
        try:
            _await_healthy(f"http://127.0.0.1:{port}/health")
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()


def _await_healthy(url: str) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return
