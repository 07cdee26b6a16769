"""A whole loop on scripted ports: the product's own composition, machine, stages and journal."""

from __future__ import annotations

import contextlib
import functools
import os
import resource
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NoReturn

from fake_remedies import FakeRemedyCommand, FakeWorkTree
from fakes import (
    BEGAN,
    FakeBuilder,
    FakeHistory,
    FakeLeases,
    FakeLogs,
    FakePlatform,
    FakeProber,
    FakeReceipts,
    FakeSources,
    FakeSuite,
)
from scripted import Killed, Life, Scripted

from loopctl.bootstrap import Composition, World
from loopctl.journal.commands import Commands
from loopctl.journal.earlier_runs import EarlierRuns
from loopctl.journal.store import Journal
from loopctl.journal.worklog import CycleRecord, Worklog
from loopctl.machine.resume import Entry, entry_of
from loopctl.machine.session import Session, conduct
from loopctl.model.events import (
    Event,
    Payload,
    RunResumed,
    RunStarted,
    ServiceFacts,
    StageEntered,
    SuiteFacts,
)
from loopctl.model.evidence import Case, CaseStatus, Contact, PhaseRecord, TestPhase
from loopctl.model.options import RunOptions
from loopctl.model.plan import (
    BuildSpec,
    Environment,
    EvidenceSpec,
    HealthSpec,
    LoopLimits,
    Plan,
    PlatformKind,
    Priority,
    Remediation,
    RunSpec,
    ServiceSpec,
    SuiteKind,
    SuitePhase,
    SuiteSpec,
)
from loopctl.model.select import select
from loopctl.model.state import OutcomeKind, State
from loopctl.ports.leases import Held
from loopctl.process import Stop
from loopctl.redact import Redactor
from loopctl.triage.loading import load_catalogue

RUN_ID = "20250910-203000-golden-path-1a2b"
CATALOGUE = functools.cache(load_catalogue)
COMMANDS = Commands(Path("loops/golden-path.yaml"), Path("/project"), "local")
HELD = Held((), RUN_ID, BEGAN, BEGAN, "fence-1")

IN_MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
"""For tests of many runs: a journal's every sync is waited for on a disk."""

AFTER_PREFLIGHT = [
    State.BUILD,
    State.DEPLOY,
    State.HEALTH,
    State.VERIFY,
    State.PROMOTE,
    State.CONFIRM,
]
"""The stages that may have something to put back."""


def held() -> Held:
    """A lease that is never lost."""
    return HELD


def a_service(name: str = "chat", **facts: object) -> ServiceSpec:
    spec = ServiceSpec(
        name, BuildSpec("local"), RunSpec(), HealthSpec(timeout_s=5.0), Path(f"/project/{name}")
    )
    return replace(spec, **facts)  # type: ignore[arg-type]


def a_suite(name: str = "p1", priority: Priority = Priority.P1, **facts: object) -> SuiteSpec:
    spec = SuiteSpec(
        name,
        name,
        priority,
        SuitePhase.VERIFY,
        SuiteKind.PYTEST,
        "tests",
        Path("/project"),
        evidence=EvidenceSpec(target=("chat",)),
    )
    return replace(spec, **facts)  # type: ignore[arg-type]


def a_case(
    name: str = "test_it", status: CaseStatus = CaseStatus.PASSED, target: str | None = "chat"
) -> Case:
    """A case that met `target` with bytes both ways; None: it met nobody."""
    contact = Contact("127.0.0.1", 80, target, loopback=True, sent=12, received=34)
    outcome = "passed" if status is CaseStatus.PASSED else "failed"
    call = PhaseRecord(
        TestPhase.CALL,
        outcome,  # type: ignore[arg-type]
        0.01,
        trace=f"trace-of-{name}",
        contacts=(contact,) if target else (),
    )
    return Case(f"tests/test_chat.py::{name}", status, 0.01, BEGAN, phases=(call,))


def a_plan(
    services: Sequence[ServiceSpec], suites: Sequence[SuiteSpec], root: Path, **facts: object
) -> Plan:
    environment = Environment("local", PlatformKind.LOCAL)
    limits = LoopLimits(jobs=2)
    path = root / "loops" / "golden-path.yaml"
    plan = Plan(
        "golden-path", path, root, environment, tuple(services), tuple(suites), limits=limits
    )
    return replace(plan, **facts)  # type: ignore[arg-type]


def run_started(services: Sequence[ServiceSpec], suites: Sequence[SuiteSpec]) -> RunStarted:
    return RunStarted(
        run_id=RUN_ID,
        loop="golden-path",
        loop_file="loops/golden-path.yaml",
        root="/project",
        environment="local",
        platform="local",
        loopctl="0.1.0",
        pid=1,
        pid_started=1,
        services=tuple(ServiceFacts(s.name, s.needs, s.is_deployed) for s in services),
        suites=tuple(
            SuiteFacts(
                s.id, s.title, s.priority.value, s.kind.value, s.phase.value, "observed", s.protects
            )
            for s in suites
        ),
    )


def a_journal(
    folder: Path,
    services: Sequence[ServiceSpec] = (),
    suites: Sequence[SuiteSpec] = (),
    subscribers: Sequence[Callable[[Event], None]] = (),
    secrets: Mapping[str, str] = {},
) -> Journal:
    """A journal that stands in cycle 1, a stage having begun."""
    journal = Journal(folder / "journal.jsonl", Redactor(secrets), subscribers)
    journal.append(run_started(services, suites))
    journal.cycle = 1
    journal.append(StageEntered(State.PREFLIGHT))
    return journal


def written(events: Sequence[Event], kind: type[Payload]) -> list[Payload]:
    """The payloads of one kind."""
    return [event.payload for event in events if isinstance(event.payload, kind)]


class RunStop(Stop):
    """A stop whose time can be up at will."""

    def expire(self) -> None:
        """The deadline passes, as a clock has it: no event is set."""
        self._deadline = time.monotonic()


class MortalJournal(Journal):
    """A journal to which a process that was killed adds nothing."""

    def __init__(self, path: Path, redactor: Redactor, hear: Callable[[Event], None], life: Life):
        self._life = life
        super().__init__(path, redactor, [hear])

    def let_time_pass(self, seconds: float) -> None:
        """The run has been going on for longer."""
        self._ran_before += seconds

    def append(
        self, payload: Payload, *, service: str | None = None, suite: str | None = None
    ) -> Event:
        self._life.check()
        return super().append(payload, service=service, suite=suite)

    def close(self) -> None:
        if self._life.is_over and self._file is not None:
            self._file.close()
        elif not self._life.is_over:
            super().close()


@dataclass
class Loop:
    """One run. Set its ports up, then `run()`; `at` runs something when an event has passed.

    A hook that calls `kill` ends the process there: `run` raises `Killed`. `resume()` is another
    process that goes on with the same journal in the same world.
    """

    folder: Path
    services: Sequence[ServiceSpec] = field(default_factory=lambda: [a_service()])
    suites: Sequence[SuiteSpec] = field(default_factory=lambda: [a_suite()])
    options: RunOptions = field(default_factory=RunOptions)
    existing: bool = True
    deadline_s: float = 60.0
    strategy: str = "candidate"
    secrets: dict[str, str] = field(default_factory=dict)
    remediation: Remediation = field(default_factory=Remediation)
    max_cycles: int = 3

    def __post_init__(self) -> None:
        self.stop = RunStop(self.deadline_s)
        names = [s.name for s in self.services if s.is_deployed]
        self.platform = FakePlatform(*names, existing=self.existing)
        self.builder, self.sources, self.prober = FakeBuilder(), FakeSources(), FakeProber()
        self.leases, self.logs, self.receipts = FakeLeases(), FakeLogs(), FakeReceipts()
        self.suite, self.command, self.tree = FakeSuite(), FakeRemedyCommand(), FakeWorkTree()
        self.history = FakeHistory()
        self.suite.cases = {suite.id: [a_case()] for suite in self.suites}
        self.at: Callable[[Event], None] = lambda _: None
        self.events: list[Event] = []
        self.crashes: list[BaseException] = []
        self.life = Life()

    @property
    def path(self) -> Path:
        """Where its journal is."""
        return self.folder / "journal.jsonl"

    def run(self) -> Worklog:
        """The loop, from its first event to its last."""
        composed = self._composed()
        plan = composed.plan
        started = run_started(plan.services, plan.suites)
        started = replace(started, partial=self.options.partial(composed.full))
        return self._conducted(composed, self._journal(), started, Entry())

    def resume(self) -> Worklog:
        """Another process goes on with the run, as `loopctl resume` does."""
        self.life = Life()
        journal = self._journal()
        self.stop = RunStop(max(0.0, self.deadline_s - journal.ran_s))
        try:
            entry = entry_of(journal.fold.snapshot())
        except BaseException:
            journal.close()
            raise
        assert entry.after is not None
        resumed = RunResumed("0.1.0", 2, 2, entry.after, entry.state)
        return self._conducted(self._composed(), journal, resumed, entry)

    def move_traffic(self) -> None:
        """Somebody else's revision serves chat now."""
        self.platform.move("chat", {"stranger": 100})

    def write_elsewhere(self) -> None:
        """Somebody else writes to chat, and leaves its traffic as it is."""
        self.platform.touch("chat")

    def time_is_up(self) -> None:
        """The run has gone on for as long as it may."""
        self.journal.let_time_pass(self.deadline_s)
        self.stop.expire()

    def kill(self) -> NoReturn:
        """The process dies here."""
        self.life.end()
        self.leases.holder_lives = False
        self.journal.close()
        raise Killed

    def kill_at(self, number: int) -> None:
        """Die as soon as the event of that number is in the journal."""
        self.at = lambda event: self.kill() if event.seq == number else None

    def _composed(self) -> Composition:
        environment = Environment("local", PlatformKind.LOCAL, strategy=self.strategy)  # type: ignore[arg-type]
        full = a_plan(
            self.services,
            self.suites,
            self.folder,
            environment=environment,
            remediation=self.remediation,
            limits=LoopLimits(
                jobs=2, max_cycles=self.max_cycles, deadline_s=self.deadline_s or 1.0
            ),
        )
        world = World(
            self.sources,
            self.builder,
            None,
            self.platform,
            self.leases,
            self.logs,
            self.receipts,
            self.prober,
            {SuiteKind.PYTEST: self.suite},
            self.command,
            self.tree,
            self.history,
        )
        for port in self._ports():
            port.life = self.life
        plan, runs_dir = select(full, self.options), self.folder / ".loopctl"
        earlier = EarlierRuns(self.history, full.loop, "local", RUN_ID)
        return Composition(plan, full, self.options, RUN_ID, runs_dir, world, CATALOGUE, earlier)

    def _ports(self) -> Sequence[Scripted]:
        made = (self.sources, self.builder, self.platform, self.leases, self.logs, self.receipts)
        return (*made, self.prober, self.suite, self.command, self.tree, self.history)

    def _journal(self) -> Journal:
        self.journal = MortalJournal(self.path, Redactor(self.secrets), self._heard, self.life)
        return self.journal

    def _conducted(
        self, composed: Composition, journal: Journal, began: RunStarted | RunResumed, entry: Entry
    ) -> Worklog:
        session = Session(
            began,
            RUN_ID,
            journal,
            self.stop,
            self.leases,
            [self.platform.target(spec.name) for spec in composed.plan.deployed],
            composed.stages,
            composed.leave,
            composed.mended_by,
            self.crashes.append,
            composed.rejoin() if entry.after else None,
            entry,
        )
        try:
            return conduct(session)
        finally:
            journal.close()

    def _heard(self, event: Event) -> None:
        self.events.append(event)
        self.at(event)

    def when_entered(self, state: State, do: Callable[[], None]) -> None:
        """Run `do` as that stage begins."""

        def at(event: Event) -> None:
            if isinstance(event.payload, StageEntered) and event.payload.stage is state:
                do()

        self.at = at


def path_of(cycle: CycleRecord | None) -> list[tuple[State, OutcomeKind | None]]:
    """The stages of a cycle with how each ended."""
    return [(record.stage, record.kind) for record in cycle.stages] if cycle else []


@contextlib.contextmanager
def a_disk_that_can_fill_up() -> Iterator[Callable[[Path], None]]:
    """Gives a function after which no file may grow beyond the size that one has now.

    A real limit of the kernel on this process, lifted at the end.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(path: Path) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size, hard))

    try:
        yield fill
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def spared(loop: Loop, service: str = "chat") -> None:
    """Users are met by what served before, and no candidate is left."""
    assert loop.platform.traffic(service) == {f"{service}-old": 100}
    assert loop.platform.revisions(service) == [f"{service}-old"]


def two_services(folder: Path, **facts: object) -> Loop:
    services = [a_service(), a_service("worker", needs=("chat",))]
    return Loop(folder, services=services, **facts)  # type: ignore[arg-type]
