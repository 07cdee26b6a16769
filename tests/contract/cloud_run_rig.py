"""The platform on Cloud Run over the emulator, for the contract suite.

Revisions are processes, or containers whose images come from the real registry.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, Final, Literal

import httpx
import pytest
from docker_rig import RIGS, committed
from engine_rig import real_engine, real_registry
from platform_rig import STARTED, PlatformRig
from slow import but_slow

from emulator.run_runtime import Runtime
from emulator.run_runtime_docker import DockerRuntime
from emulator.run_runtime_process import ProcessRuntime, Program
from emulator.server import Emulator
from loopctl.evidence.blobs import read_tree, tree_digest
from loopctl.model.artifact import Artifact, ArtifactKind, Revision, ServiceState
from loopctl.model.finding import Fault, Quote
from loopctl.model.logs import LogEntry
from loopctl.model.plan import CloudRunPlace, Environment, PlatformKind, SecretSpec, ServiceSpec
from loopctl.platforms.cloud_run.clients import Clients
from loopctl.platforms.cloud_run.log_window import Pace
from loopctl.platforms.cloud_run.logs import CloudRunLogs
from loopctl.platforms.cloud_run.quota import ReadQuota
from loopctl.platforms.cloud_run.receipts import CloudRunReceipts
from loopctl.platforms.cloud_run.site import site_of
from loopctl.ports.platform import Dead
from loopctl.process import Stop
from loopctl.redact import Redactor

Transport = Literal["grpc", "rest"]

#: When the end of a window is looked at: the emulator's entries are late by fractions of a second.
QUICK: Final = Pace(looks_s=(0.3, 0.6, 1.2, 1.8), settled_s=0.6, limit_s=30.0)
_PLENTY: Final = 100_000


class CloudRunRig(PlatformRig):
    """Cloud Run in an emulator of the rig's own. Nothing of it is left afterwards."""

    command = (sys.executable, "main.py")
    reached_at = "0.0.0.0"
    apart = False
    soon_s = 6.0
    receipts_asked = 4
    transport: ClassVar[Transport] = "grpc"

    @abstractmethod
    def make_runtime(self) -> Runtime:
        """What revisions run in."""

    def set_up(self) -> None:
        self.emulator = Emulator(
            runtime=self.make_runtime(), time_scale=1 / 120, pause_s=0.02
        ).__enter__()
        self.emulator.read_quota.limit = _PLENTY
        self.emulator.logs.ingestion(0, 0)
        self.clients: list[Clients] = []
        self.connect()

    def connect(self) -> None:
        """Adapters that know nothing of what others did, as on another machine."""
        rest = self.transport == "rest"
        endpoint = self.emulator.rest_endpoint if rest else self.emulator.grpc_endpoint
        self.where = CloudRunPlace(
            "p", "us-central1", "registry/r", endpoint=endpoint, transport=self.transport
        )
        redactor = Redactor(self.secrets)
        environment = Environment("staging", PlatformKind.CLOUD_RUN, cloud_run=self.where)
        site = site_of(environment, None, redactor)
        clients = Clients(self.where)
        self.clients.append(clients)
        self.platform, self.leases, self.verified = site.platform, site.leases, site.verified
        quota = ReadQuota(_PLENTY)
        self.logs = CloudRunLogs(clients, redactor, quota=quota, pace=QUICK, poll_s=0.1)
        self.receipts = CloudRunReceipts(clients, redactor, quota=quota, pace=QUICK, late_s=1.5)

    def spec(self, command: tuple[str, ...] | None = None, **run: object) -> ServiceSpec:
        """Secrets are references: their values are nobody's here."""
        made = super().spec(command, **run)
        named = tuple(SecretSpec(name, reference=f"{name}:latest") for name in self.secrets)
        return replace(made, run=replace(made.run, secrets=named))

    def tamper(self, revision: Revision) -> str:
        """What runs cannot be changed: only the API could tell of another image."""
        other = f"europe-docker.pkg.dev/p/r/other@sha256:{'0' * 64}"
        with self.emulator.state.changed:
            name = f"{self.emulator.state.place.service('chat')}/revisions/{revision.name}"
            self.emulator.state.revisions[name].containers[0].image = other
        return f"{revision.name} runs {other}, not {revision.digest}"

    def check_order(self, old: Revision, new: Revision) -> None:
        assert old.name != new.name
        assert old.created_at < new.created_at

    def exited(self, fault: Fault, code: int) -> bool:
        return fault.summary == f"chat: its process ended with exit code {code}"

    def last_words(self, fault: Fault) -> list[str]:
        return [quote.quote for quote in fault.quotes if quote.source.startswith("stderr of ")]

    def is_quoted(self, quote: Quote, entries: Sequence[LogEntry]) -> bool:
        if quote.kind == "condition":
            return True
        return quote.quote in [each.text for each in entries if f" {each.revision}" in quote.source]

    def no_program(self, program: str) -> str:
        return f'error finding executable "{program}" in PATH'

    def let_rest(self, revision: Revision) -> None:
        """As after a quarter of an hour without requests."""
        name = f"{self.emulator.state.place.service('chat')}/revisions/{revision.name}"
        self.emulator.fleet.scale_to_zero(name)

    def can_serve_again(self, revision: Revision) -> bool:
        return not isinstance(self.status(revision), Dead)

    def is_closed(self, url: str) -> bool:
        """Google's front end goes on answering, and says that there is nothing."""
        with httpx.Client(trust_env=False, timeout=5) as client:
            answer = client.get(url)
        return answer.status_code == 404 and "was not found on this server" in answer.text

    def check_discarded(self, revision: Revision) -> None:
        """The revision stays; no tag leads to it, and the template is what serves again."""
        found = self.emulator.state.service("chat")
        assert [row.tag for row in found.traffic if row.tag] == []
        state = self.platform.observe("chat", self.stop)
        assert isinstance(state, ServiceState)
        assert revision.name not in state.traffic
        (serving,) = state.traffic
        served = self.emulator.state.revision(serving)
        assert found.template.containers[0].image == served.containers[0].image

    def told_port(self, revision: Revision) -> str | None:
        return None

    def end(self) -> None:
        held = self.leases.peek(self.platform.target("chat"), Stop(10))
        if held is None:
            held = self.hold("end")
        self.platform.down("chat", held, Stop(30))
        self.leases.release(held)
        self.platform.close(keep=False, stop=Stop(10))
        for clients in self.clients:
            clients.close()
        self.emulator.close()
        assert self.processes() == []


class ProcessCloudRunRig(CloudRunRig):
    """Revisions are processes, an image stands for a folder."""

    def make_runtime(self) -> Runtime:
        self.programs: dict[str, Program] = {}
        return ProcessRuntime(self.programs)

    def make_artifact(self, folder: Path) -> Artifact:
        tree = tree_digest(read_tree(folder))
        image = f"europe-docker.pkg.dev/p/r/chat@{tree}"
        self.programs[image] = Program(
            (sys.executable, "main.py"), folder, {"PYTHONUNBUFFERED": "1"}
        )
        return Artifact("chat", ArtifactKind.IMAGE, tree, image, tree, STARTED)


class RestCloudRunRig(ProcessCloudRunRig):
    """The same by REST."""

    transport = "rest"


class DockerCloudRunRig(CloudRunRig):
    """Revisions are containers, pulled by digest from the real registry."""

    command = ("python3", "main.py")

    def make_runtime(self) -> Runtime:
        self.engine = real_engine()
        self.repository = f"{real_registry()}/contract-{uuid.uuid4().hex[:12]}"
        self._pushed: dict[str, str] = {}
        return DockerRuntime()

    def make_artifact(self, folder: Path) -> Artifact:
        tree = tree_digest(read_tree(folder))
        if tree not in self._pushed:
            self._pushed[tree] = self._push(folder)
        location = self._pushed[tree]
        digest = location.partition("@")[2]
        return Artifact("chat", ArtifactKind.IMAGE, digest, location, tree, STARTED)

    def end(self) -> None:
        super().end()
        self._docker("rmi", "--force", *self._pushed.values())

    def _push(self, folder: Path) -> str:
        """The reference by digest."""
        made = committed(self.engine, folder)
        name = f"{self.repository}:{len(self._pushed)}"
        self._docker("tag", made, name)
        self._docker("push", "--quiet", name)
        told = self._docker("image", "inspect", "--format", "{{index .RepoDigests 0}}", name)
        self._docker("rmi", "--force", name)
        return told.strip()

    def _docker(self, *args: str) -> str:
        ran = subprocess.run(
            ["docker", *args],
            env={**os.environ, **self.engine.environ},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout


@contextmanager
def _rig_of(
    kind: type[CloudRunRig], secrets: Mapping[str, str] | None = None
) -> Iterator[CloudRunRig]:
    folder = Path(tempfile.mkdtemp(prefix="lc-"))
    try:
        rig = kind(folder, secrets or {})
        try:
            yield rig
        finally:
            rig.end()
    finally:
        shutil.rmtree(folder)


@contextmanager
def cloud_run_rig(
    secrets: Mapping[str, str] | None = None, transport: Transport = "grpc"
) -> Iterator[ProcessCloudRunRig]:
    """A rig of processes, gone without a trace afterwards."""
    with _rig_of(RestCloudRunRig if transport == "rest" else ProcessCloudRunRig, secrets) as made:
        assert isinstance(made, ProcessCloudRunRig)
        yield made


@contextmanager
def cloud_run_docker_rig() -> Iterator[CloudRunRig]:
    """A rig of containers."""
    with _rig_of(DockerCloudRunRig) as made:
        yield made


def _by_rest() -> AbstractContextManager[CloudRunRig]:
    return cloud_run_rig(transport="rest")


_CLOUD_RUN: Final[Mapping[str, Callable[[], AbstractContextManager[PlatformRig]]]] = {
    "cloud-run": cloud_run_rig,
    "cloud-run-rest": _by_rest,
    "cloud-run-docker": cloud_run_docker_rig,
}
_SLOW: Final = ("cloud-run-rest", "cloud-run-docker")

_NAMES: Final = (*RIGS, *_CLOUD_RUN)

#: Every platform, by each of its ways: what all must keep is tested with all.
ALL_RIGS: Final = but_slow(_NAMES, [name for name in _NAMES if name not in _SLOW])

#: … and what takes its time on some, quickly on one or two.
QUICK_ON_LOCAL: Final = but_slow(_NAMES, ("local",))
QUICK_ON_HOSTS: Final = but_slow(_NAMES, tuple(RIGS))


def any_rig(request: pytest.FixtureRequest) -> Iterator[PlatformRig]:
    """For a fixture with `params=ALL_RIGS`."""
    made: AbstractContextManager[PlatformRig]
    made = RIGS[request.param]() if request.param in RIGS else _CLOUD_RUN[request.param]()
    with made as rig:
        yield rig
