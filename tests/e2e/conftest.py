"""Projects for the tests of the command line; each is taken down, and must leave nothing."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from docker_project import DockerProject, Standing, docker_opened
from rig import Project, Ran, opened
from word_loop import as_it_was, green_before


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """An empty git repository of the test's own."""
    with opened(tmp_path) as project:
        yield project


@pytest.fixture(scope="module")
def green(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Project, Ran]]:
    """A project with a green run of `word_loop`, shared by the tests of a module."""
    with opened(tmp_path_factory.mktemp("green")) as project:
        yield project, green_before(project)


@pytest.fixture
def served(green: tuple[Project, Ran]) -> Iterator[tuple[Project, Ran]]:
    """The shared project and its green run, for a test that leaves what was verified serving."""
    project, before = green
    yield project, before
    as_it_was(project)


@pytest.fixture
def docker(tmp_path: Path) -> Iterator[DockerProject]:
    """An empty project on the real engine."""
    with docker_opened(tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerProject]:
    """A project on the real engine with a green run, shared by the tests of a module."""
    with docker_opened(tmp_path_factory.mktemp("docker")) as made:
        made.green()
        yield made


@pytest.fixture
def standing(serving: DockerProject) -> Standing:
    """What the shared project has standing, for a test that must leave it so."""
    serving.project.git("clean", "-fdqx", "-e", ".loopctl")
    serving.project.git("reset", "-q", "--hard")
    if not serving.stands():
        serving.green()
    return Standing.of(serving)


@pytest.fixture
def small_disk(project: Project) -> Iterator[Path]:
    """A file system of 3 MB in the project, where a root may mount one."""
    place = project.root / ".loopctl"
    place.mkdir(mode=0o700)
    command = ["mount", "-t", "tmpfs", "-o", "size=3m,mode=0700", "tmpfs", str(place)]
    if subprocess.run(command, capture_output=True, timeout=10, check=False).returncode != 0:
        pytest.skip("mounting a small disk needs the right to mount")
    yield place
    # Services write their logs there until they are down.
    project.loopctl("down", "web")
    subprocess.run(["umount", "-l", str(place)], check=True, timeout=10)
