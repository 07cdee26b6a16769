"""What goes wrong when a run is over is told, and never hides how the run ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from rig import Project
from services import ASKS, suite, tiny_loop, tiny_service

# A host that is stopped the moment the run has ended does not answer any more.
SCRIPT = """
import json, os, signal
from pathlib import Path
from loopctl import api

def at(event):
    if event.payload.KIND == "run.ended":
        host = json.loads(Path(".loopctl/hosts/local/host.json").read_text())
        os.kill(host["pid"], signal.SIGSTOP)

result = api.run(api.load("web"), subscribers=[at])
print(json.dumps({"code": result.exit_code, "problems": result.problems}))
"""


@pytest.mark.slow
def test_a_platform_that_is_silent_at_the_end_does_not_hide_a_green_run(project: Project) -> None:
    tiny_loop(project)
    command = [sys.executable, "-c", SCRIPT]
    try:
        done = subprocess.run(
            command,
            cwd=project.root,
            env=project.env,
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )
    finally:
        host = json.loads((project.runs_dir / "hosts" / "local" / "host.json").read_text())
        os.kill(host["pid"], signal.SIGCONT)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["code"] == 0
    assert "did not answer" in told["problems"][0]
    run = next(iter(project.run_folders()))
    assert json.loads((run / "result.json").read_text())["verdict"] == "green"


@pytest.mark.slow
def test_an_old_run_that_cannot_be_removed_does_not_change_the_exit_code(project: Project) -> None:
    project.loop(
        "web",
        environments={"local": {"platform": "local", "require_env": ["NOT_SET_ANYWHERE"]}},
        services={"web": tiny_service(project)},
        suites=[suite(project, ASKS)],
        worklog={"keep": 1},
    )
    project.commit()
    first = project.run("web")
    assert first.code == 4, str(first)
    too_deep(first.run)
    try:
        second = project.run("web")
        assert second.code == 4, str(second)
        assert f"the old run {first.run.name} is still there" in second.err
    finally:
        subprocess.run(["rm", "-rf", str(first.run)], check=True, timeout=30)


def too_deep(folder: Path) -> None:
    """Nest more folders in it than anybody may have open at once."""
    here = os.open(folder, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
