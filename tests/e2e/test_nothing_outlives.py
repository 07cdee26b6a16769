"""No process of a suite or a build step outlives its step, or a loopctl that was killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from rig import Project, until
from services import tiny_loop, tiny_service

from loopctl.process_table import is_running

# What a test or a step leaves: of no session, no parent, no environment and no folder of theirs.
DAEMON = "setsid env -i sh -c 'cd /; echo $$ > \"$0\"; exec sleep 600' {} >/dev/null 2>&1 &"
LEAVES_ONE = """
import subprocess

def told(name):
    return os.path.exists(name) and os.path.getsize(name) > 0

def leave(name):
    subprocess.run(["sh", "-c", DAEMON.replace("{}", name)], check=True)
    while not told(name):
        time.sleep(0.01)
"""


class Left:
    """The pids that those who are left behind tell of themselves."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def file(self, name: str) -> str:
        return str(self.place / f"{name}.pid")

    def pid(self, name: str) -> int:
        file = Path(self.file(name))
        return int(until(lambda: file.read_text().strip() if file.exists() else ""))

    def running(self) -> list[int]:
        pids = [int(file.read_text()) for file in self.place.glob("*.pid")]
        return [pid for pid in pids if is_running(pid)]


@pytest.fixture
def left(tmp_path: Path) -> Iterator[Left]:
    place = tmp_path / "left"
    place.mkdir()
    left = Left(place)
    yield left
    for pid in left.running():
        os.kill(pid, signal.SIGKILL)


def leaving(left: Left, tests: str) -> str:
    """Tests that can leave a daemon behind, and tell of themselves."""
    return f"DAEMON = {DAEMON!r}\n{LEAVES_ONE}\nLEFT = {str(left.place)!r}\n{tests}"


def spools(project: Project) -> list[Path]:
    return list(Path(project.env["TMPDIR"]).glob("loopctl-spool-*"))


@pytest.fixture
def watched(project: Project, tmp_path: Path) -> Project:
    """A project whose folder for temporary files is its own."""
    (tmp_path / "tmp").mkdir()
    project.env["TMPDIR"] = str(tmp_path / "tmp")
    return project


def test_the_daemons_of_a_build_step_and_of_a_test_end_with_them(
    watched: Project, left: Left
) -> None:
    step = DAEMON.replace("{}", left.file("step"))
    wait = f"until [ -s {left.file('step')} ]; do sleep 0.01; done"
    service = {**tiny_service(watched), "build": {"steps": [f"{step}\n{wait}"]}}
    tests = "def test_it():\n    assert 'healthy' in ask()\n    leave(LEFT + '/test.pid')\n"
    tiny_loop(watched, leaving(left, tests), service=service)

    ran = watched.run("web")

    assert ran.code == 0, str(ran)
    assert left.pid("step") != left.pid("test")
    assert left.running() == []
    assert spools(watched) == []


def test_a_loopctl_killed_in_a_suite_leaves_no_process_of_it_and_no_spool(
    watched: Project, left: Left
) -> None:
    tests = (
        "def test_it():\n"
        "    leave(LEFT + '/test.pid')\n"
        "    open(LEFT + '/pytest.pid', 'w').write(str(os.getpid()))\n"
        "    time.sleep(9)\n"
    )
    tiny_loop(watched, leaving(left, tests))

    going = watched.start("run", "web", "-q")
    suite = left.pid("pytest")
    assert len(spools(watched)) == 1
    going.signal(signal.SIGKILL)
    ran = going.end()

    until(lambda: not left.running(), 3)
    until(lambda: not spools(watched), 3)
    assert (ran.code, is_running(suite)) == (-signal.SIGKILL, False)


def test_a_loopctl_killed_in_a_build_step_leaves_no_process_of_it(
    watched: Project, left: Left
) -> None:
    step = f"{DAEMON.replace('{}', left.file('daemon'))}\necho $$ > {left.file('step')}; sleep 60"
    tiny_loop(watched, service={**tiny_service(watched), "build": {"steps": [step]}})

    going = watched.start("run", "web", "-q")
    assert left.pid("step") != left.pid("daemon")
    going.signal(signal.SIGKILL)
    going.end()

    until(lambda: not left.running(), 3)
