"""The zoos that the evidence rules are measured on: their labels, held against wrong targets."""

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
HELD_OUT = ZOO / "held_out"


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


def ends(http: str, grpc: str, report: Path, suite: Path = ZOO) -> Counter[tuple[str, str]]:
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
        cwd=suite,
        env={**kept, **told},
        check=False,
        capture_output=True,
        timeout=120,
    )
    # A test whose subtests failed has several cases there, one of which may have passed.
    worst: dict[tuple[str, str], str] = {}
    for case in ET.parse(report).iter("testcase"):
        name = (case.get("classname", ""), case.get("name", ""))
        how = next((x.tag for x in case if x.tag in ("failure", "error", "skipped")), "passed")
        worst[name] = how if worst.get(name, "passed") == "passed" else worst[name]
    found: Counter[tuple[str, str]] = Counter()
    for (classname, _), how in worst.items():
        found["honest" if "honest" in classname.split(".") else "false", how] += 1
    return found


def noticed(found: Counter[tuple[str, str]]) -> Counter[tuple[str, str]]:
    """The same by passed and not passed alone."""
    summed: Counter[tuple[str, str]] = Counter()
    for (label, how), count in found.items():
        summed[label, "passed" if how == "passed" else "not passed"] += count
    return summed


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
    assert noticed(found) == {("honest", "not passed"): 62, ("false", "passed"): 50}


@pytest.mark.slow
def test_every_held_out_test_passes_against_its_target(tmp_path: Path) -> None:
    http, grpc = free_port(), free_port()
    with server("held_out/shop.py", http), server("grpc_target.py", grpc):
        found = ends(http, grpc, tmp_path / "junit.xml", HELD_OUT)
    assert found == {("honest", "passed"): 101, ("false", "passed"): 61}


@pytest.mark.slow
@pytest.mark.parametrize("script", ["wrong_target.py", "held_out/wrong_shop.py"])
def test_only_the_honest_held_out_ones_notice_a_wrong_target(tmp_path: Path, script: str) -> None:
    http, grpc = free_port(), free_port()
    with server(script, http, GRPC_PORT=grpc):
        found = ends(http, grpc, tmp_path / "junit.xml", HELD_OUT)
    assert noticed(found) == {("honest", "not passed"): 101, ("false", "passed"): 61}
    if script == "held_out/wrong_shop.py":
        assert found["honest", "failure"] == 101, "a fixture failed, not the test's own body"
