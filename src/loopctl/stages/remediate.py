"""REMEDIATE: what is to be done about a cycle that is not green, and, in `auto`, doing it."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import assert_never

from loopctl.journal.commands import Commands
from loopctl.journal.progress import is_stuck
from loopctl.journal.store import Journal
from loopctl.journal.worklog import CycleRecord
from loopctl.model.events import Intent, RemedyDecided, Result, Routed
from loopctl.model.finding import FaultKind
from loopctl.model.outcome import Outcome
from loopctl.model.plan import RemediationMode, RemedyRule
from loopctl.model.state import OutcomeKind, State, StopReason
from loopctl.ports.leases import Held
from loopctl.ports.platform import Absent, Platform, PlatformError
from loopctl.process import Stop
from loopctl.stages.collected import fewer_than_before
from loopctl.stages.remedy_choice import Action, Choice, NotRebuilt, choose, chosen_before
from loopctl.stages.remedy_run import Applied, RunCommand
from loopctl.stages.rollback import Verified, go_back, moves_back
from loopctl.stages.traffic import as_moved, traffic_moved
from loopctl.triage.loading import Catalogue

_LOOK = "git status --short"
"""What a person looks at first when a remedy did what it must not."""


_LATE = "the run's time was up"


@dataclass(frozen=True, slots=True)
class RemedyRules:
    """What a run may do by itself, and how often it may go round.

    `commands` are what a person is told to type; `services` the names of those that it deploys,
    `elsewhere` of those among them that are images built elsewhere;
    `deadline_s` is the running time after which nothing more is begun; `partial`: it must not touch
    traffic.
    """

    mode: RemediationMode
    rules: tuple[RemedyRule, ...]
    commands: Commands
    services: tuple[str, ...]
    deadline_s: float
    max_cycles: int
    no_progress: int
    partial: bool
    elsewhere: frozenset[str] = frozenset()

    @property
    def not_rebuilt(self) -> NotRebuilt:
        """The services that no build makes another image of."""
        return NotRebuilt(self.elsewhere, every=self.elsewhere == frozenset(self.services))


class Remediate:
    """Chooses a remedy; proposes it in `propose`, applies it in `auto` within the limits."""

    def __init__(
        self,
        todo: RemedyRules,
        catalogue: Callable[[], Catalogue],
        command: RunCommand,
        platform: Platform,
        verified: Callable[[], Verified],
        held: Callable[[], Held],
    ) -> None:
        self._todo = todo
        self._catalogue = catalogue
        self._command = command
        self._platform = platform
        self._verified = verified
        self._held = held

    def __call__(self, cycle: CycleRecord, journal: Journal, stop: Stop) -> Outcome:
        """GO to where the next cycle begins, or FAILED: the loop ends, and why stands beside it."""
        mode = self._todo.mode
        if cycle.remedy is not None:
            # Decided, and done, by a process that was killed before it could go on.
            return _as_decided(cycle.remedy, cycle)
        if (refused := _refused(cycle, journal)) is not None:
            decided = RemedyDecided(
                "none",
                mode.value,
                refused,
                _LOOK,
                "refused",
                ends=StopReason.REMEDY_REFUSED,
            )
            return _ended(decided, journal)
        if mode is RemediationMode.OFF:
            decided = RemedyDecided("none", mode.value, "remediation is off")
            return _ended(decided, journal, "remediation is off")
        choice = self._begun(cycle) or choose(
            cycle,
            self._todo.rules,
            self._catalogue,
            journal.fold.remedies_begun,
            self._todo.not_rebuilt,
        )
        if choice is None or not self._may(choice, cycle):
            return _ended(self._proposal(choice, cycle), journal)
        if cycle.remedy_begun is None and self._is_late(journal):
            proposal = self._proposal(choice, cycle, StopReason.DEADLINE)
            return _ended(proposal, journal, _LATE)
        if choice.action != "rollback" and (ends := self._no_more(journal)) is not None:
            reason, why = ends
            # What has just not helped is not asked for once more.
            helps = reason is StopReason.MAX_CYCLES
            again = choice if helps else Choice("person", "mend the cause and run again")
            proposal = self._proposal(again, cycle, reason)
            return _ended(replace(proposal, detail=f"{why}; {proposal.detail}"), journal, why)
        return self._applied(choice, cycle, journal, stop)

    def _may(self, choice: Choice, cycle: CycleRecord) -> bool:
        """Whether loopctl may do it without a person."""
        settle = cycle.settled
        unsettled = settle is not None and settle.kind is OutcomeKind.ERRORED
        touches_traffic = choice.action == "rollback" and self._todo.partial
        automatic = self._todo.mode is RemediationMode.AUTO and choice.by_itself
        return automatic and not unsettled and not touches_traffic

    def _begun(self, cycle: CycleRecord) -> Choice | None:
        """The remedy that a process was about, which was killed before its end."""
        if cycle.remedy_begun is None:
            return None
        rule = str(cycle.remedy_begun.detail.get("rule", ""))
        return chosen_before(cycle, self._todo.rules, self._catalogue, rule)

    def _is_late(self, journal: Journal) -> bool:
        return journal.ran_s >= self._todo.deadline_s

    def _no_more(self, journal: Journal) -> tuple[StopReason, str] | None:
        cycles = journal.fold.snapshot().counted_cycles
        if is_stuck(cycles, self._todo.no_progress):
            count = self._todo.no_progress
            return StopReason.NO_PROGRESS, f"{count} cycles failed alike on the same source"
        if len(cycles) >= self._todo.max_cycles:
            return (
                StopReason.MAX_CYCLES,
                f"{len(cycles)} of {self._todo.max_cycles} cycles are over",
            )
        return None

    def _applied(self, choice: Choice, cycle: CycleRecord, journal: Journal, stop: Stop) -> Outcome:
        if choice.action == "rollback":
            # A platform that does not answer is the rollback's own fault to tell.
            with contextlib.suppress(PlatformError):
                if (moved := self._moved(cycle, stop)) is not None:
                    return moved
        applied = self._apply(choice, cycle, journal, stop)
        decided = RemedyDecided(
            choice.action,
            self._todo.mode.value,
            applied.detail,
            _LOOK if applied.result == "refused" else self._by_hand(choice),
            applied.result,
            applied.changed_source,
            choice.rule,
            applied.ends,
            applied.output,
        )
        journal.append(decided, service=choice.service)
        return _as_decided(decided, cycle)

    def _apply(self, choice: Choice, cycle: CycleRecord, journal: Journal, stop: Stop) -> Applied:
        match choice.action:
            case "rebuild" | "retry":
                return _noted(choice, journal)
            case "rollback":
                return self._roll_back(choice, journal, stop)
            case "run":
                return self._run(choice, cycle, journal, stop)
            case "wait" | "person":
                return Applied("done", choice.detail, ends=StopReason.NEEDS_HUMAN)
            case _:
                assert_never(choice.action)

    def _run(self, choice: Choice, cycle: CycleRecord, journal: Journal, stop: Stop) -> Applied:
        begun = cycle.remedy_begun
        if begun is not None:
            taken = self._command.take_up(choice, begun, cycle.remedy_ended, journal, stop)
            journal.append(
                Result(
                    "remedy", begun.key, ok=taken is not None, detail="taken up by a resumed run"
                )
            )
            if taken is not None:
                return taken
            if self._is_late(journal):
                return Applied("failed", f"{_LATE} before it was done", ends=StopReason.DEADLINE)
        return self._command.apply(choice, journal, stop)

    def _moved(self, cycle: CycleRecord, stop: Stop) -> Outcome | None:
        """What a stranger did since the cycle was settled, as in the pause before a resume."""
        for name in self._todo.services:
            state = self._platform.observe(name, stop)
            if isinstance(state, Absent):
                continue
            if (moved := traffic_moved(cycle.services[name], state)) is not None:
                return as_moved(name, moved)
        return None

    def _roll_back(self, choice: Choice, journal: Journal, stop: Stop) -> Applied:
        intent = Intent(
            "remedy", f"{journal.cycle}/{choice.rule}", {"rule": choice.rule, "action": "rollback"}
        )
        try:
            todo = self._todo
            verified = self._verified()
            moves = moves_back(todo.services, self._platform, verified, todo.commands, stop)
            with journal.effect(intent):
                for move in moves:
                    want = dict(move.want or {})
                    key = f"{journal.cycle}/{move.service}/rollback"
                    if not want:
                        continue
                    with journal.effect(Intent("route", key, want), service=move.service):
                        state = go_back(move, self._platform, self._held, stop)
                    if state is not None:
                        journal.append(Routed(state, "rollback"), service=move.service)
        except PlatformError as error:
            return Applied("failed", error.what)
        return Applied("done", "; ".join(map(str, moves)), ends=StopReason.ROLLED_BACK)

    def _proposal(
        self, choice: Choice | None, cycle: CycleRecord, ends: StopReason | None = None
    ) -> RemedyDecided:
        """What a person is asked to do, with the command."""
        action: Action = choice.action if choice else "person"
        rule = choice.rule if choice else None
        if choice is None:
            detail = "no remedy is known; read the findings, mend the cause, and run again"
        elif action == "rollback" and not choice.rule.startswith("remediate."):
            # SETTLE has put the traffic back already, and an older revision mends no source.
            action, detail = "person", f"mend the cause and run again; {_now(cycle)}"
        else:
            # What a person is to do needs no name of an action before it.
            named = "" if action == "person" else f"{action}: "
            detail = f"{named}{choice.detail}"
        again = self._todo.commands.run()
        command = self._by_hand(choice) if choice and action != "person" else again
        return RemedyDecided(
            action, self._todo.mode.value, detail, command, "proposed", rule=rule, ends=ends
        )

    def _by_hand(self, choice: Choice) -> str:
        """The exact command by which a person does it."""
        match choice.action:
            case "run":
                return shlex.join(choice.command)
            case "rollback":
                return self._todo.commands.rollback()
            case "rebuild" | "retry" | "wait" | "person":
                return self._todo.commands.run()
            case _:
                assert_never(choice.action)


def _refused(cycle: CycleRecord, journal: Journal) -> str | None:
    """What a stage found that an earlier remedy must not have done, or was stopped before."""
    faults = (fault for stage in cycle.stages for fault in stage.faults)
    found = next((fault.summary for fault in faults if fault.kind is FaultKind.REMEDY), None)
    fewer = None if found else fewer_than_before(journal.fold.snapshot().cycles)
    return fewer.detail if fewer else found


def _ended(decided: RemedyDecided, journal: Journal, why: str | None = None) -> Outcome:
    journal.append(decided)
    return Outcome(OutcomeKind.FAILED, why or f"a person is needed: {decided.detail}")


def _noted(choice: Choice, journal: Journal) -> Applied:
    """A remedy that is nothing but going round again; it is counted by its intent."""
    key = f"{journal.cycle}/{choice.rule}"
    cycle = journal.fold.cycle()
    if cycle.remedy_begun is None:
        detail = {"rule": choice.rule, "action": choice.action}
        journal.append(Intent("remedy", key, detail))
    journal.append(Result("remedy", key, ok=True))
    return Applied("done", choice.detail)


def _now(cycle: CycleRecord) -> str:
    """Who serves after a cycle that was not green, in words."""
    if cycle.settled is not None and cycle.settled.kind is OutcomeKind.ERRORED:
        return "what served before could not be put back"
    new = any(service.first for service in cycle.services.values())
    serves = "a first revision, unverified" if new else "what served before this run"
    return f"now there serves {serves}"


def _as_decided(decided: RemedyDecided, cycle: CycleRecord) -> Outcome:
    """Where a remedy that was done leads; the end of the loop where it says so, or none was."""
    if decided.result != "done" or decided.ends is not None:
        return Outcome(OutcomeKind.FAILED, f"{decided.action}: {decided.detail}")
    go = _entry_of_retry(cycle) if decided.action == "retry" else OutcomeKind.GO_BUILD
    return Outcome(go, f"{decided.action}: {decided.detail}")


_IMAGES_ARE_SOUND = frozenset({State.DEPLOY, State.HEALTH, State.VERIFY})


def _entry_of_retry(cycle: CycleRecord) -> OutcomeKind:
    """A retry uses the images that are there, unless they are what failed."""
    failed = cycle.failed_stage
    if failed is not None and failed.stage is State.VERIFY and not _deployed(cycle):
        return OutcomeKind.GO_VERIFY  # a run --from verify, which tests what serves
    built: Sequence[bool] = [
        s.proof is not None and s.proof.holds for s in cycle.services.values() if s.source
    ]
    sound = failed is not None and failed.stage in _IMAGES_ARE_SOUND and bool(built) and all(built)
    return OutcomeKind.GO_DEPLOY if sound else OutcomeKind.GO_BUILD


def _deployed(cycle: CycleRecord) -> bool:
    return any(service.revision is not None for service in cycle.services.values())
