"""What a run would do, and whether this machine can."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from loopctl.api.loading import load
from loopctl.api.places import project_runs_dir, runs_dir_of
from loopctl.errors import Problem, UsageError
from loopctl.journal.earlier_runs import EarlierRuns
from loopctl.journal.history import past_durations
from loopctl.model.ci_job import ci_job
from loopctl.model.plan import Plan, PlatformKind
from loopctl.process import Stop

if TYPE_CHECKING:
    from loopctl.authoring.doctor import Check
    from loopctl.authoring.outlook import Outlook
    from loopctl.bootstrap import World
    from loopctl.ports.platform import Absent


def outlook(plan: Plan, *, runs_dir: Path | None = None, stop: Stop | None = None) -> Outlook:
    """What a run of this plan would do and what it lacks; changes nothing.

    What a platform refuses stands in `missing`. Raises `Stopped` after a minute, or once `stop`
    stops, and `UsageError` for signature files that a run would refuse.
    """
    from loopctl.authoring.outlook import (
        Outlook,
        ServiceOutlook,
        by_itself,
        digest_of,
        questions,
        wave_of,
    )
    from loopctl.bootstrap import catalogue_of, told_of, world_of
    from loopctl.bootstrap.green_run import LastGreen
    from loopctl.model.artifact import ServiceState
    from loopctl.ports.platform import PlatformError
    from loopctl.ports.source import SourceError
    from loopctl.reports.facts import one_tree

    alone = by_itself(plan, catalogue_of(plan))
    place = runs_dir_of(plan, runs_dir)
    world, stop = world_of(plan, place), stop or Stop(60.0)
    past = EarlierRuns(world.history, plan.loop, plan.environment.name).past(stop)
    green = LastGreen.find(plan, place, past)
    missing = [str(problem) for problem in _lacks(plan, world, stop)]
    services = []
    for spec in plan.deployed:
        state: ServiceState | Absent | None = None
        try:
            state = world.platform.observe(spec.name, stop)
        except PlatformError as error:
            # What keeps it from being asked is one of the things that the platform lacks.
            if not missing:
                missing.append(str(error))
        serving = dict(state.traffic) if isinstance(state, ServiceState) else {}
        tree, dirty = None, False
        try:
            source = None if spec.source is None else world.sources.read(spec.source, stop)
            if source is not None:
                tree, dirty = source.digest, source.dirty
        except SourceError as error:
            missing.append(error.what)
        name = None if green is None else green.verified.get(spec.name)
        verified = name in serving
        if spec.image is not None:
            revision = (
                None
                if name is None or not isinstance(state, ServiceState)
                else state.revision(name)
            )
            verified &= revision is not None and revision.digest == digest_of(spec.image)
        services.append(
            ServiceOutlook(
                spec.name,
                wave_of(plan, spec),
                serving,
                tree,
                dirty,
                verified,
                spec.image,
                hidden=state is None,
            )
        )
    # A run keeps one hash for all of its services: which of them differs it does not tell.
    trees = {service.name: service.tree for service in services if service.tree is not None}
    tree = one_tree(trees) if trees else None
    unchanged = green is not None and green.is_of(trees, tree)
    services = [replace(service, same=service.same and unchanged) for service in services]
    took = past.durations()
    if took.runs == 0:
        took = past_durations(place, plan.loop, plan.environment.name)
    asks = questions(plan, services)
    tells = tuple(told_of(plan, ci_job(os.environ)))
    return Outlook(plan, tuple(services), took, asks, tuple(missing), alone, past.unread, tells)


def doctor(
    loop: str | None = None,
    *,
    environment: str | None = None,
    runs_dir: Path | None = None,
    cwd: Path | None = None,
    stop: Stop | None = None,
) -> Sequence[Check]:
    """Check the machine, and what a loop needs where one is named; changes nothing.

    An environment without a loop means the only loop here; raises `UsageError` where there are
    several, or none, and `Stopped` after a minute. A check that is not `ok` has its `hint`.
    """
    from loopctl.authoring.doctor import Check, machine_checks
    from loopctl.bootstrap import checkup_of, told_checkup, world_of

    here = cwd or Path.cwd()
    checks = list(machine_checks(project_runs_dir(here, runs_dir)))
    if loop is None and environment is None:
        return checks
    plan = load(loop or _only_loop(here), environment=environment, cwd=here)
    stop = stop or Stop(60.0)
    said = f"{plan.loop} for {plan.environment.name}"
    checks.append(Check("loop file", ok=True, said=said))
    found = [*checkup_of(plan, stop), *told_checkup(plan, ci_job(os.environ), stop)]
    checks += [Check.of(each) for each in found]
    if plan.later:
        checks += [
            Check("this version", ok=False, said=str(problem), hint="see the changelog")
            for problem in plan.later
        ]
        return checks
    world = world_of(plan, runs_dir_of(plan, runs_dir))
    # Builder, platform and publisher would each tell again that the same one does not answer.
    told = {each.where for each in found if not each.ok and each.where is not None}
    # A checkup of Cloud Run asks all that its platform does.
    asked = plan.environment.platform is PlatformKind.CLOUD_RUN
    missing = _lacks(plan, world, stop, platform=not asked)
    lacks = [problem for problem in missing if problem.where not in told]
    checks += [Check(p.where or "needed", ok=False, said=p.message, hint=p.hint) for p in lacks]
    if not lacks and all(each.ok for each in found):
        checks.append(
            Check("needs", ok=True, said="builder, platform and suites have all of theirs")
        )
    return checks


def _only_loop(here: Path) -> str:
    from loopctl.loopfile.find import loop_names

    names = loop_names(here)
    if len(names) == 1:
        return names[0]
    hint = (
        f"name one: {', '.join(names)}" if names else "there is no loops/*.yaml from here upwards"
    )
    what = "an environment is a loop's, and no loop is named"
    raise UsageError("nothing was checked", [Problem(what, hint=hint)])


def _lacks(plan: Plan, world: World, stop: Stop, *, platform: bool = True) -> Sequence[Problem]:
    """What a run's preflight would miss; `platform` False: what that lacks was told already."""
    from loopctl.bootstrap import missing_variables

    found = [
        *world.builder.check(plan.deployed, stop),
        *(world.platform.check(plan.deployed, stop) if platform else ()),
        *(world.publisher.check(stop) if world.publisher is not None else ()),
        *world.callers.check(plan.services, stop),
    ]
    for suite in plan.suites:
        found += world.suites[suite.kind].check(suite, stop)
    found += [
        Problem(f"the environment variable {name} is not set", hint=f"export {name}=…")
        for name in missing_variables(plan)
    ]
    return list(dict.fromkeys(found))
