"""The action of this repository: its shell steps are run for real, with the runner's variables."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest
from action_rig import Job
from ci_logs import commands_of
from rig import Project, until
from services import tiny_loop

HERE = str(Path(sys.executable).parent / "loopctl")
REPORTS = {"journal.jsonl", "summary.json", "result.json", "worklog.md", "report.html", "junit.xml"}


def _job(project: Project, **inputs: str) -> Job:
    given = {name.replace("_", "-"): value for name, value in inputs.items()}
    job = Job(project.root, project.root.parent / "temp", project.env, given)
    job.outputs["install"] = {"loopctl": HERE}
    return job


def test_a_green_loop_ends_the_step_well_and_leaves_outputs_summary_and_reports(
    project: Project,
) -> None:
    tiny_loop(project)
    job = _job(project, loop="web", env="local", arguments="--max-cycles\n1\n\n--suite=smoke\n")

    ended = job.step("Run the loop")

    assert ended.code == 0, ended.err
    assert (ended.outputs["verdict"], ended.outputs["exit-code"]) == ("green", "0")
    assert "cycle 1 of at most 1" in ended.out
    assert ended.summary.startswith("## web on local: green\n")
    assert {command.name for command in commands_of(ended.err)} == {"group", "endgroup"}
    uploads = [Path(path) for path in job.uploads("reports")]
    assert {path.name for path in uploads} == REPORTS
    assert all(path.is_file() for path in uploads)
    (whole,) = job.uploads("all")
    assert Path(whole).is_dir()


def test_a_red_loop_ends_the_step_with_its_code(project: Project) -> None:
    tiny_loop(project, "def test_it():\n    assert ask() == 'no'\n")
    ended = _job(project, loop="web", working_directory="loops").step("Run the loop")
    assert ended.code == 1
    assert ended.outputs["verdict"] == "red"
    (error, *_) = [found for found in commands_of(ended.err) if found.name == "error"]
    assert error.properties["file"] == "tests/test_smoke.py"


@pytest.mark.parametrize("name", ["loop", "env", "arguments", "confirm"])
def test_an_input_is_data_and_never_code(project: Project, name: str) -> None:
    tiny_loop(project)
    hostile = 'x\'; touch pwned; "$(touch pwned)" `touch pwned` ${IFS} -v'
    job = _job(project, **{"loop": "web", name: hostile})

    ended = job.step("Run the loop")

    assert ended.code == 2, ended.err
    assert (ended.outputs["verdict"], ended.outputs["exit-code"]) == ("usage", "2")
    assert "folder" not in ended.outputs
    assert not list(project.root.rglob("pwned"))


@pytest.mark.parametrize(
    ("inputs", "code"),
    [({}, 0), ({"upload": "all"}, 0), ({"upload": "raw"}, 2), ({"extras": "a] @ x"}, 2)],
)
def test_inputs_that_are_none_are_refused_at_once(
    tmp_path: Path, inputs: dict[str, str], code: int
) -> None:
    job = Job(tmp_path, tmp_path, dict(os.environ), inputs)
    ended = job.step("Check the inputs")
    assert ended.code == code
    assert len(commands_of(ended.out)) == (1 if code else 0)


@pytest.mark.slow
def test_a_job_that_is_cancelled_stops_loopctl_itself(project: Project) -> None:
    tiny_loop(project, "def test_it():\n    ask()\n    time.sleep(60)\n", timeout={"suite": "90s"})
    process, files = _job(project, loop="web").start("Run the loop")
    until(lambda: [path for path in project.runs_dir.glob("runs/*/suites") if path.is_dir()])
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert "verdict=interrupted" in (files / "output").read_text()


@pytest.mark.slow
def test_it_installs_loopctl_once_with_what_is_pinned(tmp_path: Path) -> None:
    variables = {k: v for k, v in os.environ.items() if not k.startswith(("LOOPCTL_", "VIRTUAL"))}
    job = Job(tmp_path, tmp_path, {**variables, "PYTHON": sys.executable})
    job.outputs["python"] = {"python-path": sys.executable}

    first = job.step("Install loopctl", timeout=400)
    made = Path(first.outputs["loopctl"]).stat().st_mtime_ns
    again = job.step("Install loopctl")

    assert (first.code, again.code) == (0, 0), first.err
    assert first.outputs == again.outputs
    assert Path(first.outputs["loopctl"]).stat().st_mtime_ns == made
