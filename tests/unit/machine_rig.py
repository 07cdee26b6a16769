"""A loop for the state machine test: real effects on a scripted platform, scripted judgements."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from fakes import BEGAN, FakeLeases, FakePlatform
from loop_rig import COMMANDS, RUN_ID, MortalJournal, RunStop, a_service, a_suite, run_started
from scripted import Killed, Life

from loopctl.journal.store import Journal
from loopctl.journal.worklog import CycleRecord, Worklog
from loopctl.machine.lease import LEASE_LOST, Lease
from loopctl.machine.resume import Entry, entry_of
from loopctl.machine.runner import Stage
from loopctl.machine.session import Session, conduct
from loopctl.model.artifact import Artifact, ArtifactKind, DeployKey, Revision, ServiceState
from loopctl.model.events import (
    CasesGraded,
    Event,
    ImageBuilt,
    Intent,
    Left,
    Note,
    RunResumed,
    RunStarted,
    SuiteFinished,
    SuiteStarted,
)
from loopctl.model.evidence import CaseStatus, GradedCase, SuiteJudgement, SuiteOutcome
from loopctl.model.outcome import Outcome
from loopctl.model.plan import ServiceSpec
from loopctl.model.state import OutcomeKind, State
from loopctl.ports.leases import Held, LeaseLost
from loopctl.ports.platform import Traffic
from loopctl.process import Stop
from loopctl.redact import Redactor
from loopctl.stages.deploy import Deploy, ToDeploy
from loopctl.stages.promote import Promote
from loopctl.stages.rejoin import Rejoin
from loopctl.stages.settle import Settle

SERVICES = (a_service("chat"), a_service("worker", needs=("chat",)))
WAVES = tuple((service,) for service in SERVICES)
SUITES = (a_suite("p1"),)

Script = Mapping[tuple[State, int], OutcomeKind]
"""How stages end, by state and cycle; one that is not named ends well."""


class GuardedPlatform(FakePlatform):
    """Counts what is deployed, and refuses every effect of a run that does not hold the lease."""

    def __init__(self, leases: FakeLeases) -> None:
        super().__init__(*(service.name for service in SERVICES))
        self._leases = leases
        self.made: Counter[tuple[int, str]] = Counter()
        self.count = 0
        self.at_effect: Callable[[Literal["before", "after"]], None] = lambda _: None

    def _effect(self, held: Held) -> None:
        now = self._leases.held
        if now is None or now.fence != held.fence:
            self.unexpected("an effect of a run that has lost its lease")
        self.at_effect("before")
        self.count += 1

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
        self._effect(held)
        new = super().deploy(spec, artifact, key, env, share, held, stop)
        self.made[key.cycle, key.service] += 1
        self.at_effect("after")
        # As real ones do: it was accepted, and its caller does not hear of it any more.
        stop.remaining(0)
        return new

    def route(self, service: str, want: Traffic, held: Held, stop: Stop) -> ServiceState:
        self._effect(held)
        state = super().route(service, want, held, stop)
        self.at_effect("after")
        return state

    def discard(self, candidate: Revision, held: Held, stop: Stop) -> None:
        self._effect(held)
        super().discard(candidate, held, stop)
        self.at_effect("after")


@dataclass(frozen=True, slots=True)
class Scene(Stage):
    """Does what the stage of its state does to the world and the journal; ends as scripted."""

    state: State
    script: Script
    effects: Stage | None

    def __call__(self, cycle: CycleRecord, journal: Journal, stop: Stop) -> Outcome:
        outcome = self._played(cycle, journal, stop)
        kind = self.script.get((self.state, journal.cycle))
        if kind is None or outcome.kind in (OutcomeKind.MOVED, OutcomeKind.ERRORED):
            return outcome
        return Outcome(kind, f"{self.state.value} ends {kind.value}")

    def _played(self, cycle: CycleRecord, journal: Journal, stop: Stop) -> Outcome:
        if self.effects is not None:
            return self.effects(cycle, journal, stop)
        match self.state:
            case State.BUILD:
                _build(journal)
            case State.HEALTH if (journal.wave or 0) + 1 < len(WAVES):
                return Outcome(OutcomeKind.MORE_WAVES)
            case State.VERIFY:
                _verify(journal)
            case State.REMEDIATE:
                return Outcome(OutcomeKind.FAILED, "a person is needed")
            case _:
                journal.append(Note(f"in {self.state.value}"))
        return Outcome(OutcomeKind.OK)


@dataclass(frozen=True, slots=True)
class Looking(Stage):
    """CONFIRM, as far as it sees what a stranger has done since the promotion."""

    platform: FakePlatform

    def __call__(self, cycle: CycleRecord, journal: Journal, stop: Stop) -> Outcome:
        journal.append(Note("in confirm"))
        found = Rejoin(SERVICES, self.platform)(cycle, stop)
        return found or Outcome(OutcomeKind.OK)


def _build(journal: Journal) -> None:
    for service in SERVICES:
        with journal.effect(Intent("build", f"{journal.cycle}/{service.name}")):
            digest = f"sha256:{journal.cycle}"
        image = Artifact(service.name, ArtifactKind.FOLDER, digest, "images/x", "tree", BEGAN)
        journal.append(ImageBuilt(image, 0.1, "log"), service=service.name)


def _verify(journal: Journal) -> None:
    journal.append(SuiteStarted(f"suites/{journal.cycle}/p1"), suite="p1")
    with journal.effect(Intent("suite", f"{journal.cycle}/p1"), suite="p1"):
        for name in ("test_a", "test_b"):
            case = GradedCase(name, CaseStatus.PASSED, 0.1, BEGAN)
            journal.append(CasesGraded((case,)), suite="p1")
    judgement = SuiteJudgement(SuiteOutcome.PASSED, (), 2)
    journal.append(SuiteFinished(judgement, None), suite="p1")


@dataclass
class Play:
    """One run over all its processes. `at` hears every event, in the process that wrote it."""

    folder: Path
    script: Script
    leases: FakeLeases = field(default_factory=FakeLeases)
    at: Callable[[Event], None] = lambda _: None
    crashes: list[BaseException] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder.mkdir()
        self.platform = GuardedPlatform(self.leases)
        self.lease: Lease | None = None

    @property
    def path(self) -> Path:
        return self.folder / "journal.jsonl"

    @property
    def begun(self) -> bool:
        """Whether there is a run to go on with."""
        return self.path.is_file() and b"\n" in self.path.read_bytes()

    def process(self) -> Worklog:
        """One process: the first begins the run, each later one goes on with it.

        Raises `Killed`, `HeldByOther`, and `UsageError` for a run that has ended by itself.
        """
        self.life, self.stop, self.lease = Life(), RunStop(60.0), None
        self.platform.life = self.leases.life = self.life
        begun = self.begun
        journal = self.journal = MortalJournal(self.path, Redactor({}), self._heard, self.life)
        try:
            return conduct(self._session(journal, begun))
        finally:
            journal.close()

    def _session(self, journal: Journal, begun: bool) -> Session:
        started: RunStarted | RunResumed = run_started(SERVICES, SUITES)
        entry = Entry()
        if begun:
            entry = entry_of(journal.fold.snapshot())
            assert entry.after is not None
            started = RunResumed("0.1.0", 2, 2, entry.after, entry.state)
        return Session(
            started,
            RUN_ID,
            journal,
            self.stop,
            self.leases,
            [self.platform.target(service.name) for service in SERVICES],
            self._stages,
            _leaves,
            lambda _stop: "loopctl rollback shop --env local",
            self.crashes.append,
            Rejoin(SERVICES, self.platform) if begun else None,
            entry,
        )

    def _stages(self, lease: Lease) -> Mapping[State, Stage]:
        self.lease = lease
        todo = ToDeploy(RUN_ID, SERVICES, WAVES, {}, "candidate", COMMANDS)
        effects: Mapping[State, Stage] = {
            State.DEPLOY: Deploy(todo, self.platform, lease.held),
            State.PROMOTE: Promote(SERVICES, self.platform, lease.held),
            State.CONFIRM: Looking(self.platform),
            State.SETTLE: Settle(SERVICES, self.platform, lease.held, keep=False),
        }
        states = (state for state in State if not state.is_end)
        return {state: Scene(state, self.script, effects.get(state)) for state in states}

    def kill(self) -> None:
        """The process dies here."""
        self.life.end()
        self.leases.holder_lives = False
        self.journal.close()
        raise Killed

    def lose_the_lease(self) -> None:
        """Another run takes it, and the next renewal is told so."""
        self.leases.taken_by("run-8")
        if self.lease is not None:
            with contextlib.suppress(LeaseLost):
                self.lease.renew(self.leases, Stop())
            self.stop.stop(LEASE_LOST)

    def _heard(self, event: Event) -> None:
        self.at(event)


def _leaves(_green: bool, _journal: Journal, _stop: Stop) -> tuple[Left, ...]:
    return ()
