"""One run, put together: every stage with its own spec and its own ports."""

from __future__ import annotations

import functools
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from loopctl.bootstrap.green_run import LastGreen, left_of, shapes_laid_out
from loopctl.bootstrap.lookups import (
    gated_urls,
    is_here,
    missing_variables,
    verified_of,
)
from loopctl.bootstrap.surveys import by_hand_of
from loopctl.bootstrap.world import World, redactor_of
from loopctl.files import write_atomic
from loopctl.journal.case_history import borne_out, durations
from loopctl.journal.commands import Commands
from loopctl.journal.earlier_runs import EarlierRuns, Past
from loopctl.journal.history import RUNS
from loopctl.journal.store import Journal
from loopctl.machine.lease import Lease
from loopctl.machine.runner import Stage
from loopctl.model.events import Left
from loopctl.model.options import RunOptions
from loopctl.model.plan import Plan, PlatformKind, SuitePhase
from loopctl.model.state import State
from loopctl.ports.leases import Held
from loopctl.process import Stop
from loopctl.redact import Redactor
from loopctl.stages.branch_run import TREES, RunOnBranch, Yard
from loopctl.stages.build import Build, ToBuild
from loopctl.stages.collect import Collect
from loopctl.stages.confirm import Confirm
from loopctl.stages.criteria import CriteriaGate
from loopctl.stages.deploy import Deploy, ToDeploy
from loopctl.stages.diagnose import Diagnose, GreenRun
from loopctl.stages.going_back import RollBack, WayBack
from loopctl.stages.health import Health
from loopctl.stages.keep_logs import LogKeeper
from loopctl.stages.leaving import look_around
from loopctl.stages.note_verified import NoteVerified
from loopctl.stages.preflight import Needs, Preflight
from loopctl.stages.promote import Promote
from loopctl.stages.rejoin import Rejoin
from loopctl.stages.remediate import Remediate, RemedyRules
from loopctl.stages.remedy_guard import guard_of
from loopctl.stages.remedy_limits import Ledger, read_ledger
from loopctl.stages.remedy_run import RunCommand, Workshop
from loopctl.stages.rollback import mended_by
from loopctl.stages.settle import Settle
from loopctl.stages.suite_collection import SuiteCollection, collected_in
from loopctl.stages.suite_run import Earlier, RunFacts, SuiteRunner
from loopctl.stages.suites import Course
from loopctl.stages.verify import Verify
from loopctl.triage.loading import Catalogue

if TYPE_CHECKING:
    pass


_RECORDS = 10
"""How many earlier runs tell what their cases took and have shown."""

_SHAPES = "earlier"
"""The folder of a run that holds what its suites are compared with, where no run here has it."""


@dataclass(frozen=True, slots=True)
class Composition:
    """One run's stages, made for `plan` as selected; `full` is the plan before the selection.

    `earlier` tells of the runs before it.
    """

    plan: Plan
    full: Plan
    options: RunOptions
    run_id: str
    runs_dir: Path
    world: World
    catalogue: Callable[[], Catalogue]
    earlier: EarlierRuns

    def stages(self, lease: Lease) -> Mapping[State, Stage]:
        """Every stage with its own spec and its own ports."""
        plan, world, held = self.plan, self.world, lease.held
        keeper, runner = LogKeeper(world.logs, world.receipts), self._suite_runner()
        verify = self._course(SuitePhase.VERIFY, runner)
        confirm = self._course(SuitePhase.CONFIRM, runner)
        deployed, waves, gated = plan.deployed, plan.waves(), gated_urls(plan)
        unselected = [s.name for s in self.full.deployed if s not in deployed]
        strategy = plan.environment.strategy
        to_deploy = ToDeploy(self.run_id, deployed, waves, gated, strategy, self.commands)
        partial = self.options.partial(self.full)
        return {
            State.PREFLIGHT: self._preflight(),
            State.BUILD: self._build(runner),
            State.DEPLOY: Deploy(to_deploy, world.platform, held),
            State.HEALTH: Health(
                waves,
                world.platform,
                world.prober,
                self._collection(State.HEALTH, runner),
                world.callers,
            ),
            State.VERIFY: Verify(
                deployed,
                unselected,
                gated,
                verify,
                world.platform,
                partial,
                CriteriaGate(plan.criteria, bool(confirm.suites), partial),
            ),
            State.PROMOTE: Promote(deployed, world.platform, held),
            State.CONFIRM: Confirm(
                deployed,
                confirm,
                world.platform,
                world.prober,
                keeper,
                plan.criteria,
                self._note_verified(held),
                world.callers,
            ),
            State.COLLECT: Collect(keeper, plan.gated, world.prober, world.callers),
            State.SETTLE: Settle(deployed, world.platform, held, self.options.keep),
            State.DIAGNOSE: Diagnose(
                deployed,
                self.catalogue,
                self._green(),
                world.sources,
                self.past.sightings,
                by_hand_of(plan, self.runs_dir),
            ),
            State.REMEDIATE: self._remediate(held, partial),
        }

    def _note_verified(self, held: Callable[[], Held]) -> NoteVerified | None:
        marks = self.world.verified
        if marks is None:
            return None
        return NoteVerified(self.run_id, marks, held, self.plan.environment.after_green)

    def rejoin(self) -> Rejoin:
        """The look at the world before a resumed run goes on."""
        return Rejoin(self.plan.deployed, self.world.platform)

    def _remediate(self, held: Callable[[], Held], partial: str | None) -> Stage:
        plan, world = self.plan, self.world
        rules = RemedyRules(
            mode=plan.remediation.mode,
            rules=plan.remediation.rules,
            commands=self.commands,
            services=plan.deployed,
            elsewhere=frozenset(s.name for s in plan.deployed if s.image is not None),
            deadline_s=plan.limits.deadline_s,
            max_cycles=plan.limits.max_cycles,
            no_progress=plan.limits.no_progress,
            partial=partial is not None,
            protected=plan.environment.protected,
            per_day=plan.remediation.per_day,
            max_memory=plan.remediation.max_memory,
            limits_memory=plan.environment.platform is not PlatformKind.LOCAL,
        )
        workshop = Workshop(
            world.remedy_command,
            world.work_tree,
            guard_of(self.full),
            bundle_writer(redactor_of(plan)),
            {"LOOPCTL_RUN_ID": self.run_id, "LOOPCTL_ENV": plan.environment.name},
            plan.environment.protected,
        )
        way = WayBack(
            self.run_id,
            plan.deployed,
            self.commands,
            world.platform,
            self._verified,
            held,
            world.prober,
            world.callers,
        )
        command, back = RunCommand(workshop), RollBack(way)
        on_branch = None
        if world.branches is not None and world.remedies_at is not None:
            yard = Yard(self.run_id, world.branches, world.remedies_at)
            on_branch = RunOnBranch(workshop, yard)
        return Remediate(
            rules, self.catalogue, command, on_branch, back, self._ledger, world.platform
        )

    def clear_trees(self, folder: Path, stop: Stop) -> None:
        """Take away what work trees of remedies are left in a run's folder; raises `RemedyError`.

        Their branches stay.
        """
        branches, trees = self.world.branches, folder / TREES
        if branches is not None and trees.is_dir():
            for tree in sorted(trees.iterdir()):
                branches.end(tree, stop)

    def _ledger(self, stop: Stop) -> Ledger:
        plan = self.plan
        return read_ledger(self.world.history, plan.loop, plan.environment.name, self.run_id, stop)

    def _verified(self) -> Mapping[str, Sequence[str]]:
        return verified_of(self.plan, self.runs_dir, self.world, self.past)

    @property
    def past(self) -> Past:
        """What the history tells of earlier runs; asked once."""
        return self.earlier.past()

    def last_green(self) -> LastGreen | None:
        """The newest green run of the whole loop on this environment."""
        return LastGreen.find(self.plan, self.runs_dir, self.past)

    @property
    def commands(self) -> Commands:
        """What a person is told to type about this loop."""
        return Commands.of_plan(self.full, self.runs_dir, create=self.options.create)

    def mended_by(self, stop: Stop) -> str:
        """The command by which a person puts back what this run could not."""
        services = [spec.name for spec in self.full.deployed]
        return mended_by(services, self.world.platform, self._verified, self.commands, stop)

    def leave(self, green: bool, journal: Journal, stop: Stop) -> tuple[Left, ...]:
        """What serves when the run is over; verified are those of earlier greens, and now ours."""
        known = self._verified()
        counts = green and self.options.partial(self.full) is None
        return look_around(
            self.plan.deployed,
            self.world.platform,
            {service: frozenset(names) for service, names in known.items()},
            counts,
            journal,
            stop,
        )

    def _preflight(self) -> Stage:
        plan, world = self.plan, self.world
        needs = Needs(
            plan.deployed,
            plan.gated,
            plan.suites,
            missing_variables(plan),
            refuse_new=plan.environment.protected and not self.options.create,
            unprotected=redactor_of(plan).unprotected,
            fronted=plan.environment.platform is PlatformKind.CLOUD_RUN,
        )
        return Preflight(
            needs,
            world.builder,
            world.publisher,
            world.platform,
            world.suites,
            world.prober,
            self.options.start,
            world.callers,
        )

    def _build(self, runner: SuiteRunner) -> Stage:
        plan, world = self.plan, self.world
        todo = ToBuild(plan.deployed, plan.limits.jobs, plan.root)
        collection = self._collection(State.BUILD, runner)
        return Build(
            todo, world.sources, world.builder, world.publisher, collection, world.branches
        )

    def _collection(self, stage: State, runner: SuiteRunner) -> SuiteCollection | None:
        """The collection of the suites, if it is that stage's to do."""
        if collected_in(self.plan.waves()) is not stage:
            return None
        # One more than may run side by side: collecting waits for nobody's service.
        jobs = self.plan.limits.jobs + 1
        return SuiteCollection(self.plan.suites, jobs, runner)

    def _suite_runner(self) -> SuiteRunner:
        plan = self.plan
        facts = RunFacts(
            run_id=self.run_id,
            environment=plan.environment.name,
            loopback=is_here(plan),
            health_paths={spec.name: spec.health.path for spec in plan.services},
            gated=gated_urls(plan),
            protected=plan.environment.protected,
            earlier=self._earlier(),
            guarded={s.name: s for s in self.full.services if s.auth.kind == "id_token"},
        )
        return SuiteRunner(self.world.suites, self.world.receipts, facts, self.world.callers)

    def _earlier(self) -> Earlier:
        """What earlier runs tell of the suites: only of those that have a use for it."""
        suites = [
            s.id for s in self.plan.suites if s.shards != 1 or s.evidence.control == "changed"
        ]
        records = self.past.records[:_RECORDS]
        return Earlier(
            seconds={suite: durations(records, suite) for suite in suites},
            borne_out={suite: borne_out(records, suite) for suite in suites},
            green=self._left_by_green(),
        )

    def _left_by_green(self) -> Mapping[str, Path]:
        """Where each suite finds what the last green run left of it."""
        green, suites = self.last_green(), self.plan.suites
        if green is None:
            return {}
        if green.folder is not None:
            return left_of(suites, green.folder)
        return shapes_laid_out(suites, self.past, self.runs_dir / RUNS / self.run_id / _SHAPES)

    def _course(self, phase: SuitePhase, runner: SuiteRunner) -> Course:
        suites = tuple(suite for suite in self.plan.suites if suite.phase is phase)
        return Course(suites, self.plan.limits.jobs, runner)

    def _green(self) -> GreenRun | None:
        green = self.last_green()
        if green is None:
            return None
        baseline = functools.cache(functools.partial(green.baseline, self.plan, self.past))
        return GreenRun(green.run_id, green.commit, baseline, green.record)


def bundle_writer(redactor: Redactor) -> Callable[[Path, Journal], None]:
    """Fills the folder that a remedy's command is given."""

    def write(folder: Path, journal: Journal) -> None:
        from loopctl.remedies.bundle import write_bundle
        from loopctl.reports.markdown import worklog_markdown
        from loopctl.reports.result import cycle_document
        from loopctl.reports.write import result_json

        worklog = journal.fold.snapshot()
        failure = redactor.json(cycle_document(worklog, journal.cycle))
        text = worklog_markdown(worklog, journal.folder).encode("utf-8", "replace")
        documents = {"failure.json": result_json(failure), "worklog.md": redactor.binary(text)}
        write_bundle(folder, journal.folder, journal.cycle, documents)

    return write


def crash_writer(folder: Path, redactor: Redactor) -> Callable[[BaseException], None]:
    """Keeps the traceback of a fault of loopctl itself as `crash.txt` in the run's folder."""

    def write(error: BaseException) -> None:
        text = "".join(traceback.format_exception(error))
        write_atomic(folder / "crash.txt", redactor.text(text))

    return write
