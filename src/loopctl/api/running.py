"""Running a loop, and taking its environment down."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from loopctl import __version__
from loopctl.api.places import new_run, runs_dir_of
from loopctl.errors import (
    LoopctlError,
    PreflightError,
    Problem,
    Stopped,
    StorageError,
    UsageError,
)
from loopctl.journal.history import changed_files, files_of, last_green, read_summaries
from loopctl.journal.store import JOURNAL_NAME, Journal
from loopctl.journal.worklog import Worklog
from loopctl.model.events import Event, RunStarted, ServiceFacts, SuiteFacts
from loopctl.model.options import RunOptions
from loopctl.model.plan import Plan
from loopctl.model.select import select
from loopctl.model.state import Verdict
from loopctl.process import Stop, identify
from loopctl.redact import Redactor

if TYPE_CHECKING:
    from loopctl.bootstrap import Composition

Subscriber = Callable[[Event], None]

CLOSING_S = 5.0

_NOT_TOLD = "the platform was not told that the run is over"


@dataclass(frozen=True, slots=True)
class RunResult:
    """A run that has ended. `problems` are what could not be done after that: a report, tidying."""

    run_id: str
    folder: Path
    worklog: Worklog
    problems: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """What a process that made this run should exit with."""
        assert self.worklog.ended is not None
        return self.worklog.ended.exit_code


def refuse_later(plan: Plan) -> None:
    """Raise `UsageError` for every key whose behaviour this version does not have."""
    if plan.later:
        raise UsageError(
            f"{_keys(len(plan.later))} a later version of loopctl; nothing was changed",
            plan.later,
        )


def run(
    plan: Plan,
    options: RunOptions | None = None,
    *,
    runs_dir: Path | None = None,
    subscribers: Sequence[Subscriber] = (),
    stop: Stop | None = None,
) -> RunResult:
    """Run the loop to its end and write its reports.

    `subscribers` are called with every event as it happens, redacted. `stop` ends the run early:
    its reason `SIGINT` or `SIGTERM` makes the verdict `interrupted`. Raises `UsageError` before
    anything is done, `PreflightError` when the runs folder cannot be written.
    """
    from loopctl.bootstrap import Composition, catalogue_of, redactor_of, world_of
    from loopctl.reports.write import write_reports

    options = options or RunOptions()
    refuse_later(plan)
    _check_options(plan, options)
    chosen = select(plan, options)
    catalogue = catalogue_of(plan)
    redactor = redactor_of(plan)
    _check_names(plan, redactor)
    place = runs_dir_of(plan, runs_dir)
    run_id, folder = new_run(place, plan.loop)
    world = world_of(plan, place)
    composition = Composition(chosen, plan, options, run_id, place, world, catalogue)
    try:
        worklog = _conducted(composition, folder, redactor, subscribers, stop or Stop())
    except StorageError as error:
        raise PreflightError(
            "the run could not begin; nothing was changed",
            [Problem(error.what, error.where, hint=error.hint)],
        ) from error
    # None of this changes how the run ended, so none of it may hide that.
    problems = (
        *_close(composition, worklog),
        *write_reports(worklog, folder, redactor),
        *_prune(place, chosen),
    )
    return RunResult(run_id, folder, worklog, problems)


def _conducted(
    composition: Composition,
    folder: Path,
    redactor: Redactor,
    subscribers: Sequence[Subscriber],
    stop: Stop,
) -> Worklog:
    from loopctl.bootstrap import crash_writer
    from loopctl.machine.session import Session, conduct

    plan, world = composition.plan, composition.world
    keep_crash = crash_writer(folder, redactor)
    journal = Journal(folder / JOURNAL_NAME, redactor, subscribers)
    try:
        with stop.child(plan.limits.deadline_s) as limited:
            worklog = conduct(
                Session(
                    started=_started(composition),
                    journal=journal,
                    stop=limited,
                    leases=world.leases,
                    targets=[world.platform.target(spec.name) for spec in plan.deployed],
                    stages=composition.stages,
                    leave=composition.leave,
                    on_crash=keep_crash,
                )
            )
    except LoopctlError:
        raise
    except Exception as error:
        with contextlib.suppress(StorageError):
            keep_crash(error)
        raise LoopctlError(
            redactor.text(f"a fault of loopctl itself: {type(error).__name__}: {error}"),
            where=str(folder / JOURNAL_NAME),
            hint=f"crash.txt beside it says where; look who serves: loopctl plan {plan.loop}",
        ) from error
    finally:
        journal.close()
    return worklog


def down(plan: Plan, *, runs_dir: Path | None = None, stop: Stop | None = None) -> Sequence[str]:
    """Stop every service of the environment; their names. Raises `LockedError` while a run uses it.

    Names only services that were there.
    """
    from loopctl.bootstrap import world_of
    from loopctl.machine.lease import holding
    from loopctl.ports.platform import Absent

    world = world_of(plan, runs_dir_of(plan, runs_dir))
    stop = stop or Stop(120.0)
    targets = [world.platform.target(spec.name) for spec in plan.deployed]
    stopped = []
    with holding(world.leases, targets, f"down-{os.getpid()}", stop) as lease:
        for spec in reversed(plan.deployed):
            if not isinstance(world.platform.observe(spec.name, stop), Absent):
                world.platform.down(spec.name, lease.held(), stop)
                stopped.append(spec.name)
    return stopped


def _check_options(plan: Plan, options: RunOptions) -> None:
    problems = []
    environment = plan.environment
    if environment.protected and options.confirm != environment.name:
        problems.append(
            Problem(
                f"{environment.name} is protected",
                where="--confirm",
                hint=f"--confirm {environment.name}, if that is meant",
            )
        )
    if options.confirm is not None and options.confirm != environment.name:
        what = f"--confirm names {options.confirm!r}, the run is on {environment.name!r}"
        problems.append(Problem(what, where="--confirm"))
    if options.remediate == "auto":
        problems.append(
            Problem(
                "remedies that loopctl applies by itself come with a later version",
                where="--remediate",
                hint="--remediate propose names the command",
            )
        )
    if problems:
        raise UsageError("nothing was changed", problems)


def _check_names(plan: Plan, redactor: Redactor) -> None:
    """Refuse a secret that is part of a name: what is hidden everywhere cannot be acted upon."""
    names = [plan.loop, plan.environment.name, *(suite.id for suite in plan.suites)]
    names += [f"{spec.name}-00001-x7k" for spec in plan.services]
    hidden = [name for name in names if redactor.text(name) != name]
    if hidden:
        what = "the value of a secret is part of a name of this loop"
        hint = "give the secret another value: one that everybody can read is none"
        problems = [Problem(what, where=redactor.text(name), hint=hint) for name in hidden]
        raise UsageError("nothing was changed", problems)


def _started(composition: Composition) -> RunStarted:
    plan, options = composition.plan, composition.options
    me = identify(os.getpid())
    green = last_green(composition.runs_dir, plan.loop, plan.environment.name)
    read_then = files_of(composition.runs_dir, green.run_id) if green else {}
    impact = plan.impact or {}
    return RunStarted(
        run_id=composition.run_id,
        loop=plan.loop,
        loop_file=str(plan.path),
        root=str(plan.root),
        environment=plan.environment.name,
        platform=plan.environment.platform.value,
        loopctl=__version__,
        pid=os.getpid(),
        pid_started=me.started if me else 0,
        services=tuple(
            ServiceFacts(
                name=spec.name,
                needs=spec.needs,
                deployed=spec.is_deployed,
                provenance=spec.provenance,
                impact=impact[spec.name].value if spec.name in impact else None,
                impact_source=impact[spec.name].source if spec.name in impact else None,
                health_path=spec.health.path,
            )
            for spec in plan.services
        ),
        suites=tuple(
            SuiteFacts(
                id=suite.id,
                title=suite.title,
                priority=suite.priority.value,
                kind=suite.kind.value,
                phase=suite.phase.value,
                require=suite.evidence.require.value,
                protects=suite.protects,
                target=suite.evidence.target,
            )
            for suite in plan.suites
        ),
        options=_said(options),
        files=plan.files or {},
        partial=options.partial(composition.full),
        protected=plan.environment.protected,
        description=plan.description,
        owner=plan.owner,
        runbook=plan.runbook,
        max_cycles=plan.limits.max_cycles,
        deadline_s=plan.limits.deadline_s,
        strategy=plan.environment.strategy,
        green_run=green.run_id if green else None,
        config_changed=changed_files(read_then, plan.files or {}) if green else (),
    )


def _said(options: RunOptions) -> Mapping[str, str | int | bool | None]:
    given: dict[str, str | int | bool | None] = {
        "suite": " ".join(options.suites),
        "service": " ".join(options.services),
        "priority": " ".join(options.priorities),
        "from": options.start.value,
        "remediate": options.remediate,
        "keep": options.keep,
    }
    return {name: value for name, value in given.items() if value}


def _close(composition: Composition, worklog: Worklog) -> Sequence[str]:
    """Tell the platform that the run is over; what went wrong with that, in words."""
    if worklog.ended is None or worklog.ended.verdict is Verdict.LOCKED:
        return ()
    try:
        composition.world.platform.close(composition.options.keep, Stop(CLOSING_S))
    except LoopctlError as error:
        return (f"{_NOT_TOLD}: {error.what}",)
    except Stopped:
        return (f"{_NOT_TOLD}: it did not answer within {CLOSING_S:g} s",)
    return ()


def _prune(runs_dir: Path, plan: Plan) -> Sequence[str]:
    """Keep the newest `worklog.keep` runs of this loop, and the last green one of each environment.

    A run that goes on is never touched. Returns what could not be removed, in words.
    """
    from loopctl.files import remove_tree

    mine = [r for r in read_summaries(runs_dir) if r.loop == plan.loop and r.state != "running"]
    greens = {r.environment: r.run_id for r in reversed(mine) if r.is_verified_green}
    problems = []
    for old in mine[plan.worklog.keep :]:
        if old.run_id in greens.values():
            continue
        try:
            remove_tree(runs_dir / "runs" / old.run_id)
        except StorageError as error:
            problems.append(f"the old run {old.run_id} is still there: {error.what}")
    return problems


def _keys(number: int) -> str:
    return "1 key of this loop needs" if number == 1 else f"{number} keys of this loop need"
