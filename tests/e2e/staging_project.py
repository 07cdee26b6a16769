"""The loop of this repository in a project of its own, and Cloud Run as its environment `staging`.

Images are built by the real engine and lie in a real registry; revisions are containers.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloud_run_project import PROJECT, PROMPT, Row, Transport, emulated
from docker_project import DockerProject
from engine_rig import BASE, real_engine
from registry_rig import Registry, own_registry
from rig import REPOSITORY, Project, Ran

from emulator.run_runtime_docker import LABEL, DockerRuntime
from emulator.server import Emulator
from loopctl.platforms.host.rendezvous import Rendezvous

JWT = "the-key-that-only-secret-manager-has-0077291"


class StagingProject(DockerProject):
    """A project that builds in the engine, and deploys elsewhere."""

    @property
    def key(self) -> str:
        return Rendezvous.of(self.project.root, "staging", self.project.runs_dir).key


@dataclass(frozen=True, slots=True)
class Staging:
    """The loop of this repository, and Cloud Run as its environment `staging`."""

    made: StagingProject
    emulator: Emulator
    registry: Registry

    @property
    def project(self) -> Project:
        return self.made.project

    def env(self, strategy: str, transport: Transport) -> dict[str, str]:
        emulator = self.emulator
        rest = transport == "rest"
        return {
            "GCP_PROJECT": PROJECT,
            "CLOUD_RUN_ENDPOINT": emulator.rest_endpoint if rest else emulator.grpc_endpoint,
            "CLOUD_RUN_TRANSPORT": transport,
            "CHAT_REPOSITORY": f"{self.registry.address}/e2e",
            "CHAT_BASE": BASE,
            "CHAT_STRATEGY": strategy,
        }

    def run(self, env: dict[str, str], **more: str) -> Ran:
        return self.project.run("golden-path", "--env", "staging", env={**env, **more})

    def service(self) -> Any:
        return self.emulator.state.service("chat")

    def serves(self) -> list[Row]:
        """What was asked for, which is what there is."""
        service = self.service()
        asked = [(t.revision, t.percent, t.tag) for t in service.traffic]
        assert asked == [(t.revision, t.percent, t.tag) for t in service.traffic_statuses]
        return asked


@contextlib.contextmanager
def staging_opened(place: Path) -> Iterator[Staging]:
    """The example and its loop in a project of their own; nothing of it is left."""
    engine = real_engine()
    project = Project(place)
    project.env["DOCKER_HOST"] = engine.address
    project.command = PROMPT
    made = StagingProject(project, engine)
    leave = shutil.ignore_patterns("__pycache__", ".*_cache")
    chat = project.root / "examples" / "chat"
    shutil.copytree(REPOSITORY / "examples" / "chat", chat, ignore=leave)
    project.loop_file("golden-path", (REPOSITORY / "loops" / "golden-path.yaml").read_text())
    project.commit()
    try:
        with own_registry() as registry:
            made.forget_afterwards(f"{registry.address}/e2e")
            with emulated(DockerRuntime(), time_scale=0.05) as emulator:
                emulator.secrets["chat-jwt-secret"] = {"1": JWT}
                yield Staging(made, emulator, registry)
                names = [name.rpartition("/")[2] for name in emulator.state.revisions]
        for name in names:
            assert made.docker("ps", "--all", "--quiet", "--filter", f"label={LABEL}={name}") == ""
    finally:
        made.close()
