"""The adapters of one environment: the only file that names concrete ones.

They are imported inside the factories, so that no command pays for what it does not use.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

from loopctl.machine.lease import PACE, Pace
from loopctl.model.plan import BucketPlace, Plan, PlatformKind, SuiteKind, UrlPlace
from loopctl.ports.builder import Builder
from loopctl.ports.history import History
from loopctl.ports.leases import Leases
from loopctl.ports.logs import LogSource, Receipts
from loopctl.ports.platform import Platform
from loopctl.ports.probe import Prober
from loopctl.ports.publisher import Publisher
from loopctl.ports.remedy import Branches, RemedyCommand, WorkTree
from loopctl.ports.source import Sources
from loopctl.ports.suite import Suite
from loopctl.ports.verified import VerifiedMarks
from loopctl.redact import Learned, Redactor
from loopctl.stages.callers import ANONYMOUS, Callers
from loopctl.stages.remedy_guard import always_read, guard_of, loads_from

if TYPE_CHECKING:
    from loopctl.engine.connection import Engine
    from loopctl.platforms.cloud_run.bucket_client import Who
    from loopctl.platforms.host.rendezvous import Rendezvous


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
    branches: Branches | None = None
    remedies_at: Callable[[Path], tuple[RemedyCommand, WorkTree]] | None = None


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
    from loopctl.remedies.branches import GitBranches
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
        branches=GitBranches(plan.root, redactor),
        remedies_at=functools.partial(_remedies_at, plan, redactor),
    )


def _remedies_at(plan: Plan, redactor: Redactor, root: Path) -> tuple[RemedyCommand, WorkTree]:
    """What runs a remedy in another work tree of the project, and what reads that."""
    from loopctl.builders.git_source import GitSources
    from loopctl.remedies.command import ShellFreeCommand
    from loopctl.remedies.work_tree import GitWorkTree

    guard = guard_of(plan)
    inside = [s.source for s in plan.deployed if s.source and s.source.is_relative_to(plan.root)]
    tree = GitWorkTree(
        root,
        GitSources(),
        always_read(guard, root),
        sources=[root / source.relative_to(plan.root) for source in inside],
        loads_from=loads_from(guard, root),
    )
    return ShellFreeCommand(root, redactor, dict(os.environ)), tree


def _bucket_users(plan: Plan) -> Who | None:
    """Who asks for the history, where it is in a bucket and not the default account does."""
    place = plan.environment.cloud_run
    if place is None or not isinstance(plan.history, BucketPlace):
        return None
    from loopctl.platforms.cloud_run.site import bucket_users

    return bucket_users(place)


def history_of(
    place: Path | BucketPlace | UrlPlace | None, runs_dir: Path, who: Who | None = None
) -> History:
    """The history of runs at a place, in the runs folder if None is named.

    A bucket is asked by `who`, or with Application Default Credentials.
    """
    match place:
        case BucketPlace():
            from loopctl.platforms.cloud_run.bucket_client import BucketClient
            from loopctl.platforms.cloud_run.bucket_history import BucketHistory

            return BucketHistory(BucketClient(place, who))
        case UrlPlace():
            from loopctl.platforms.url_history import UrlHistory

            return UrlHistory(place)
        case _:
            from loopctl.journal.history_files import FOLDER, FileHistory

            return FileHistory(place or runs_dir / FOLDER)


def sources_here() -> Sources:
    """What reads source trees and their commits on this machine, for whoever has no plan."""
    from loopctl.builders.git_source import GitSources

    return GitSources()


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
