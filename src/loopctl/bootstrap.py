"""The composition root: the only file that names concrete adapters.

Adapters are imported inside the factories, so that no command pays for what it does not use.
"""

from __future__ import annotations

import contextlib
import functools
import os
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

from loopctl.errors import PortError, Stopped
from loopctl.files import write_atomic
from loopctl.journal.case_history import borne_out, durations
from loopctl.journal.commands import Commands
from loopctl.journal.history import RunSummary, last_green, verified_revisions
from loopctl.journal.store import Journal
from loopctl.machine.lease import PACE, Lease, Pace
from loopctl.machine.runner import Stage
from loopctl.model.events import Left
from loopctl.model.options import RunOptions
from loopctl.model.plan import BucketPlace, Plan, PlatformKind, SuiteKind, SuitePhase
from loopctl.model.state import State
from loopctl.ports.builder import Builder
from loopctl.ports.history import History, HistoryError, RunRecord
from loopctl.ports.leases import Held, Leases
from loopctl.ports.logs import LogSource, Receipts
from loopctl.ports.platform import Platform, PlatformError
from loopctl.ports.probe import Prober
from loopctl.ports.publisher import Publisher
from loopctl.ports.remedy import RemedyCommand, WorkTree
from loopctl.ports.source import Sources
from loopctl.ports.suite import Suite
from loopctl.ports.verified import VerifiedMarks
from loopctl.process import Stop
from loopctl.redact import Learned, Redactor
from loopctl.stages.build import Build, ToBuild
from loopctl.stages.callers import ANONYMOUS, Callers
from loopctl.stages.collect import Collect
from loopctl.stages.confirm import Confirm
from loopctl.stages.criteria import CriteriaGate
from loopctl.stages.deploy import Deploy, ToDeploy
from loopctl.stages.diagnose import Diagnose, GreenRun
from loopctl.stages.health import Health
from loopctl.stages.keep_logs import LogKeeper
from loopctl.stages.leaving import look_around
from loopctl.stages.note_verified import NoteVerified
from loopctl.stages.preflight import Needs, Preflight
from loopctl.stages.promote import Promote
from loopctl.stages.rejoin import Rejoin
from loopctl.stages.remediate import Remediate, RemedyRules
from loopctl.stages.remedy_guard import always_read, guard_of, loads_from
from loopctl.stages.remedy_run import RunCommand, Workshop
from loopctl.stages.rollback import mended_by
from loopctl.stages.settle import Settle
from loopctl.stages.suite_collection import SuiteCollection, collected_in
from loopctl.stages.suite_run import Earlier, RunFacts, SuiteRunner
from loopctl.stages.suites import Course
from loopctl.stages.verify import Verify
from loopctl.triage.loading import Catalogue, load_catalogue

if TYPE_CHECKING:
    from loopctl.engine.connection import Engine
    from loopctl.found import Found
    from loopctl.platforms.cloud_run.bucket_client import Who
    from loopctl.platforms.host.rendezvous import Rendezvous


_RECORDS = 10
"""How many earlier runs are asked for what their cases took and have shown."""

_HISTORY_S = 5.0
_RECALL_S = 5.0

_LEARNED = Learned()
"""What this process was given while it ran, for whichever plan: hidden by all of its redactors."""


@dataclass(frozen=True, slots=True)
class World:
    """The adapters of one environment, and as whom its services are asked."""

    sources: Sources
    builder: Builder
    publisher: Publisher | None
    platform: Platform
    leases: Leases
    logs: LogSource
    receipts: Receipts
    prober: Prober
    suites: Mapping[SuiteKind, Suite]
    remedy_command: RemedyCommand
    work_tree: WorkTree
    history: History
    verified: VerifiedMarks | None = None
    pace: Pace = PACE
    callers: Callers = ANONYMOUS


@dataclass(frozen=True, slots=True)
class Site:
    """What differs between environments: where services run, and what is known of them there."""

    builder: Builder
    publisher: Publisher | None
    platform: Platform
    leases: Leases
    logs: LogSource
    receipts: Receipts
    verified: VerifiedMarks | None = None
    pace: Pace = PACE


def redactor_of(plan: Plan) -> Redactor:
    """Knows every secret value of the plan, every token to come, and the user's own patterns."""
    values = {name: secret.reveal() for name, secret in (plan.secrets or {}).items()}
    return Redactor(values, _patterns(plan), _LEARNED)


def callers_of(plan: Plan, platform: Platform) -> Callers:
    """As whom the plan's services are asked; Google's libraries wait until one wants a token."""
    place, identity = plan.environment.cloud_run, None
    if any(spec.auth.kind == "id_token" for spec in plan.services):
        from loopctl.platforms.cloud_run.identity import GoogleIdentity

        identity = GoogleIdentity(place.impersonate if place else None, _LEARNED.learn)
    return Callers(identity, platform, place)


def _patterns(plan: Plan) -> Sequence[str]:
    return [p.removeprefix("re:") for p in plan.worklog.redact if p.startswith("re:")]


def world_of(plan: Plan, runs_dir: Path) -> World:
    """The adapters for the plan's environment."""
    match plan.environment.platform:
        case PlatformKind.LOCAL:
            return _local(plan, runs_dir)
        case PlatformKind.DOCKER:
            return _docker(plan, runs_dir)
        case PlatformKind.CLOUD_RUN:
            return _cloud_run(plan, runs_dir)
        case _:
            assert_never(plan.environment.platform)


def _local(plan: Plan, runs_dir: Path) -> World:
    from loopctl.builders.local import LocalBuilder
    from loopctl.platforms.host.rendezvous import Rendezvous
    from loopctl.platforms.local.platform import LocalPlatform

    place = Rendezvous.of(plan.root, plan.environment.name, runs_dir)
    builder = LocalBuilder(runs_dir / "images", redactor_of(plan), dict(os.environ))
    platform = LocalPlatform(place, plan.secrets, _patterns(plan))
    return _hosted(plan, runs_dir, place, builder, None, platform)


def _docker(plan: Plan, runs_dir: Path) -> World:
    from loopctl.builders.registry import RegistryPublisher
    from loopctl.engine.connection import Engine
    from loopctl.engine.registry import registry_answers
    from loopctl.platforms.docker_engine.platform import DockerPlatform
    from loopctl.platforms.host.rendezvous import Rendezvous

    engine = Engine(os.environ)
    place = Rendezvous.of(plan.root, plan.environment.name, runs_dir)
    builder = _images(plan, engine, place.key)
    registry = plan.environment.registry if plan.built else None
    publisher = RegistryPublisher(engine, registry, registry_answers) if registry else None
    platform = DockerPlatform(place, engine, plan.secrets, _patterns(plan), plan.loop)
    return _hosted(plan, runs_dir, place, builder, publisher, platform)


def _images(plan: Plan, engine: Engine, project: str) -> Builder:
    """Builds images in the engine, and takes those that were built elsewhere from registries.

    The engine is asked only where there is something to build; registries are shown the logins
    that docker's configuration has, then the engine's own.
    """
    from loopctl.builders.built_elsewhere import RegistryImageBuilder
    from loopctl.builders.by_origin import BuilderByOrigin
    from loopctl.builders.docker_image import DockerImageBuilder
    from loopctl.builders.git_source import GitSources
    from loopctl.engine.logins import docker_first

    redactor = redactor_of(plan)
    head = functools.partial(GitSources().head, plan.root)
    login = docker_first(engine.environ, engine.login)
    elsewhere = RegistryImageBuilder(login, head, redactor)
    return BuilderByOrigin(DockerImageBuilder(engine, project, redactor), elsewhere)


def _hosted(
    plan: Plan,
    runs_dir: Path,
    place: Rendezvous,
    builder: Builder,
    publisher: Publisher | None,
    platform: Platform,
) -> World:
    """The adapters of a platform whose services a host on this machine owns."""
    from loopctl.platforms.hosted.leases import FileLeases
    from loopctl.platforms.hosted.logs import HostLogs
    from loopctl.platforms.hosted.receipts import HostReceipts

    return _world(
        plan,
        runs_dir,
        Site(
            builder=builder,
            publisher=publisher,
            platform=platform,
            leases=FileLeases(place),
            logs=HostLogs(place),
            receipts=HostReceipts(place),
        ),
    )


def _cloud_run(plan: Plan, runs_dir: Path) -> World:
    from loopctl.builders.registry import RegistryPublisher
    from loopctl.engine.connection import Engine
    from loopctl.engine.registry import registry_answers
    from loopctl.platforms.cloud_run.registry_login import GoogleLogins
    from loopctl.platforms.cloud_run.site import site_of
    from loopctl.platforms.host.rendezvous import Rendezvous

    place = plan.environment.cloud_run
    assert place is not None
    engine = Engine(os.environ, GoogleLogins(place.impersonate, _LEARNED.learn))
    repository = place.repository if plan.built else None
    publisher = RegistryPublisher(engine, repository, registry_answers) if repository else None
    shared = plan.history if isinstance(plan.history, BucketPlace) else None
    site = site_of(plan.environment, shared, redactor_of(plan))
    project = Rendezvous.of(plan.root, plan.environment.name, runs_dir).key
    return _world(
        plan,
        runs_dir,
        Site(
            builder=_images(plan, engine, project),
            publisher=publisher,
            platform=site.platform,
            leases=site.leases,
            logs=site.logs,
            receipts=site.receipts,
            verified=site.verified,
            pace=Pace(*site.pace) if site.pace else PACE,
        ),
    )


def _world(plan: Plan, runs_dir: Path, site: Site) -> World:
    """The adapters of a site, with those that every environment has."""
    from loopctl.builders.git_source import GitSources
    from loopctl.platforms.prober import HttpProber
    from loopctl.remedies.command import ShellFreeCommand
    from loopctl.remedies.work_tree import GitWorkTree

    redactor = redactor_of(plan)
    return World(
        sources=GitSources(),
        builder=site.builder,
        publisher=site.publisher,
        platform=site.platform,
        leases=site.leases,
        logs=site.logs,
        receipts=site.receipts,
        verified=site.verified,
        pace=site.pace,
        prober=HttpProber(),
        suites={kind: suite_of(kind, redactor) for kind in {spec.kind for spec in plan.suites}},
        remedy_command=ShellFreeCommand(plan.root, redactor, dict(os.environ)),
        work_tree=GitWorkTree(
            plan.root,
            GitSources(),
            always_read(guard_of(plan), plan.root),
            sources=[spec.source for spec in plan.deployed if spec.source is not None],
            leave_out=[runs_dir],
            loads_from=loads_from(guard_of(plan), plan.root),
        ),
        history=history_of(plan.history, runs_dir, _bucket_users(plan)),
        callers=callers_of(plan, site.platform),
    )


def _bucket_users(plan: Plan) -> Who | None:
    """Who asks for the history, where it is in a bucket and not the default account does."""
    place = plan.environment.cloud_run
    if place is None or not isinstance(plan.history, BucketPlace):
        return None
    from loopctl.platforms.cloud_run.site import bucket_users

    return bucket_users(place)


def history_of(place: Path | BucketPlace | None, runs_dir: Path, who: Who | None = None) -> History:
    """The history of cases at a place, in the runs folder if None is named.

    A bucket is asked by `who`, or with Application Default Credentials.
    """
    match place:
        case BucketPlace():
            from loopctl.platforms.cloud_run.bucket_client import BucketClient
            from loopctl.platforms.cloud_run.bucket_history import BucketHistory

            return BucketHistory(BucketClient(place, who))
        case _:
            from loopctl.journal.history_files import FOLDER, FileHistory

            return FileHistory(place or runs_dir / FOLDER)


def suite_of(kind: SuiteKind, redactor: Redactor) -> Suite:
    """The adapter of one kind of suites."""
    match kind:
        case SuiteKind.PYTEST:
            from loopctl.suites.pytest_suite import PytestSuite

            return PytestSuite(redactor)
        case SuiteKind.COMMAND:
            from loopctl.suites.command_suite import CommandSuite

            return CommandSuite(redactor)
        case SuiteKind.HTTP:
            from loopctl.suites.declared.http_suite import HttpSuite

            return HttpSuite(redactor)
        case SuiteKind.WEBSOCKET:
            from loopctl.suites.declared.websocket_suite import WebSocketSuite

            return WebSocketSuite(redactor)
        case _:
            assert_never(kind)


def catalogue_of(plan: Plan) -> Callable[[], Catalogue]:
    """Reads our signatures and the user's, once; raises `UsageError` with every problem in theirs.

    The user's are read at once, so that a mistake is told before anything is begun. Ours alone
    wait until something has failed: most runs need none.
    """
    reader = functools.cache(functools.partial(load_catalogue, plan.signatures))
    if plan.signatures:
        reader()
    return reader


def checkup_of(plan: Plan, stop: Stop) -> Sequence[Found]:
    """What `doctor` says of where the environment's services are built and run.

    Nothing for one whose services are processes of this machine.
    """
    match plan.environment.platform:
        case PlatformKind.LOCAL:
            return ()
        case PlatformKind.DOCKER:
            return _engine_checkup(plan, stop)
        case PlatformKind.CLOUD_RUN:
            from loopctl.platforms.cloud_run.site import checkup

            engine = _engine_checkup(plan, stop) if plan.built else ()
            shared = plan.history if isinstance(plan.history, BucketPlace) else None
            return [*engine, *checkup(plan.environment, shared, plan.deployed, stop)]
        case _:
            assert_never(plan.environment.platform)


def _engine_checkup(plan: Plan, stop: Stop) -> Sequence[Found]:
    from loopctl.builders.dockerfile import external_images
    from loopctl.engine.checkup import engine_checkup

    bases: list[str] = []
    for spec in plan.built:
        # A Dockerfile that is missing or wrong is the builder's to tell.
        with contextlib.suppress(OSError, ValueError, PortError):
            assert spec.source is not None
            text = (spec.source / spec.build.dockerfile).read_text()
            bases += external_images(text, spec.build.args or {}, spec.build.target)
    registry = plan.environment.registry if plan.built else None
    only_builds = plan.environment.platform is PlatformKind.CLOUD_RUN
    return engine_checkup(os.environ, registry, bases, stop, only_builds=only_builds)


def _is_here(plan: Plan) -> bool:
    """Whether services are met on this machine: always but on Cloud Run itself."""
    place = plan.environment.cloud_run
    if place is None:
        return True
    from loopctl.platforms.cloud_run.door import door_of

    door = door_of(place.endpoint)
    return door is not None and door.loopback


def missing_variables(plan: Plan) -> tuple[str, ...]:
    """The required variables that neither the environment nor the env_file sets."""
    # Every required variable that has a value is a secret of the plan, by its own name.
    return tuple(n for n in plan.environment.require_env if n not in (plan.secrets or {}))


def verified_of(plan: Plan, runs_dir: Path, world: World) -> Mapping[str, Sequence[str]]:
    """The revisions that were verified, by service, the newest first.

    What the services themselves tell comes first, as the runs of every machine note it there; a
    service that cannot be asked now is known by the runs of this one alone.
    """
    known = verified_revisions(runs_dir, plan.loop, plan.environment.name)
    if world.verified is None:
        return known
    told = dict(known)
    for spec in plan.deployed:
        with contextlib.suppress(PlatformError, Stopped):
            noted = world.verified.recall(spec.name, Stop(_RECALL_S))
            told[spec.name] = tuple(dict.fromkeys([*noted, *known.get(spec.name, ())]))
    return told


def gated_urls(plan: Plan) -> Mapping[str, str]:
    """The URLs of the services that are only depended on."""
    return {spec.name: spec.url for spec in plan.gated if spec.url is not None}


@dataclass(frozen=True, slots=True)
class Composition:
    """One run's stages, made for `plan` as selected; `full` is the plan before the selection."""

    plan: Plan
    full: Plan
    options: RunOptions
    run_id: str
    runs_dir: Path
    world: World
    catalogue: Callable[[], Catalogue]

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
            State.DIAGNOSE: Diagnose(deployed, self.catalogue, self._green(), world.sources),
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
            services=tuple(spec.name for spec in plan.deployed),
            elsewhere=frozenset(s.name for s in plan.deployed if s.image is not None),
            deadline_s=plan.limits.deadline_s,
            max_cycles=plan.limits.max_cycles,
            no_progress=plan.limits.no_progress,
            partial=partial is not None,
        )
        workshop = Workshop(
            world.remedy_command,
            world.work_tree,
            guard_of(self.full),
            bundle_writer(redactor_of(plan)),
            {"LOOPCTL_RUN_ID": self.run_id, "LOOPCTL_ENV": plan.environment.name},
            plan.environment.protected,
        )
        command = RunCommand(workshop)
        return Remediate(rules, self.catalogue, command, world.platform, self._verified, held)

    def _verified(self) -> Mapping[str, Sequence[str]]:
        return verified_of(self.plan, self.runs_dir, self.world)

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
        todo = ToBuild(plan.deployed, plan.limits.jobs)
        collection = self._collection(State.BUILD, runner)
        return Build(todo, world.sources, world.builder, world.publisher, collection)

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
            loopback=_is_here(plan),
            health_paths={spec.name: spec.health.path for spec in plan.services},
            gated=gated_urls(plan),
            protected=plan.environment.protected,
            earlier=self._earlier(),
            guarded={s.name: s for s in self.full.services if s.auth.kind == "id_token"},
        )
        return SuiteRunner(self.world.suites, self.world.receipts, facts, self.world.callers)

    def _earlier(self) -> Earlier:
        """What earlier runs tell of the suites: only of those that have a use for it."""
        plan, green = self.plan, self._last_green()
        suites = [s.id for s in plan.suites if s.shards != 1 or s.evidence.control == "changed"]
        records: Sequence[RunRecord] = ()
        if suites:
            # Without it everything is run, and the longest are not told from the others.
            with contextlib.suppress(HistoryError, Stopped):
                records = self.world.history.recent(
                    plan.loop, plan.environment.name, _RECORDS, Stop(_HISTORY_S)
                )
        return Earlier(
            seconds={suite: durations(records, suite) for suite in suites},
            borne_out={suite: borne_out(records, suite) for suite in suites},
            green=_left_of(plan, self.runs_dir / "runs" / green.run_id) if green else {},
        )

    def _course(self, phase: SuitePhase, runner: SuiteRunner) -> Course:
        suites = tuple(suite for suite in self.plan.suites if suite.phase is phase)
        return Course(suites, self.plan.limits.jobs, runner)

    def _last_green(self) -> RunSummary | None:
        return last_green(self.runs_dir, self.plan.loop, self.plan.environment.name)

    def _green(self) -> GreenRun | None:
        green = self._last_green()
        if green is None:
            return None
        folder = self.runs_dir / "runs" / green.run_id / "logs"
        logs = {
            spec.name: path
            for spec in self.plan.deployed
            for path in sorted(folder.glob(f"*/{spec.name}.jsonl"))[-1:]
        }
        return GreenRun(green.run_id, green.commit, logs)


def _left_of(plan: Plan, run: Path) -> Mapping[str, Path]:
    """What the last cycle of a run left of each suite, where it left anything."""
    numbered = [path for path in (run / "suites").glob("*") if path.name.isdecimal()]
    cycles = sorted(numbered, key=lambda folder: int(folder.name))
    return {
        spec.id: folder
        for spec in plan.suites
        for cycle in cycles
        if (folder := cycle / spec.id).is_dir()
    }


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
