"""The engine of the bench's containers, where this machine has one, and what it is left without."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from bench.project import Project, environ, project
from loopctl.engine.build_request import BuildClientAbsentError
from loopctl.engine.cli_build import find_cli
from loopctl.engine.connection import Engine
from loopctl.engine.errors import EngineError
from loopctl.engine.images import find_image, labelled_images, remove_image
from loopctl.engine.whereabouts import socket_trouble
from loopctl.platforms.host.rendezvous import Rendezvous
from loopctl.process import Stop

_PROJECT = "dev.loopctl.project"
_BESIDE = "dev.loopctl.bench"
_CONTEXTS = ("http url http://build-context", "local source for context", "fileop target")


@dataclass(frozen=True, slots=True)
class Docker:
    """An engine, a command that builds with its BuildKit, and the base image of what is built."""

    engine: Engine
    cli: Path
    base: str

    def environ(self, **more: str) -> dict[str, str]:
        """Our environment, with BuildKit chosen."""
        return environ(DOCKER_BUILDKIT="1", BUILDX_BUILDER="default", **more)

    def __call__(self, *arguments: str) -> str:
        """What a person would type; what it prints. Raises `RuntimeError` where it fails."""
        done = subprocess.run(
            [self.cli, *arguments],
            env=self.environ(),
            check=False,
            capture_output=True,
            text=True,
            timeout=300,
        )
        if done.returncode:
            raise RuntimeError(f"docker {arguments} ended in {done.returncode}\n{done.stderr}")
        return done.stdout.strip()


@dataclass(frozen=True, slots=True)
class DockerProject:
    """A project whose environment is `docker`; `key` is on whatever of it is in the engine."""

    made: Project
    key: str

    @property
    def beside(self) -> str:
        """The label of what is made for comparison."""
        return f"{_BESIDE}={self.key}"


def docker_here() -> Docker | str:
    """What there is, or in words why nothing can be measured."""
    engine = Engine(os.environ)
    base = os.environ.get("CHAT_BASE", "loopctl-base:local")
    trouble = socket_trouble(engine, os.environ)
    if trouble is not None:
        return trouble[0]
    try:
        if find_image(engine, base, Stop(10)) is None:
            return f"the engine has no image {base}, which `make engines` makes"
        return Docker(engine, find_cli(engine, Stop(10)), base)
    except BuildClientAbsentError:
        return "no docker command here builds with BuildKit"
    except EngineError as error:
        return error.what


@contextmanager
def docker_project(docker: Docker, loop: str) -> Iterator[DockerProject]:
    """A project in a temporary folder; its containers and images are gone afterwards."""
    key = None
    try:
        with project(loop, "docker") as made:
            key = Rendezvous.of(made.folder, "docker", made.folder / ".loopctl").key
            yield DockerProject(made, key)
    finally:
        if key is not None:
            _remove_images(docker, {_PROJECT: key})


@contextmanager
def without_images(docker: Docker, project: DockerProject) -> Iterator[None]:
    """What is made for comparison meanwhile is gone afterwards."""
    try:
        yield
    finally:
        _remove_images(docker, {_BESIDE: project.key})


def _remove_images(docker: Docker, label: dict[str, str]) -> None:
    for image in labelled_images(docker.engine, label, Stop(60)):
        remove_image(docker.engine, image, image.tags, Stop(60))


@contextmanager
def without_large_cache(docker: Docker, size: int) -> Iterator[None]:
    """Take out of BuildKit's cache what was put there meanwhile and is about as large as that.

    Nothing else takes it out, not even `--no-cache`; each build leaves its context and its layer.
    """
    before = set(_cached(docker, size))
    try:
        yield
    finally:
        for each in set(_cached(docker, size)) - before:
            with docker.engine.api(Stop(60), 60) as api:
                api.prune_builds(filters=cast("Any", {"id": each}))


def _cached(docker: Docker, size: int) -> Iterator[str]:
    with docker.engine.api(Stop(60), 60) as api:
        for record in api.df()["BuildCache"] or ():
            is_ours = record["Description"].startswith(_CONTEXTS)
            if is_ours and not record["InUse"] and size * 0.9 < record["Size"] < size * 1.2:
                yield str(record["ID"])
