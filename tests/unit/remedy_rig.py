"""A cycle that has failed, and REMEDIATE to deal with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from fake_remedies import FakeRemedyCommand, FakeWorkTree
from fakes import BEGAN, FakeHistory, FakePlatform, FakeProber
from loop_rig import CATALOGUE, COMMANDS, RUN_ID, a_journal, a_service, a_suite, held

from loopctl.journal.store import Journal
from loopctl.machine.transitions import after
from loopctl.model.artifact import Artifact, ArtifactKind, ContentProof
from loopctl.model.events import (
    ContentProven,
    Event,
    FindingMade,
    ImageBuilt,
    RemedyDecided,
    RevisionDeployed,
    SourceRead,
    StageEntered,
    StageFinished,
    SuiteCollected,
    SuiteFinished,
)
from loopctl.model.evidence import SuiteJudgement, SuiteOutcome
from loopctl.model.finding import Fault, Finding, ProposedRemedy
from loopctl.model.outcome import Outcome
from loopctl.model.plan import RemediationMode, RemedyRule, RunSpec
from loopctl.model.state import OutcomeKind, State
from loopctl.process import Stop
from loopctl.stages.callers import ANONYMOUS
from loopctl.stages.going_back import RollBack, WayBack
from loopctl.stages.remediate import Remediate, RemedyRules
from loopctl.stages.remedy_guard import Guard
from loopctl.stages.remedy_limits import Ledger, read_ledger
from loopctl.stages.remedy_run import RunCommand, Workshop

AGAIN = "loopctl run golden-path --env local"
GUARD = Guard(
    sources=("chat",),
    frozen=("loops/golden-path.yaml",),
    tests=("tests",),
    suites=("",),
    may_edit=(),
)


def found(
    remedy: ProposedRemedy | None, signature: str = "deploy.stale-image", confidence: float = 0.95
) -> Finding:
    return Finding(
        signature, "It is stale", "high", confidence, f"v1:{signature}", "chat", remedy=remedy
    )


class Failure:
    """A run whose first cycle has failed in `stage`; `again` fails another one."""

    def __init__(
        self,
        folder: Path,
        *findings: Finding,
        stage: State = State.VERIFY,
        kind: OutcomeKind = OutcomeKind.FAILED,
        faults: tuple[Fault, ...] = (),
        migrations: tuple[str, ...] = (),
        schema: str | None = None,
        memory: int | None = None,
        may_edit: tuple[str, ...] = (),
    ) -> None:
        self.guard = replace(GUARD, may_edit=may_edit)
        chat = a_service("chat", migrations=migrations, run=RunSpec(memory=memory))
        self.services, self.schema = [chat, a_service("worker")], schema
        self.platform = FakePlatform("chat", "worker")
        self.command, self.tree = FakeRemedyCommand(), FakeWorkTree()
        self.prober, self.history = FakeProber(), FakeHistory()
        self.verified: Mapping[str, tuple[str, ...]] = {}
        self.protected = False
        self.events: list[Event] = []
        self.findings, self.stage, self.kind, self.faults = findings, stage, kind, faults
        folder.mkdir(exist_ok=True)
        self.journal = a_journal(folder, self.services, [a_suite()], [self.events.append])
        self.fails()

    def fails(self, tree: str = "tree-1", collected: int = 5) -> None:
        """The cycle that goes on comes to REMEDIATE."""
        for service in self.services:
            self._built(service.name, tree)
        self.journal.append(SuiteCollected(collected), suite="p1")
        if self.stage is State.VERIFY:
            failed = SuiteJudgement(SuiteOutcome.FAILED, ("1 failed",), collected)
            self.journal.append(SuiteFinished(failed, None), suite="p1")
        self._stage(self.stage, self.kind, self.faults)
        self._stage(State.SETTLE, OutcomeKind.OK)
        for finding in self.findings:
            self.journal.append(FindingMade(finding), service=finding.service)
        self.journal.append(StageEntered(State.REMEDIATE))

    def again(self, outcome: Outcome, tree: str = "tree-1", collected: int = 5) -> None:
        """REMEDIATE has ended like that, and the next cycle fails too."""
        to = after(State.REMEDIATE, outcome.kind)
        self.journal.append(StageFinished(State.REMEDIATE, outcome.kind, to, 0.1, outcome.detail))
        self.journal.cycle += 1
        self.fails(tree, collected)

    def _built(self, name: str, tree: str) -> None:
        image = Artifact(name, ArtifactKind.FOLDER, f"sha256:{tree}", "images/x", tree, BEGAN)
        self.journal.append(SourceRead(tree, "c0ffee", False, 1, self.schema), service=name)  # noqa: FBT003
        self.journal.append(ImageBuilt(image, 0.1, "log"), service=name)
        self.journal.append(ContentProven(ContentProof(name, tree, tree)), service=name)
        state = self.platform.states[name]
        if state is not None and self.stage is not State.BUILD:
            deployed = RevisionDeployed(state.revisions[0], "none")
            self.journal.append(deployed, service=name)

    def _stage(self, state: State, kind: OutcomeKind, faults: tuple[Fault, ...] = ()) -> None:
        self.journal.append(StageEntered(state))
        self.journal.append(StageFinished(state, kind, after(state, kind), 0.1, "said", faults))

    def remediate(
        self,
        *rules: RemedyRule,
        mode: RemediationMode = RemediationMode.AUTO,
        max_cycles: int = 3,
        no_progress: int = 2,
        partial: bool = False,
        deadline_s: float = 3600.0,
        elsewhere: frozenset[str] = frozenset(),
        **rest: Any,
    ) -> Outcome:
        todo = RemedyRules(
            mode,
            rules,
            COMMANDS,
            tuple(self.services),
            deadline_s,
            max_cycles,
            no_progress,
            partial,
            elsewhere,
            self.protected,
            **rest,
        )
        workshop = Workshop(
            self.command,
            self.tree,
            self.guard,
            _bundle,
            {"LOOPCTL_RUN_ID": "run-1"},
            self.protected,
        )
        way = WayBack(
            RUN_ID,
            self.services,
            COMMANDS,
            self.platform,
            lambda: self.verified,
            held,
            self.prober,
            ANONYMOUS,
        )
        stage = Remediate(
            todo, CATALOGUE, RunCommand(workshop), None, RollBack(way), self._ledger, self.platform
        )
        return stage(self.journal.fold.cycle(), self.journal, Stop(5.0))

    def _ledger(self, stop: Stop) -> Ledger:
        return read_ledger(self.history, "golden-path", "local", RUN_ID, stop)

    @property
    def decided(self) -> RemedyDecided:
        """What was decided in the cycle that goes on."""
        remedy = self.journal.fold.cycle().remedy
        assert remedy is not None
        return remedy


def _bundle(folder: Path, _journal: Journal) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "failure.json").write_text("{}")
