"""The docker platform on a real engine, for the contract suite."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import pytest
from engine_rig import BASE, real_engine
from platform_rig import STARTED, HostedRig, local_rig, rig_of

from loopctl.engine import containers
from loopctl.engine.connection import Engine
from loopctl.engine.containers import ContainerState, Found
from loopctl.evidence.blobs import read_tree, tree_digest
from loopctl.model.artifact import Artifact, ArtifactKind, Revision
from loopctl.platforms.docker_engine.platform import DockerPlatform
from loopctl.process import Stop
from loopctl.redact import Secret


class DockerRig(HostedRig):
    """The docker platform. Its images are made once for each content, and go with it."""

    command = ("python3", "main.py")
    reached_at = "0.0.0.0"
    machine = "host.docker.internal"
    engine: Engine

    def make_platform(
        self, secrets: Mapping[str, Secret], patterns: Sequence[str]
    ) -> DockerPlatform:
        self.engine = real_engine()
        self._made: dict[str, str] = {}
        return DockerPlatform(self.place, self.engine, secrets, patterns, "a-loop")

    def make_artifact(self, folder: Path) -> Artifact:
        tree = tree_digest(read_tree(folder))
        if tree not in self._made:
            self._made[tree] = committed(self.engine, folder)
        image = self._made[tree]
        made = Artifact("chat", ArtifactKind.IMAGE, image, image, tree, STARTED)
        return replace(made, roots=("/app",))

    def lose(self, artifact: Artifact) -> str:
        with self.engine.api(self.stop) as api:
            api.remove_image(artifact.location, force=True)
        del self._made[artifact.source_tree]
        return "does not have the image"

    def tamper(self, revision: Revision) -> str:
        self.docker(
            *("exec", self.container(revision), "sh", "-c"),
            "echo '# another' > web.py; echo its own > cache.bin; chmod 755 main.py",
        )
        return "/app/main.py is changed, /app/web.py is changed"

    def left_behind(self) -> list[str]:
        return [each.name for each in self.containers()]

    def end(self) -> None:
        super().end()
        with self.engine.api(Stop(30)) as api:
            while self._made:
                api.remove_image(self._made.popitem()[1], force=True)

    def containers(self) -> tuple[Found, ...]:
        """All containers of this rig's project."""
        wanted = {"dev.loopctl.project": self.place.key}
        return containers.labelled(self.engine, wanted, Stop(10))

    def container(self, revision: Revision) -> str:
        """The name of its container."""
        return f"loopctl-{self.place.key}-{revision.name}"

    def inspect(self, revision: Revision) -> ContainerState:
        """How its container is."""
        return containers.inspect(self.engine, self.container(revision), Stop(10))

    def docker(self, *args: str) -> str:
        """What a person would type; what it prints."""
        environment = {**os.environ, **self.engine.environ}
        ran = subprocess.run(
            ["docker", *args],
            env=environment,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout


def docker_rig(
    secrets: Mapping[str, str] | None = None, lapse: str = "900", grace: str = "0.5"
) -> AbstractContextManager[DockerRig]:
    """A rig of containers, gone without a trace afterwards.

    The first process of a container is ended by SIGTERM only if it handles it: so little grace.
    """
    real_engine()
    return rig_of(DockerRig, secrets or {}, lapse, grace)


#: One rig for each platform of this machine: what both must keep is tested with both.
RIGS: Mapping[str, Callable[..., AbstractContextManager[HostedRig]]] = {
    "local": local_rig,
    "docker": docker_rig,
}


def each_rig(request: pytest.FixtureRequest) -> Iterator[HostedRig]:
    """For a fixture with `params=RIGS`."""
    with RIGS[request.param]() as made:
        yield made


def a_docker_rig() -> Iterator[DockerRig]:
    """For a fixture."""
    with docker_rig() as made:
        yield made


def committed(engine: Engine, folder: Path) -> str:
    """An image of a folder, by a commit: a build would take three times as long."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.GNU_FORMAT) as tar:
        tar.add(folder, "app")
    with engine.api(Stop(30)) as api:
        made = str(api.create_container(BASE, ["true"])["Id"])
        try:
            api.put_archive(made, "/", archive.getvalue())
            changes = {"WorkingDir": "/app", "Env": ["PYTHONUNBUFFERED=1"]}
            return str(api.commit(made, conf=changes)["Id"])
        finally:
            api.remove_container(made, force=True)
