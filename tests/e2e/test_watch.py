"""Looking on at a run from another process: it is told as it happens, and never harmed."""

from __future__ import annotations

import json
import os
import signal

import pytest
from kill_rig import AT_ONCE, PATIENT, WAITS, killed_at, let_go, resumed, waiting
from rig import Going, Project, until
from services import tiny_loop


def attached(project: Project, *arguments: str) -> Going:
    """`loopctl watch` that has said its first words."""
    watch = project.start("watch", *arguments)
    assert watch.process.stderr is not None
    assert os.read(watch.process.stderr.fileno(), 1), watch.end()
    return watch


def state_of(project: Project, run: str) -> str:
    runs = project.loopctl("runs", "--json").document()["runs"]
    return str(next(each for each in runs if each["run_id"] == run)["state"])


@pytest.mark.parametrize(
    ("tests", "code"),
    [(WAITS, 0), pytest.param(WAITS + "    assert False\n", 1, marks=pytest.mark.slow)],
)
def test_who_watches_is_told_everything_and_ends_as_the_run_does(
    project: Project, tests: str, code: int
) -> None:
    tiny_loop(project, tests, service=AT_ONCE, timeout=PATIENT)
    going = waiting(project)
    watch = attached(project, str(going.folder() / "journal.jsonl"))
    let_go(project)
    seen, ended = watch.end(), going.end()
    assert ended.code == code, str(ended)
    assert seen.code == code, str(seen)
    assert "build ok" in seen.err, "what was before it came"
    assert f"exit code {code}" in seen.err, "what came after"
    assert seen.out == ended.out, "both end with the same first screen"


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_leaving_leaves_the_run_alone(project: Project, number: signal.Signals) -> None:
    tiny_loop(project, WAITS, service=AT_ONCE, timeout=PATIENT)
    going = waiting(project)
    watch = attached(project)
    watch.signal(number)
    left = watch.end()
    assert left.code == 128 + number, str(left)
    assert f"back with loopctl watch {going.folder().name}" in left.err
    assert going.process.poll() is None
    let_go(project)
    ended = going.end()
    assert ended.code == 0, str(ended)


def test_a_run_whose_process_is_gone_says_how_to_go_on(project: Project) -> None:
    tiny_loop(project, service=AT_ONCE)
    folder = killed_at(project, "web", "entered verify")
    seen = project.loopctl("watch", folder.name)
    assert seen.code == 3, str(seen)
    assert f"loopctl resume {folder.name}" in seen.err


@pytest.mark.slow
def test_a_run_is_running_interrupted_running_again_and_ended(project: Project) -> None:
    tiny_loop(project, WAITS, service=AT_ONCE, timeout=PATIENT)
    going = waiting(project)
    folder = going.folder()
    assert state_of(project, folder.name) == "running"
    watch = attached(project, folder.name)
    going.signal(signal.SIGKILL)
    assert going.end().code == -signal.SIGKILL
    seen = watch.end()
    assert (seen.code, f"loopctl resume {folder.name}" in seen.err) == (3, True), str(seen)
    assert state_of(project, folder.name) == "interrupted"
    assert f"loopctl resume {folder.name}" in project.loopctl("show", folder.name).out

    (project.root / "waiting").unlink()
    again = project.start("resume", folder.name, "-q")
    until((project.root / "waiting").exists)
    assert state_of(project, folder.name) == "running"
    watch = attached(project, folder.name)
    let_go(project)
    ended, seen = again.end(), watch.end()
    assert ended.code == 0, str(ended)
    assert (seen.code, seen.out) == (0, ended.out), str(seen)
    assert state_of(project, folder.name) == "ended"


@pytest.mark.slow
def test_an_interrupted_run_is_running_again_once_it_is_gone_on_with(project: Project) -> None:
    tiny_loop(project, WAITS, service=AT_ONCE, timeout=PATIENT)
    going = waiting(project)
    going.signal(signal.SIGINT)
    stopped = going.end()
    assert stopped.code == 130, str(stopped)
    assert state_of(project, stopped.run.name) == "ended"
    (project.root / "waiting").unlink(missing_ok=True)
    again = project.start("resume", stopped.run.name, "-q")
    until((project.root / "waiting").exists)
    assert state_of(project, stopped.run.name) == "running"
    let_go(project)
    assert again.end().code == 0
    assert state_of(project, stopped.run.name) == "ended"


@pytest.mark.slow
def test_the_events_of_a_run_that_has_ended_are_told_at_once(project: Project) -> None:
    tiny_loop(project, service=AT_ONCE)
    folder = killed_at(project, "web", "entered verify")
    assert resumed(project, folder).code == 0
    seen = project.loopctl("watch", folder.name, "--events")
    assert seen.code == 0, str(seen)
    kinds = [json.loads(line)["kind"] for line in seen.out.splitlines()]
    assert kinds[0] == "run.started"
    assert kinds.count("run.resumed") == 1
    assert kinds[-1] == "run.ended"
