"""Scripted ports: real subclasses of the loop's Protocols, and strict ones.

Each keeps its calls in words (`route chat chat-new=100`), raises what `fails` says for a call,
runs what `hooks` says when one arrives, and refuses what no honest caller would do.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal, NoReturn

from loopctl.errors import Problem
from loopctl.model.artifact import (
    Artifact,
    ArtifactKind,
    ContentProof,
    DeployKey,
    Revision,
    ServiceState,
    SourceFile,
    SourceTree,
    Target,
)
from loopctl.model.evidence import Case, Collection, Receipt, SuiteEnd
from loopctl.model.logs import Coverage, LogEntry, LogWindow, RequestEntry
from loopctl.model.plan import ServiceSpec, SuiteSpec
from loopctl.ports.builder import Builder, Progress
from loopctl.ports.leases import Held, Leases
from loopctl.ports.logs import LogSource, Met, Receipts
from loopctl.ports.platform import Absent, Dead, Platform, Ready, Starting, Traffic
from loopctl.ports.probe import Answer, Prober, Unreachable
from loopctl.ports.source import CommitLine, Sources
from loopctl.ports.suite import Suite, SuiteContext
from loopctl.process import Stop, utc_now

BEGAN = datetime(2025, 9, 10, 20, 30, tzinfo=UTC)
HEALTHY = Answer(200, 0.001, '{"status": "healthy"}')


class UnexpectedCall(AssertionError):
    """A port was asked for something that this test did not foresee."""


@dataclass
class Scripted:
    """What every fake shares: calls in words, failures and hooks by the start of a call's words."""

    calls: list[str] = field(default_factory=list)
    fails: dict[str, BaseException] = field(default_factory=dict)
    hooks: dict[str, Callable[[], None]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def called(self, words: str) -> None:
        """Note the call; its hook runs first, then its failure is raised."""
        with self._lock:
            self.calls.append(words)
        for start, hook in list(self.hooks.items()):
            if words.startswith(start):
                hook()
        for start, error in self.fails.items():
            if words.startswith(start):
                raise error

    def unexpected(self, words: str) -> NoReturn:
        """No stage of the loop does that."""
        raise UnexpectedCall(words)

    def effects(self, *verbs: str) -> list[str]:
        """The calls of these verbs, in order."""
        return [call for call in self.calls if call.split()[0] in verbs]


EFFECTS = ("deploy", "route", "discard")


def revision(service: str, name: str, digest: str = "sha256:old") -> Revision:
    """A revision with nothing that a test looks at."""
    return Revision(service, name, digest, BEGAN)


def serving(service: str, traffic: Mapping[str, int]) -> ServiceState:
    """A service and who serves it."""
    revisions = tuple(revision(service, name) for name in traffic)
    address = f"127.0.0.1/{service}"
    return ServiceState(service, f"http://{address}", f"ws://{address}", traffic, revisions, "1")


def an_end(**facts: object) -> SuiteEnd:
    """A suite's process that came to its own end."""
    end = SuiteEnd(complete=True, exit_code=0, duration_s=0.01)
    return replace(end, **facts)  # type: ignore[arg-type]


class FakePlatform(Scripted, Platform):
    """A small world that remembers: traffic, revisions, and what each is asked to become."""

    accepts = ArtifactKind.FOLDER

    def __init__(self, *services: str, existing: bool = True) -> None:
        super().__init__()
        self.states: dict[str, ServiceState | None] = {
            name: serving(name, {f"{name}-old": 100}) if existing else None for name in services
        }
        self.statuses: dict[str, list[Starting | Ready | Dead]] = {}
        self.problems: list[Problem] = []
        self.environments: dict[str, Mapping[str, str]] = {}
        self.content: str | None = None
        self.stubborn: set[str] = set()
        """Services whose traffic does not go where it is sent."""

    def traffic(self, service: str) -> dict[str, int]:
        """Who serves it now, without those who have no share."""
        state = self.states[service]
        return {n: p for n, p in state.traffic.items() if p} if state else {}

    def revisions(self, service: str) -> list[str]:
        """The names of what is deployed."""
        state = self.states[service]
        return [r.name for r in state.revisions] if state else []

    def move(self, service: str, traffic: Mapping[str, int]) -> None:
        """Somebody else changes the traffic."""
        state = self._state(service)
        assert state is not None
        strangers = [revision(service, n) for n in traffic if state.revision(n) is None]
        revisions = (*state.revisions, *strangers)
        self.states[service] = replace(
            state, traffic=dict(traffic), revisions=revisions, generation="stranger"
        )

    def _state(self, service: str) -> ServiceState | None:
        if service not in self.states:
            self.unexpected(f"{service} is no service of this test")
        return self.states[service]

    def check(self, specs: Sequence[ServiceSpec], stop: Stop) -> Sequence[Problem]:
        self.called(f"check {' '.join(spec.name for spec in specs)}")
        return self.problems

    def target(self, service: str) -> Target:
        return Target("fake", "here", service)

    def observe(self, service: str, stop: Stop) -> ServiceState | Absent:
        self.called(f"observe {service}")
        return self._state(service) or Absent()

    def find(self, key: DeployKey, stop: Stop) -> NoReturn:
        self.unexpected(f"find {key}")

    def deploy(
        self,
        spec: ServiceSpec,
        artifact: Artifact,
        key: DeployKey,
        env: Mapping[str, str],
        share: Literal["none", "all"],
        held: Held,
        stop: Stop,
    ) -> Revision:
        state = self._state(spec.name)
        new = Revision(spec.name, f"{spec.name}-new", artifact.digest, utc_now(), str(key))
        self.environments[spec.name] = env
        base = state or serving(spec.name, {})
        traffic = {new.name: 100} if share == "all" else {**base.traffic, new.name: 0}
        accepted = replace(base, traffic=traffic, revisions=(*base.revisions, new))
        if f"refuse {spec.name}" not in self.fails:
            # A failure after this is a deployment that was accepted and never heard of.
            self.states[spec.name] = accepted
        self.called(f"refuse {spec.name}" if self.states[spec.name] is not accepted else "accept")
        self.called(f"deploy {spec.name} {share}")
        return new

    def status(self, revision: Revision, stop: Stop) -> Starting | Ready | Dead:
        self.called(f"status {revision.name}")
        script = self.statuses.get(revision.name)
        if script:
            return script.pop(0) if len(script) > 1 else script[0]
        return Ready(f"http://own/{revision.name}", f"ws://own/{revision.name}")

    def serves_content(self, revision: Revision, artifact: Artifact, stop: Stop) -> str | None:
        self.called(f"serves_content {revision.name}")
        return self.content

    def route(self, service: str, want: Traffic, held: Held, stop: Stop) -> ServiceState:
        words = " ".join(f"{name}={percent}" for name, percent in want.items())
        self.called(f"route {service} {words}")
        state = self._state(service)
        if state is None or any(state.revision(name) is None for name in want):
            self.unexpected(f"route {service} to what is not there: {words}")
        if sum(want.values()) != 100:
            self.unexpected(f"route {service} {words}")
        if service not in self.stubborn:
            state = replace(state, traffic=dict(want))
            self.states[service] = state
        return state

    def discard(self, candidate: Revision, held: Held, stop: Stop) -> None:
        self.called(f"discard {candidate.service} {candidate.name}")
        state = self._state(candidate.service)
        if state is None or state.traffic.get(candidate.name):
            self.unexpected(f"discard {candidate.name}, which serves")
        left = tuple(r for r in state.revisions if r.name != candidate.name)
        self.states[candidate.service] = replace(state, revisions=left)

    def down(self, service: str, held: Held, stop: Stop) -> NoReturn:
        self.unexpected(f"down {service}")

    def close(self, keep: bool, stop: Stop) -> NoReturn:
        self.unexpected("close")


class FakeBuilder(Scripted, Builder):
    """Makes an image of any source at once; `proofs` says what else is found in one."""

    makes = ArtifactKind.FOLDER

    def __init__(self) -> None:
        super().__init__()
        self.problems: list[Problem] = []
        self.proofs: dict[str, ContentProof] = {}
        self.digests: dict[str, str] = {}

    def check(self, specs: Sequence[ServiceSpec], stop: Stop) -> Sequence[Problem]:
        self.called("check")
        return self.problems

    def build(
        self,
        spec: ServiceSpec,
        source: SourceTree,
        log: Path,
        on: Callable[[Progress], None],
        stop: Stop,
    ) -> Artifact:
        self.called(f"build {spec.name}")
        on(Progress("copy", 0.01))
        stop.remaining(0)
        digest = self.digests.get(spec.name, f"sha256:image-of-{spec.name}")
        kind = ArtifactKind.FOLDER
        return Artifact(spec.name, kind, digest, f"images/{spec.name}", source.digest, BEGAN)

    def prove(
        self, artifact: Artifact, source: SourceTree, spec: ServiceSpec, stop: Stop
    ) -> ContentProof:
        self.called(f"prove {spec.name}")
        return self.proofs.get(spec.name) or ContentProof(spec.name, source.digest, source.digest)


class FakeSources(Scripted, Sources):
    """One tree for every folder; `commits` are those since the last green run."""

    def __init__(self) -> None:
        super().__init__()
        self.commits: tuple[CommitLine, ...] = ()

    def read(self, folder: Path, stop: Stop) -> SourceTree:
        self.called(f"read {folder.name}")
        files = (SourceFile("main.py", "0" * 40, "100644"),)
        return SourceTree(folder, files, f"sha256:tree-of-{folder.name}", commit="c0ffee")

    def commits_between(
        self, folder: Path, old: str, new: str, stop: Stop
    ) -> tuple[CommitLine, ...]:
        self.called(f"commits {old}..{new}")
        return self.commits


class FakeProber(Scripted, Prober):
    """Answers by URL, each script's last for ever; all else is healthy under `http://`."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: dict[str, list[Answer | Unreachable]] = {}

    def get(
        self, url: str, timeout_s: float, follow_redirects: bool, stop: Stop
    ) -> Answer | Unreachable:
        if not url.startswith("http://") or timeout_s <= 0:
            self.unexpected(f"get {url} within {timeout_s} s")
        self.called(f"get {url} {'follow' if follow_redirects else 'deny'}")
        script = self.answers.get(url)
        if script:
            return script.pop(0) if len(script) > 1 else script[0]
        return HEALTHY


class FakeLeases(Scripted, Leases):
    """One holder; what was released or lost is not held any more."""

    def __init__(self) -> None:
        super().__init__()
        self.held: Held | None = None

    def acquire(self, targets: Sequence[Target], run_id: str, ttl: float, stop: Stop) -> Held:
        self.called("acquire")
        if self.held is not None:
            self.unexpected("acquire what is held")
        self.held = Held(tuple(targets), run_id, BEGAN, BEGAN + timedelta(seconds=ttl), "fence-1")
        return self.held

    def renew(self, held: Held, stop: Stop) -> Held:
        self.called("renew")
        return held

    def release(self, held: Held) -> None:
        self.called("release")
        self.held = None

    def peek(self, target: Target, stop: Stop) -> NoReturn:
        self.unexpected(f"peek {target}")


class FakeLogs(Scripted, LogSource):
    """Hands over `entries` of the service that is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.entries: list[LogEntry] = []

    def read(self, window: LogWindow, into: Callable[[LogEntry], None], stop: Stop) -> Coverage:
        self.called(f"read {window.service} {window.revision}")
        for entry in self.entries:
            if entry.service == window.service:
                into(entry)
        return Coverage(complete=True, until=utc_now())

    def follow(self, window: LogWindow, stop: Stop) -> Iterator[LogEntry]:
        self.unexpected(f"follow {window.service}")


class FakeReceipts(Scripted, Receipts):
    """Has a receipt for every trace id in `traces`, from whatever revision is asked about."""

    def __init__(self) -> None:
        super().__init__()
        self.traces: set[str] = set()
        self.complete = True

    def of(self, revision: Revision, traces: frozenset[str], window: LogWindow, stop: Stop) -> Met:
        self.called(f"of {revision.name}")
        receipts = tuple(
            Receipt(trace, utc_now(), revision.service, revision.name, "GET", "/rooms", 200)
            for trace in sorted(traces & self.traces)
        )
        return Met(receipts, Coverage(self.complete, utc_now()))

    def requests(
        self, window: LogWindow, into: Callable[[RequestEntry], None], stop: Stop
    ) -> Coverage:
        self.called(f"requests {window.service} {window.revision}")
        return Coverage(complete=True, until=utc_now())


class FakeSuite(Scripted, Suite):
    """Runs the cases that a test wrote down for a suite; one without a script is unexpected."""

    def __init__(self) -> None:
        super().__init__()
        self.cases: dict[str, Sequence[Case]] = {}
        self.ends: dict[str, SuiteEnd] = {}
        self.collections: dict[str, Collection | None] = {}
        self.problems: dict[str, Sequence[Problem]] = {}
        self.contexts: dict[str, SuiteContext] = {}

    def check(self, spec: SuiteSpec, stop: Stop) -> Sequence[Problem]:
        self.called(f"check {spec.id}")
        return self.problems.get(spec.id, ())

    def collect(self, spec: SuiteSpec, context: SuiteContext, stop: Stop) -> Collection | None:
        self.called(f"collect {spec.id}")
        if spec.id in self.collections:
            return self.collections[spec.id]
        return Collection(tuple(case.id for case in self.cases.get(spec.id, ())))

    def run(
        self, spec: SuiteSpec, context: SuiteContext, on: Callable[[Case], None], stop: Stop
    ) -> SuiteEnd:
        self.contexts[spec.id] = context
        cases = self.cases.get(spec.id)
        if cases is None:
            self.unexpected(f"run {spec.id}")
        for case in cases:
            on(case)
        self.called(f"run {spec.id}")
        stop.remaining(0)
        return self.ends.get(spec.id) or an_end(collected=len(cases))
