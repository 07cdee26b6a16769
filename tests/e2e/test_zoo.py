"""The zoo that the evidence rules are measured on: its labels, held against two targets."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.request
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ZOO = Path(__file__).resolve().parents[2] / "bench" / "zoo"


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return str(found.getsockname()[1])


@contextlib.contextmanager
def server(script: str, port: str, **env: str) -> Iterator[None]:
    """One of the zoo's servers, for as long as it is needed; healthy when it is entered."""
    told = {**os.environ, "PORT": port, **env}
    command = [sys.executable, str(ZOO / script)]
    with subprocess.Popen(command, env=told, stderr=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + 20
            while True:
                with contextlib.suppress(OSError):
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
                    break
                assert time.monotonic() < deadline, f"{script} never answered"
                time.sleep(0.05)
            yield
        finally:
            process.terminate()


def ends(http: str, grpc: str, report: Path) -> Counter[tuple[str, str]]:
    """How many tests of each folder ended in which way, by plain pytest."""
    # Nothing of ours in it, and nothing of what may be watching this test.
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("LOOPCTL_", "PYTEST_"))}
    told = {
        "BASE_URL": f"http://127.0.0.1:{http}",
        "WS_URL": f"ws://127.0.0.1:{http}",
        "GRPC_ADDRESS": f"127.0.0.1:{grpc}",
    }
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}"],
        cwd=ZOO,
        env={**kept, **told},
        check=False,
        capture_output=True,
        timeout=120,
    )
    found: Counter[tuple[str, str]] = Counter()
    for case in ET.parse(report).iter("testcase"):
        label = "honest" if ".honest." in case.get("classname", "") else "false"
        bad = any(child.tag in ("failure", "error", "skipped") for child in case)
        found[label, "not passed" if bad else "passed"] += 1
    return found


@pytest.mark.slow
def test_every_test_of_the_zoo_passes_against_its_target(tmp_path: Path) -> None:
    http, grpc = free_port(), free_port()
    with server("target.py", http), server("grpc_target.py", grpc):
        found = ends(http, grpc, tmp_path / "junit.xml")
    assert found == {("honest", "passed"): 62, ("false", "passed"): 50}


@pytest.mark.slow
def test_only_the_honest_ones_notice_a_target_that_does_everything_wrong(tmp_path: Path) -> None:
    http, grpc = free_port(), free_port()
    with server("wrong_target.py", http, GRPC_PORT=grpc):
        found = ends(http, grpc, tmp_path / "junit.xml")
    assert found == {("honest", "not passed"): 62, ("false", "passed"): 50}
