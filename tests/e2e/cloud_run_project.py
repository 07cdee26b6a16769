"""Projects on the emulated Cloud Run: images, loops, and what the API holds of them.

The emulator lives in the process of the test. Revisions are processes, and an image is a folder
with a service in it, named by the digest of its text: such tests need no engine.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from rig import Project, Ran, met_by_users
from services import suite, tiny_service
from word_loop import SAYS, WANTS_GOOD

from emulator.log_store import LogStore
from emulator.run_names import short
from emulator.run_runtime import Runtime
from emulator.run_runtime_process import ProcessRuntime, Program
from emulator.server import Emulator
from loopctl.platforms.cloud_run.lease_mark import LEASE
from loopctl.platforms.cloud_run.verified import VERIFIED

PROJECT = "p"
REGION = "us-central1"
SECRET = "a-value-that-only-secret-manager-knows-31337"
REPOSITORY = "registry.example.test/apps"
AT_ONCE: Mapping[str, Any] = {"path": "/health", "stable_for": "0s", "timeout": "20s"}
"""The part of a service that is healthy with its first answer."""

PROMPT = (sys.executable, str(Path(__file__).with_name("prompt_logs.py")))
"""`loopctl`, which waits no longer for entries than the emulator's take."""

Transport = Literal["grpc", "rest"]
Row = tuple[str, int, str]
"""A row of traffic: the revision's short name, empty for the newest; its percentage; its tag."""


@contextlib.contextmanager
def emulated(runtime: Runtime, **settings: Any) -> Iterator[Emulator]:
    """Cloud Run and its logs, which are there as soon as they are written; probes take 2 s."""
    logs = LogStore(PROJECT)
    logs.ingestion(0, 0)
    quick = {"time_scale": 1 / 120, "pause_s": 0.02, "logs": logs}
    with Emulator(PROJECT, REGION, runtime=runtime, **{**quick, **settings}) as running:
        running.secrets["web-key"] = {"1": SECRET}
        # Many runs in a minute are no matter of one run's budget.
        running.read_quota.limit = 100_000
        yield running


def sent_to(emulator: Emulator, method: str) -> list[Any]:
    """The requests of every call of a method so far, in order."""
    return [each.request for each in emulator.calls if each.method == method]


@dataclass
class CloudProject:
    """A project whose only environment, `staging`, is on the emulator.

    `before` is its last run that was green, which is what serves.
    """

    project: Project
    emulator: Emulator
    runtime: ProcessRuntime
    shelf: Path
    transport: Transport = "grpc"
    before: Ran | None = None
    _keys: dict[str, Any] = field(default_factory=dict)

    @property
    def endpoint(self) -> str:
        rest = self.transport == "rest"
        return self.emulator.rest_endpoint if rest else self.emulator.grpc_endpoint

    def image(self, word: str = "good", prelude: str = "") -> str:
        """An image by digest, which is there from now on: it says a word."""
        made = Project.__new__(Project)
        made.root = self.shelf / "making"
        tiny_service(made, "web", SAYS + prelude)
        text = (made.root / "web" / "service.py").read_text()
        digest = hashlib.sha256(f"{word}\n{text}".encode()).hexdigest()
        folder = self.shelf / digest
        folder.mkdir(exist_ok=True)
        (folder / "service.py").write_text(text)
        (folder / "word.txt").write_text(f"{word}\n")
        name = f"{REPOSITORY}/web@sha256:{digest}"
        self.runtime.programs[name] = Program((sys.executable, "-S", "service.py"), folder)
        return name

    def loop(
        self,
        *,
        name: str = "web",
        word: str = "good",
        prelude: str = "",
        image: str | None = None,
        tests: str = WANTS_GOOD,
        strategy: str = "candidate",
        place: Mapping[str, Any] | None = None,
        run: Mapping[str, Any] | None = None,
        health: Mapping[str, Any] | None = None,
        suite_keys: Mapping[str, Any] | None = None,
        more_suites: Sequence[Mapping[str, Any]] = (),
        **keys: Any,
    ) -> None:
        """Write the loop `web`, committed: its service says a word, its suite wants `good`."""
        environment = {
            "platform": "cloud-run",
            "project": PROJECT,
            "region": REGION,
            "endpoint": self.endpoint,
            "transport": self.transport,
            "strategy": strategy,
            **(place or {}),
        }
        service = {
            "image": image or self.image(word, prelude),
            "provenance": "none",
            "run": {**(run or {})},
            "health": {**AT_ONCE, **(health or {})},
        }
        self.project.loop(
            "web",
            environments={"staging": environment},
            services={name: service},
            suites=[suite(self.project, tests, target=name, **(suite_keys or {})), *more_suites],
            **keys,
        )
        self.project.commit()

    def green(self, **keys: Any) -> Ran:
        """A green run of `loop`."""
        self.loop(**keys)
        ran = self.project.run("web")
        assert ran.code == 0, str(ran)
        self.before = ran
        return ran

    def service(self, name: str = "web") -> Any:
        """The service as the API holds it."""
        return self.emulator.state.service(name)

    def traffic(self, name: str = "web") -> list[Row]:
        """What was asked for."""
        return [(t.revision, t.percent, t.tag) for t in self.service(name).traffic]

    def serves(self, name: str = "web") -> list[Row]:
        """What is."""
        return [(t.revision, t.percent, t.tag) for t in self.service(name).traffic_statuses]

    def revisions(self) -> list[str]:
        """The short names of all there are."""
        with self.emulator.state.changed:
            return [short(name) for name in self.emulator.state.revisions]

    def verified(self, name: str = "web") -> list[dict[str, str]]:
        """The annotation that tells of them, the newest first."""
        return list(json.loads(self.service(name).annotations.get(VERIFIED, "[]")))

    def was_asked(self, path: str) -> bool:
        """Whether a request for it came to a front door, as the log of them tells."""
        rows = self.emulator.logs.rows(0, time.time_ns())
        return any(path.encode() in row.data for row in rows if "requests" in row.log_name)

    def lease(self, name: str = "web") -> dict[str, Any] | None:
        """The annotation of who holds the service."""
        told = self.service(name).annotations.get(LEASE)
        return None if told is None else dict(json.loads(told))

    def writes(self) -> list[str]:
        """The methods that were called to change something, in order."""
        verbs = ("Create", "Update", "Delete")
        return [each.method for each in self.emulator.calls if each.method.startswith(verbs)]

    def close(self) -> None:
        self.project.close()


@contextlib.contextmanager
def cloud_opened(
    place: Path, transport: Transport = "grpc", **settings: Any
) -> Iterator[CloudProject]:
    """A project on an emulator of its own; nothing is left of either."""
    shelf = place / "images"
    shelf.mkdir(parents=True)
    runtime = ProcessRuntime({})
    with emulated(runtime, **settings) as emulator:
        made = CloudProject(Project(place), emulator, runtime, shelf, transport)
        made.project.command = PROMPT
        try:
            yield made
        finally:
            made.close()


@dataclass(frozen=True, slots=True)
class Serving:
    """What stood before a run that must leave it so: who serves, and with which template."""

    cloud: CloudProject
    revision: str
    template: Any
    url: str

    @staticmethod
    def of(cloud: CloudProject) -> Serving:
        assert cloud.before is not None
        revision = str(cloud.before.service("web")["revision"])
        return Serving(cloud, revision, template_of(cloud), cloud.before.stable_url)

    def holds(self) -> None:
        """Users meet what they met; template, traffic and notes are as they were."""
        assert met_by_users(self.url) == self.revision
        assert self.cloud.serves() == self.cloud.traffic() == [(self.revision, 100, "")]
        assert template_of(self.cloud) == self.template
        assert self.cloud.lease() is None
        assert self.cloud.verified()[0]["revision"] == self.revision

    def told(self, ran: Ran) -> None:
        """The same, and the run says so: on its first line and in its result."""
        self.holds()
        assert ran.first_line.startswith("USERS: "), str(ran)
        assert f"web: {self.revision} 100 %" in ran.first_line, str(ran)
        assert ", verified" in ran.first_line, str(ran)
        (left,) = ran.result["left"]
        assert (left["traffic"], left["verified"]) == ({self.revision: 100}, True)
        assert left["changed_by_run"] is False


def template_of(cloud: CloudProject) -> Any:
    """The template without what tells one deployment from another."""
    template = cloud.service().template
    template.revision = ""
    template.annotations.clear()
    return template
