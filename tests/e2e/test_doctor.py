"""`loopctl doctor --env ENV`: what an environment of containers lacks on this machine."""

from __future__ import annotations

import os

import pytest
from engine_rig import BASE, real_engine
from rig import Project
from services import suite, tiny_service

DOCKER = {"local": {"platform": "local"}, "docker": {"platform": "docker"}}
NOWHERE = {"DOCKER_HOST": "unix:///nowhere/docker.sock"}


@pytest.fixture
def containers(project: Project) -> Project:
    """A project whose loop `web` has an environment of processes and one of containers."""
    spec = tiny_service(project, "web")
    project.write("web/Dockerfile", f"FROM {BASE}\nCOPY . /app\n")
    project.loop(
        "web",
        environments=DOCKER,
        services={"web": spec},
        suites=[suite(project, "def test_it():\n    ask()\n")],
    )
    project.commit()
    return project


def test_a_machine_without_an_engine_is_told_where_it_was_looked_for_and_what_to_do(
    containers: Project,
) -> None:
    told = containers.loopctl("doctor", "--env", "docker", env=NOWHERE)
    assert told.code == 4, str(told)
    lines = told.out.splitlines()
    missing = [line for line in lines if line.startswith("MISSING")]
    assert missing == [
        "MISSING Docker engine: there is no socket /nowhere/docker.sock: no engine runs there"
    ], "once, and nothing that only follows from it"
    assert "make engines" in lines[lines.index(missing[0]) + 1]
    document = containers.loopctl("doctor", "--env", "docker", "--json", env=NOWHERE).document()
    assert document["ok"] is False


def test_processes_need_no_engine(containers: Project) -> None:
    told = containers.loopctl("doctor", "web", "--env", "local", env=NOWHERE)
    assert told.code == 0, str(told)
    assert "Docker engine" not in told.out


def test_a_machine_with_an_engine_has_all_it_needs(containers: Project) -> None:
    address = real_engine().address
    env = {name: value for name, value in os.environ.items() if name.startswith("DOCKER_")}
    told = containers.loopctl("doctor", "--env", "docker", env=env)
    assert told.code == 0, str(told)
    assert f"at {address}," in told.out
    assert f"ok      base image {BASE}: in the engine" in told.out


def test_an_environment_without_a_loop_is_the_only_loops(containers: Project) -> None:
    containers.loop("other", environments=DOCKER, services={}, suites=[])
    told = containers.loopctl("doctor", "--env", "docker", env=NOWHERE)
    assert told.code == 2, str(told)
    assert "name one: other, web" in told.err
    (containers.root / "loops/other.yaml").unlink()
    unknown = containers.loopctl("doctor", "--env", "elsewhere")
    assert unknown.code == 2, str(unknown)
