"""REMEDIATE: what is to be done about a cycle that is not green, and, in `auto`, doing it."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, assert_never

from loopctl.journal.commands import Commands
from loopctl.journal.mending import Mending, done_on, mendings
from loopctl.journal.progress import is_stuck
from loopctl.journal.store import Journal
from loopctl.journal.worklog import CycleRecord
from loopctl.model.events import RemedyDecided, Result
from loopctl.model.finding import FaultKind
from loopctl.model.outcome import Outcome
from loopctl.model.plan import RemediationMode, RemedyRule, ServiceSpec
from loopctl.model.quantity import size
from loopctl.model.state import OutcomeKind, StopReason
from loopctl.ports.platform import Platform, PlatformError
from loopctl.process import Stop
from loopctl.stages.branch_run import RunOnBranch
from loopctl.stages.collected import fewer_than_before, relaxed_since
from loopctl.stages.going_back import RollBack
from loopctl.stages.more_memory import Step, step_up
from loopctl.stages.never import Asked, never
from loopctl.stages.next_cycle import going_round, led_to
from loopctl.stages.remedy_choice import Action, Choice, NotRebuilt, choose, chosen_before
from loopctl.stages.remedy_limits import Day, Ledger, beyond, failed_before
from loopctl.stages.remedy_run import Applied, RunCommand
from loopctl.stages.waiting import waited
from loopctl.triage.loading import Catalogue

_LOOK = "git status --short"
"""What a person looks at first when a remedy did what it must not."""


_LATE = "the run's time was up"

_ENDS_THE_RUN: Final = frozenset({"rollback", "wait"})
"""What begins no other cycle, and so is not kept back by the bounds of those."""


@dataclass(frozen=True, slots=True)
class RemedyRules:
    """What a run may do by itself, and how often it may go round.

    `commands` are what a person is told to type; `services` those that it deploys,
    `elsewhere` the names of those among them that are images built elsewhere;
    `deadline_s` is the running time after which nothing more is begun; `partial`: it must not touch
    traffic. `per_day` bounds the remedies of all runs in 24 hours, `max_memory` in bytes what a
    service may be given; `limits_memory`: the platform keeps a service to its memory.
    """

    mode: RemediationMode
    rules: tuple[RemedyRule, ...]
    commands: Commands
    services: tuple[ServiceSpec, ...]
    deadline_s: float
    max_cycles: int
    no_progress: int
    partial: bool
    elsewhere: frozenset[str] = frozenset()
    protected: bool = False
    per_day: int = 50
    max_memory: int = 2 << 30
    limits_memory: bool = True

    @property
    def not_rebuilt(self) -> NotRebuilt:
        """The services that no build makes another image of."""
        names = frozenset(spec.name for spec in self.services)
        return NotRebuilt(self.elsewhere, every=self.elsewhere == names)


class Remediate:
    """Chooses a remedy; proposes it in `propose`, applies it in `auto` within the limits."""

    def __init__(
        self,
        todo: RemedyRules,
        catalogue: Callable[[], Catalogue],
        command: RunCommand,
        on_branch: RunOnBranch | None,
        back: RollBack,
        ledger: Callable[[Stop], Ledger],
        platform: Platform,
    ) -> None:
        self._todo = todo
        self._catalogue = catalogue
        self._command = command
        self._on_branch = on_branch
        self._back = back
        self._ledger = ledger
        self._platform = platform

    def __call__(self, cycle: CycleRecord, journal: Journal, stop: Stop) -> Outcome:
        """GO to where the next cycle begins, or FAILED: the loop ends, and why stands beside it."""
        mode = self._todo.mode
        if cycle.remedy is not None:
            # Decided, and done, by a process that was killed before it could go on.
            return led_to(cycle.remedy, cycle)
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
        return self._chosen(cycle, journal, stop)

    def _chosen(self, cycle: CycleRecord, journal: Journal, stop: Stop) -> Outcome:
        day = Day(self._ledger, stop)
        choice = self._begun(cycle) or choose(
            cycle,
            self._todo.rules,
            self._catalogue,
            journal.fold.remedies_begun,
            self._todo.not_rebuilt,
            lambda choice: self._forbidden(choice, cycle, journal, day),
        )
        if choice is None or not self._may(choice, cycle):
            return _ended(self._proposal(choice, cycle, journal), journal)
        if cycle.remedy_begun is None and self._is_late(journal):
            proposal = self._proposal(choice, cycle, journal, StopReason.DEADLINE)
            return _ended(proposal, journal, _LATE)
        if choice.action not in _ENDS_THE_RUN and (ends := self._no_more(journal)) is not None:
            reason, why = ends
            # What has just not helped is not asked for once more.
            helps = reason is StopReason.MAX_CYCLES
            again = choice if helps else Choice("person", "mend the cause and run again")
            proposal = self._proposal(again, cycle, journal, reason)
            return _ended(replace(proposal, detail=f"{why}; {proposal.detail}"), journal, why)
        return self._applied(choice, cycle, journal, day, stop)

    def _may(self, choice: Choice, cycle: CycleRecord) -> bool:
        """Whether loopctl may do it without a person."""
        settle = cycle.settled
        unsettled = settle is not None and settle.kind is OutcomeKind.ERRORED
        touches_traffic = choice.action == "rollback" and self._todo.partial
        automatic = self._todo.mode is RemediationMode.AUTO and choice.by_itself
        return automatic and not unsettled and not touches_traffic

    def _forbidden(
        self, choice: Choice, cycle: CycleRecord, journal: Journal, day: Day
    ) -> str | None:
        """Why it is not to be done without a person, in mode `auto`."""
        if self._todo.mode is not RemediationMode.AUTO:
            return None
        if choice.action not in _ENDS_THE_RUN and self._no_more(journal) is not None:
            return None  # nothing is begun then, and that is what is told
        own = mendings(journal.fold.snapshot().cycles)
        ledger = day.ledger
        found = never(self._asked(choice, done_on(cycle), own, ledger))
        if found is not None:
            return str(found)
        if choice.action == "raise-memory" and (why := self._step(choice, cycle, journal).why):
            return why
        return beyond(choice, ledger, own, self._todo.per_day)

    def _asked(self, choice: Choice, on: str, own: Sequence[Mending], ledger: Ledger) -> Asked:
        return Asked(
            choice.action,
            choice.rule,
            choice.service,
            "" if choice.action == "run" else on,
            choice.command,
            self._todo.protected,
            failed_before(ledger, own),
        )

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

    def _applied(
        self, choice: Choice, cycle: CycleRecord, journal: Journal, day: Day, stop: Stop
    ) -> Outcome:
        if choice.action == "rollback":
            # A platform that does not answer is the rollback's own fault to tell.
            with contextlib.suppress(PlatformError):
                if (moved := self._back.moved(journal, stop)) is not None:
                    return moved
        applied = self._apply(choice, cycle, journal, day, stop)
        decided = RemedyDecided(
            choice.action,
            self._todo.mode.value,
            applied.detail,
            _look(applied) if applied.result == "refused" else self._by_hand(choice),
            applied.result,
            applied.changed_source,
            choice.rule,
            applied.ends,
            applied.output,
            service=applied.service or choice.service,
            cause=choice.cause,
            verify=choice.verify,
            on=applied.on or done_on(cycle),
            mended=applied.mended,
            seen=applied.seen,
            memory=applied.memory,
            branch=applied.branch,
            work_tree=applied.work_tree,
            diff=applied.diff,
            excerpt=applied.excerpt,
            printed=applied.printed,
            judging=applied.judging,
        )
        journal.append(decided, service=choice.service)
        return led_to(decided, cycle)

    def _apply(
        self, choice: Choice, cycle: CycleRecord, journal: Journal, day: Day, stop: Stop
    ) -> Applied:
        match choice.action:
            case "rebuild" | "retry":
                return going_round(choice, journal, stop)
            case "raise-memory":
                return self._raise(choice, cycle, journal, stop)
            case "rollback":
                return self._back.apply(choice, day.records, journal, stop)
            case "run":
                return self._run(choice, cycle, journal, day, stop)
            case "wait":
                return waited(choice, self._todo.services, self._platform, journal, stop)
            case "person":
                return Applied("done", choice.detail, ends=StopReason.NEEDS_HUMAN)
            case _:
                assert_never(choice.action)

    def _raise(self, choice: Choice, cycle: CycleRecord, journal: Journal, stop: Stop) -> Applied:
        step = self._step(choice, cycle, journal)
        if step.why:
            return Applied("proposed", step.why)
        noted = going_round(choice, journal, stop)
        detail = (
            f"{step.service} is given {size(step.to)} of memory in place of {size(step.was)} for "
            f"this run; write {step.written} into the loop file"
        )
        return replace(noted, detail=detail, memory=step.to, service=step.service)

    def _step(self, choice: Choice, cycle: CycleRecord, journal: Journal) -> Step:
        todo = self._todo
        if not todo.limits_memory:
            return Step(choice.service, why="no process is kept to run.memory here")
        raised = journal.fold.raised_memory
        return step_up(choice, cycle, todo.services, raised, todo.max_memory)

    def _run(
        self, choice: Choice, cycle: CycleRecord, journal: Journal, day: Day, stop: Stop
    ) -> Applied:
        begun = cycle.remedy_begun
        command: RunCommand | RunOnBranch = self._command
        if choice.branch and self._on_branch is not None:
            command = self._on_branch
        if begun is not None:
            taken = command.take_up(choice, begun, cycle.remedy_ended, journal, stop)
            journal.append(
                Result(
                    "remedy", begun.key, ok=taken is not None, detail="taken up by a resumed run"
                )
            )
            if taken is not None:
                return taken
            if self._is_late(journal):
                return Applied("failed", f"{_LATE} before it was done", ends=StopReason.DEADLINE)
        own = mendings(journal.fold.snapshot().cycles)
        asked = self._asked(choice, "", own, day.ledger)

        def forbids(on: str) -> str | None:
            found = never(replace(asked, on=on))
            return str(found) if found is not None and begun is None else None

        return command.apply(choice, journal, stop, forbids)

    def _proposal(
        self,
        choice: Choice | None,
        cycle: CycleRecord,
        journal: Journal,
        ends: StopReason | None = None,
    ) -> RemedyDecided:
        """What a person is asked to do, with the command."""
        action: Action = choice.action if choice else "person"
        rule = choice.rule if choice else None
        if choice is None:
            detail = "no remedy is known; read the findings, mend the cause, and run again"
        elif action == "rollback" and not choice.rule.startswith("remediate."):
            # SETTLE has put the traffic back already, and an older revision mends no source.
            action, detail = "person", f"mend the cause and run again; {_now(cycle)}"
        elif action == "raise-memory":
            detail = self._memory_by_hand(choice, cycle, journal)
        else:
            # What a person is to do needs no name of an action before it.
            named = "" if action == "person" else f"{action}: "
            detail = f"{named}{choice.detail}"
        if choice is not None and choice.held_back:
            detail = f"{detail}; not done by itself: {choice.held_back}"
        again = self._todo.commands.run()
        command = self._by_hand(choice) if choice and action != "person" else again
        return RemedyDecided(
            action, self._todo.mode.value, detail, command, "proposed", rule=rule, ends=ends
        )

    def _memory_by_hand(self, choice: Choice, cycle: CycleRecord, journal: Journal) -> str:
        step = self._step(choice, cycle, journal)
        if step.why:
            return f"raise-memory: {choice.detail} ({step.why})"
        return (
            f"raise-memory: write {step.written} for {step.service} into the loop file "
            f"(it has {size(step.was)}) and run again"
        )

    def _by_hand(self, choice: Choice) -> str:
        """The exact command by which a person does it."""
        match choice.action:
            case "run":
                return shlex.join(choice.command)
            case "rollback":
                return self._todo.commands.rollback()
            case "wait":
                return self._todo.commands.plan()
            case "rebuild" | "retry" | "raise-memory" | "person":
                return self._todo.commands.run()
            case _:
                assert_never(choice.action)


def _refused(cycle: CycleRecord, journal: Journal) -> str | None:
    """What a stage found that an earlier remedy must not have done, or was stopped before."""
    faults = (fault for stage in cycle.stages for fault in stage.faults)
    found = next((fault.summary for fault in faults if fault.kind is FaultKind.REMEDY), None)
    cycles = journal.fold.snapshot().cycles
    wrong = None if found else fewer_than_before(cycles) or relaxed_since(cycles)
    return wrong.detail if wrong else found


def _look(applied: Applied) -> str:
    return f"git diff HEAD...{applied.branch}" if applied.branch else _LOOK


def _ended(decided: RemedyDecided, journal: Journal, why: str | None = None) -> Outcome:
    journal.append(decided)
    return Outcome(OutcomeKind.FAILED, why or f"a person is needed: {decided.detail}")


def _now(cycle: CycleRecord) -> str:
    """Who serves after a cycle that was not green, in words."""
    if cycle.settled is not None and cycle.settled.kind is OutcomeKind.ERRORED:
        return "what served before could not be put back"
    new = any(service.first for service in cycle.services.values())
    serves = "a first revision, unverified" if new else "what served before this run"
    return f"now there serves {serves}"
