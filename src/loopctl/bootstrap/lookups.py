"""What is looked up for a plan, by its adapters: causes, checks, what was verified."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

from loopctl.bootstrap.world import World
from loopctl.errors import PortError, Stopped
from loopctl.journal.earlier_runs import Past
from loopctl.journal.history import verified_revisions
from loopctl.model.plan import BucketPlace, Plan, PlatformKind
from loopctl.ports.platform import PlatformError
from loopctl.process import Stop
from loopctl.triage.loading import Catalogue, load_catalogue

if TYPE_CHECKING:
    from loopctl.found import Found


_RECALL_S = 5.0


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


def is_here(plan: Plan) -> bool:
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


def verified_of(
    plan: Plan, runs_dir: Path, world: World, past: Past
) -> Mapping[str, Sequence[str]]:
    """The revisions that were verified, by service, the newest first.

    What the services themselves tell comes first, as the runs of every machine note it there; then
    what the history tells, and the runs of this machine.
    """
    here = verified_revisions(runs_dir, plan.loop, plan.environment.name)
    known = _both(past.verified(), here)
    if world.verified is None:
        return known
    told = dict(known)
    for spec in plan.deployed:
        with contextlib.suppress(PlatformError, Stopped):
            noted = world.verified.recall(spec.name, Stop(_RECALL_S))
            told[spec.name] = tuple(dict.fromkeys([*noted, *known.get(spec.name, ())]))
    return told


def _both(
    shared: Mapping[str, Sequence[str]], here: Mapping[str, Sequence[str]]
) -> Mapping[str, Sequence[str]]:
    return {
        service: tuple(dict.fromkeys([*shared.get(service, ()), *here.get(service, ())]))
        for service in (*shared, *here)
    }


def gated_urls(plan: Plan) -> Mapping[str, str]:
    """The URLs of the services that are only depended on."""
    return {spec.name: spec.url for spec in plan.gated if spec.url is not None}
