"""The loop's ports, scripted: small honest worlds, without processes or network."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal, NoReturn

from scripted import Scripted

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
from loopctl.model.references import Endpoint
from loopctl.ports.builder import Builder, Noticed, Progress
from loopctl.ports.history import History, RunRecord
from loopctl.ports.identity import Identity, Token
from loopctl.ports.leases import Held, HeldByOther, LeaseLost, Leases
from loopctl.ports.logs import LogSource, Met, Receipts
from loopctl.ports.platform import (
    Absent,
    Dead,
    Platform,
    Present,
    Ready,
    Starting,
    Traffic,
    Unknown,
)
from loopctl.ports.probe import Answer, Prober, Unreachable
from loopctl.ports.publisher import Publisher
from loopctl.ports.source import CommitLine, Sources
from loopctl.ports.suite import Suite, SuiteContext
from loopctl.process import Stop, utc_now
from loopctl.redact import Secret

BEGAN = datetime(2025, 9, 10, 20, 30, tzinfo=UTC)
HEALTHY = Answer(200, 0.001, '{"status": "healthy"}')


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
    """A small world that remembers: traffic, revisions, and what each is asked to become.

    As real ones do, it gives every revision a name of its own (`chat-new`, `chat-new-2`, …), finds
    a deployment by its key, and raises a service's generation with every write, whoever made it.
    """

    accepts = ArtifactKind.FOLDER
    keeps_addresses = True

    def __init__(self, *services: str, existing: bool = True) -> None:
        super().__init__()
        self.states: dict[str, ServiceState | None] = {
            name: serving(name, {f"{name}-old": 100}) if existing else None for name in services
        }
        self.statuses: dict[str, list[Starting | Ready | Dead]] = {}
        self.problems: list[Problem] = []
        self.environments: dict[str, Mapping[str, str]] = {}
        self.memory: dict[str, int | None] = {}
        self.content: str | None = None
        self.stubborn: set[str] = set()
        """Services whose traffic does not go where it is sent."""
        self.unsure = 0
        """How often it cannot tell whether a deployment was made."""
        self._made: Counter[str] = Counter()

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
        self._write(replace(state, traffic=dict(traffic), revisions=revisions))

    def touch(self, service: str) -> None:
        """Somebody else writes to the service, and leaves its traffic as it is."""
        state = self._state(service)
        assert state is not None
        self._write(state)

    def _write(self, state: ServiceState) -> ServiceState:
        written = replace(state, generation=str(int(state.generation) + 1))
        self.states[state.service] = written
        return written

    def _state(self, service: str) -> ServiceState | None:
        if service not in self.states:
            self.unexpected(f"{service} is no service of this test")
        return self.states[service]

    def check(self, specs: Sequence[ServiceSpec], stop: Stop) -> Sequence[Problem]:
        self.called(f"check {' '.join(spec.name for spec in specs)}")
        return self.problems

    def target(self, service: str) -> Target:
        return Target("fake", "here", service)

    def from_within(self, endpoint: Endpoint) -> Endpoint:
        return endpoint

    def observe(self, service: str, stop: Stop) -> ServiceState | Absent:
        self.called(f"observe {service}")
        return self._state(service) or Absent()

    def find(self, key: DeployKey, stop: Stop) -> Present | Absent | Unknown:
        self.called(f"find {key}")
        if self.unsure:
            self.unsure -= 1
            return Unknown("the control plane does not answer")
        state = self._state(key.service)
        made = [r for r in state.revisions if r.key == str(key)] if state else []
        return Present(made[0]) if made else Absent()

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
        self.called(f"refuse {spec.name}")
        state = self._state(spec.name)
        if state is not None and any(r.key == str(key) for r in state.revisions):
            self.unexpected(f"deploy {key} a second time")
        new = Revision(spec.name, self._new_name(spec.name), artifact.digest, utc_now(), str(key))
        self.environments[spec.name] = env
        self.memory[spec.name] = spec.run.memory
        base = state or serving(spec.name, {})
        traffic = {new.name: 100} if share == "all" else {**base.traffic, new.name: 0}
        self._write(replace(base, traffic=traffic, revisions=(*base.revisions, new)))
        # A failure after this is a deployment that was accepted and never heard of.
        self.called(f"deploy {spec.name} {share}")
        self.happened(f"deploy {spec.name} {share}")
        return new

    def _new_name(self, service: str) -> str:
        self._made[service] += 1
        number = self._made[service]
        return f"{service}-new" if number == 1 else f"{service}-new-{number}"

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
        if service not in self.stubborn and self.traffic(service) != dict(want):
            state = self._write(replace(state, traffic=dict(want)))
        self.happened(f"route {service} {words}")
        return state

    def discard(self, candidate: Revision, held: Held, stop: Stop) -> None:
        self.called(f"discard {candidate.service} {candidate.name}")
        state = self._state(candidate.service)
        if state is None or state.traffic.get(candidate.name):
            self.unexpected(f"discard {candidate.name}, which serves")
        left = tuple(r for r in state.revisions if r.name != candidate.name)
        if left != state.revisions:
            self._write(replace(state, revisions=left))
        self.happened(f"discard {candidate.service} {candidate.name}")

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
        self.told: list[Progress | Noticed] = [Progress("copy", 0.01)]

    def check(self, specs: Sequence[ServiceSpec], stop: Stop) -> Sequence[Problem]:
        self.called("check")
        return self.problems

    def build(
        self,
        spec: ServiceSpec,
        source: SourceTree | None,
        log: Path,
        on: Callable[[Progress | Noticed], None],
        stop: Stop,
    ) -> Artifact:
        self.called(f"build {spec.name}")
        for each in self.told:
            on(each)
        stop.remaining(0)
        digest = self.digests.get(spec.name, f"sha256:image-of-{spec.name}")
        kind = ArtifactKind.FOLDER
        if source is None:
            assert spec.image is not None
            place = spec.image.partition("@")[2]
            return Artifact(spec.name, kind, place, spec.image, "", BEGAN, elsewhere=True)
        return Artifact(spec.name, kind, digest, f"images/{spec.name}", source.digest, BEGAN)

    def prove(
        self, artifact: Artifact, source: SourceTree | None, spec: ServiceSpec, stop: Stop
    ) -> ContentProof:
        self.called(f"prove {spec.name}")
        tree = "" if source is None else source.digest
        return self.proofs.get(spec.name) or ContentProof(spec.name, tree, tree)


class FakePublisher(Scripted, Publisher):
    """A registry that takes every image at once."""

    def __init__(self) -> None:
        super().__init__()
        self.problems: list[Problem] = []

    def check(self, stop: Stop) -> list[Problem]:
        self.called("check")
        return self.problems

    def publish(self, artifact: Artifact, stop: Stop) -> Artifact:
        self.called(f"publish {artifact.digest}")
        digest = f"sha256:manifest-of-{artifact.service}"
        where = f"registry/{artifact.service}@{digest}"
        return replace(artifact, digest=digest, location=where, image_id=artifact.digest)


class FakeSources(Scripted, Sources):
    """One tree for every folder, which `edited` changes; `commits` are those since green,
    `untold` the files that were edited since the last."""

    def __init__(self) -> None:
        super().__init__()
        self.commits: tuple[CommitLine, ...] = ()
        self.untold: tuple[str, ...] = ()
        self.edited = ""

    def read(self, folder: Path, stop: Stop) -> SourceTree:
        self.called(f"read {folder.name}")
        files = (SourceFile("main.py", "0" * 40, "100644"),)
        digest = f"sha256:tree-of-{folder.name}{self.edited}"
        return SourceTree(folder, files, digest, commit="c0ffee")

    def commits_between(
        self, folder: Path, old: str, new: str, stop: Stop
    ) -> tuple[CommitLine, ...]:
        self.called(f"commits {old}..{new}")
        return self.commits

    def uncommitted(self, folder: Path, stop: Stop) -> tuple[str, ...]:
        self.called(f"uncommitted {folder.name}")
        return self.untold


class FakeProber(Scripted, Prober):
    """Answers by URL, each script's last for ever; all else is healthy under `http://`."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: dict[str, list[Answer | Unreachable]] = {}
        self.problems: Sequence[Problem] = ()
        self.bearers: list[tuple[str, str | None]] = []

    def check(self, stop: Stop) -> Sequence[Problem]:
        self.called("check")
        return self.problems

    def get(
        self,
        url: str,
        timeout_s: float,
        follow_redirects: bool,
        stop: Stop,
        bearer: Secret | None = None,
    ) -> Answer | Unreachable:
        if not url.startswith("http://") or timeout_s <= 0:
            self.unexpected(f"get {url} within {timeout_s} s")
        self.bearers.append((url, bearer.reveal() if bearer else None))
        self.called(f"get {url} {'follow' if follow_redirects else 'deny'}")
        script = self.answers.get(url)
        if script:
            return script.pop(0) if len(script) > 1 else script[0]
        return HEALTHY


class FakeIdentity(Scripted, Identity):
    """Gives `token-of-NAME`, with a number from the second on once `renew` was called."""

    def __init__(self) -> None:
        super().__init__()
        self.problems: Sequence[Problem] = ()
        self.renewed = 0

    def renew(self) -> None:
        self.renewed += 1

    def check(self, specs: Sequence[ServiceSpec], stop: Stop) -> Sequence[Problem]:
        self.called(f"check {' '.join(spec.name for spec in specs)}")
        return self.problems

    def token(self, spec: ServiceSpec, audience: str, stop: Stop) -> Token:
        self.called(f"token {spec.name} for {audience}")
        number = f"-{self.renewed + 1}" if self.renewed else ""
        whom = "tester@shop.iam.gserviceaccount.com"
        return Token(Secret("id-token", f"token-of-{spec.name}{number}"), whom)


class FakeLeases(Scripted, Leases):
    """One holder at a time, each with a fence of its own; a dead one is taken over."""

    def __init__(self) -> None:
        super().__init__()
        self.held: Held | None = None
        self.holder_lives = True
        self._fence = 0

    def taken_by(self, run_id: str) -> None:
        """Another run has it now, and lives."""
        self._give(self.held.targets if self.held else (), run_id, 90.0)

    def acquire(self, targets: Sequence[Target], run_id: str, ttl: float, stop: Stop) -> Held:
        self.called("acquire")
        if self.held is not None and self.holder_lives:
            raise HeldByOther(f"held by run {self.held.run_id}", hint="wait for that run")
        return self._give(tuple(targets), run_id, ttl)

    def renew(self, held: Held, stop: Stop) -> Held:
        self.called("renew")
        if self.held is None or self.held.fence != held.fence:
            raise LeaseLost("another run has taken the lease", hint="see what that run did")
        return held

    def release(self, held: Held) -> None:
        self.called("release")
        if self.held is not None and self.held.fence == held.fence:
            self.held = None

    def peek(self, target: Target, stop: Stop) -> Held | None:
        self.called(f"peek {target}")
        return self.held if self.holder_lives else None

    def _give(self, targets: tuple[Target, ...], run_id: str, ttl: float) -> Held:
        self._fence += 1
        until = BEGAN + timedelta(seconds=ttl)
        self.held = Held(targets, run_id, BEGAN, until, f"fence-{self._fence}")
        self.holder_lives = True
        return self.held


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
        self.logged: Sequence[RequestEntry] = ()
        self.complete = True
        self.late_s = 0.0

    def of(
        self,
        revision: Revision,
        traces: frozenset[str],
        window: LogWindow,
        stop: Stop,
        awaited: frozenset[str] = frozenset(),
    ) -> Met:
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
        for entry in self.logged:
            into(entry)
        return Coverage(complete=True, until=utc_now())


class FakeHistory(Scripted, History):
    """Keeps the records of runs in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[RunRecord] = []

    def recent(self, loop: str, environment: str, limit: int, stop: Stop) -> Sequence[RunRecord]:
        self.called(f"recent {loop} {environment}")
        mine = [r for r in self.records if (r.loop, r.environment) == (loop, environment)]
        return mine[::-1][:limit]

    def named(
        self, loop: str, environment: str, run_ids: Sequence[str], stop: Stop
    ) -> Sequence[RunRecord]:
        self.called(f"named {loop} {environment}")
        mine = {r.run_id: r for r in self.records if (r.loop, r.environment) == (loop, environment)}
        return [mine[run_id] for run_id in run_ids if run_id in mine]

    def key(self, stop: Stop) -> bytes:
        self.called("key")
        return b"k" * 32

    def put(self, record: RunRecord, stop: Stop) -> None:
        self.called(f"put {record.run_id}")
        self.records.append(record)


class DeafHistory(FakeHistory):
    """A folder whose mount hangs: it hears no `Stop`."""

    def __init__(self) -> None:
        super().__init__()
        self.let_go = threading.Event()

    def recent(self, loop: str, environment: str, limit: int, stop: Stop) -> Sequence[RunRecord]:
        self.let_go.wait(20)
        return []

    def put(self, record: RunRecord, stop: Stop) -> None:
        self.let_go.wait(20)


class FakeSuite(Scripted, Suite):
    """Runs the cases that a test wrote down for a suite; one without a script is unexpected.

    A retry goes by the name of its suite and its folder, `p1/retry-1`, and hands over the same
    cases again where nothing else was written down for it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.cases: dict[str, Sequence[Case]] = {}
        self.ends: dict[str, SuiteEnd] = {}
        self.collections: dict[str, Collection | None] = {}
        self.problems: dict[str, Sequence[Problem]] = {}
        self.contexts: dict[str, SuiteContext] = {}
        self.specs: dict[str, SuiteSpec] = {}

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
        name = spec.id if context.only is None else f"{spec.id}/{context.folder.name}"
        self.contexts[name] = context
        self.specs[name] = spec
        cases = self.cases.get(name, self.cases.get(spec.id))
        if cases is None:
            self.unexpected(f"run {name}")
        if context.only is not None:
            cases = [case for case in cases if case.id in context.only]
        for case in cases:
            on(case)
        self.called(f"run {name}")
        self.happened(f"run {name}")
        stop.remaining(0)
        return self.ends.get(name) or an_end(collected=len(cases))
