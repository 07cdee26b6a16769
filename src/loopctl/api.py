"""loopctl for programs: typed, synchronous; the command line is written on it alone.

```python
from pathlib import Path
from loopctl import api

plan = api.load("golden-path", cwd=Path("."))
result = api.run(plan)
print(result.worklog.ended.verdict, result.folder)
```

Everything here raises `loopctl.errors.LoopctlError` with the exit code it would end in, and nothing
else on purpose.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from loopctl import __version__
from loopctl.errors import (
    LoopctlError,
    NotFoundError,
    PreflightError,
    Problem,
    StorageError,
    UsageError,
)
from loopctl.files import ensure_private_dir, write_atomic
from loopctl.journal.fold import fold
from loopctl.journal.history import RunSummary, find_run, read_summaries
from loopctl.journal.store import JOURNAL_NAME, Journal, read
from loopctl.journal.worklog import Worklog
from loopctl.model.events import Event, RunStarted, ServiceFacts, SuiteFacts
from loopctl.model.options import RunOptions
from loopctl.model.plan import Plan
from loopctl.model.select import select
from loopctl.process import Stop, identify, utc_now

RUNS_DIR = ".loopctl"

Subscriber = Callable[[Event], None]


@dataclass(frozen=True, slots=True)
class RunResult:
    """A run that has ended. `problems` are reports that could not be written."""

    run_id: str
    folder: Path
    worklog: Worklog
    problems: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """What a process that made this run should exit with."""
        assert self.worklog.ended is not None
        return self.worklog.ended.exit_code


def load(
    loop: str,
    *,
    environment: str | None = None,
    cwd: Path | None = None,
    variables: Mapping[str, str] | None = None,
) -> Plan:
    """The plan of a loop, by name or path, for one environment; raises `UsageError`."""
    from loopctl.loopfile.find import find_loop
    from loopctl.loopfile.resolve import load as resolve

    path = find_loop(loop, cwd or Path.cwd())
    given = os.environ if variables is None else variables
    return resolve(path, environment=environment, variables=given)


def validate(loops: Sequence[str], *, cwd: Path | None = None) -> Sequence[Plan]:
    """Load each loop for each of its environments; all of them where none is named.

    Raises `UsageError` with every problem of every file. Keys of a later version are no problem
    here: they stand in `Plan.later`.
    """
    from loopctl.loopfile.find import known_loops

    here = cwd or Path.cwd()
    names = list(loops) or [str(path) for path in known_loops(here)]
    if not names:
        raise UsageError("there is no loop file here", [Problem("no loops/*.yaml was found")])
    plans, problems = [], []
    for name in names:
        try:
            plans.append(load(name, cwd=here))
        except UsageError as error:
            problems += error.problems
    if problems:
        raise UsageError(_count(len(problems), "problem"), problems)
    return plans


def schema() -> Mapping[str, object]:
    """The JSON Schema of the loop file."""
    from loopctl.loopfile.json_schema import json_schema

    return json_schema()


def refuse_later(plan: Plan) -> None:
    """Raise `UsageError` for every key whose behaviour this version does not have."""
    if plan.later:
        raise UsageError(
            f"{_count(len(plan.later), 'key')} of this loop need a later version of loopctl; "
            "nothing was changed",
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
    from loopctl.bootstrap import Composition, crash_writer, redactor_of, world_of
    from loopctl.machine.session import Session, conduct
    from loopctl.reports.write import write_reports

    options = options or RunOptions()
    refuse_later(plan)
    _check_options(plan, options)
    chosen = select(plan, options)
    place = runs_dir_of(plan, runs_dir)
    run_id, folder = _new_run(place, plan.loop)
    redactor = redactor_of(plan)
    world = world_of(plan, place)
    composition = Composition(chosen, plan, options, run_id, place, world)
    own_stop = stop or Stop()
    try:
        journal = Journal(folder / JOURNAL_NAME, redactor, subscribers)
        with own_stop.child(chosen.limits.deadline_s) as limited:
            worklog = conduct(
                Session(
                    started=_started(run_id, chosen, options, options.partial(plan)),
                    journal=journal,
                    stop=limited,
                    leases=world.leases,
                    targets=[world.platform.target(spec.name) for spec in chosen.deployed],
                    stages=composition.stages,
                    leave=composition.leave,
                    on_crash=crash_writer(folder, redactor),
                )
            )
        journal.close()
    except StorageError as error:
        raise PreflightError(
            "the run could not begin; nothing was changed",
            [Problem(error.what, error.where, hint=error.hint)],
        ) from error
    finally:
        world.platform.close(options.keep, Stop(5.0))
    problems = write_reports(worklog, folder, redactor)
    _prune(place, chosen)
    return RunResult(run_id, folder, worklog, problems)


def runs(runs_dir: Path) -> Sequence[RunSummary]:
    """Earlier runs, the newest first."""
    return read_summaries(runs_dir)


def find(runs_dir: Path, ref: str) -> Path:
    """The folder of a run: its id, a prefix, `@latest` or `@green`; raises `NotFoundError`."""
    return find_run(runs_dir, ref)


def worklog_of(folder: Path) -> Worklog:
    """The worklog of a run that has ended, goes on or was killed; raises `LoopctlError`."""
    path = folder / JOURNAL_NAME
    if not path.is_file():
        raise NotFoundError(f"{folder.name} has no journal", where=str(path))
    return fold(read(path))


def report(folder: Path) -> Path:
    """Write the reports of a run again from its journal; the path of the worklog."""
    from loopctl.reports.write import write_reports

    problems = write_reports(worklog_of(folder), folder)
    if problems:
        raise StorageError("; ".join(problems), where=str(folder))
    return folder / "worklog.md"


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


def runs_dir_of(plan: Plan, given: Path | None) -> Path:
    """Where runs are kept: as given, else `.loopctl` in the project's root."""
    return (given or plan.root / RUNS_DIR).absolute()


def project_runs_dir(cwd: Path, given: Path | None) -> Path:
    """The same, for commands that are given a run and no loop."""
    if given is not None:
        return given.absolute()
    for folder in (cwd.absolute(), *cwd.absolute().parents):
        if any((folder / mark).exists() for mark in (RUNS_DIR, ".git", "loops")):
            return folder / RUNS_DIR
    return cwd.absolute() / RUNS_DIR


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


def _new_run(runs_dir: Path, loop: str) -> tuple[str, Path]:
    stamp = utc_now().strftime("%Y%m%d-%H%M%S")
    run_id = f"{stamp}-{loop}-{secrets.token_hex(2)}"
    folder = runs_dir / "runs" / run_id
    try:
        ensure_private_dir(runs_dir)
        ignore = runs_dir / ".gitignore"
        if not ignore.exists():
            write_atomic(ignore, "# made by loopctl: runs are nobody's source\n*\n")
        ensure_private_dir(folder)
    except LoopctlError as error:
        raise PreflightError(
            "the runs folder cannot be written; nothing was changed",
            [Problem(error.what, error.where, hint=error.hint or "choose another: --runs-dir")],
        ) from error
    return run_id, folder


def _started(run_id: str, plan: Plan, options: RunOptions, partial: str | None) -> RunStarted:
    me = identify(os.getpid())
    impact = plan.impact or {}
    return RunStarted(
        run_id=run_id,
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
        partial=partial,
        protected=plan.environment.protected,
        description=plan.description,
        owner=plan.owner,
        runbook=plan.runbook,
        max_cycles=plan.limits.max_cycles,
        deadline_s=plan.limits.deadline_s,
        strategy=plan.environment.strategy,
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


def _prune(runs_dir: Path, plan: Plan) -> None:
    """Keep the newest `worklog.keep` runs of this loop; a run that goes on is never touched."""
    from loopctl.files import remove_tree

    mine = [r for r in read_summaries(runs_dir) if r.loop == plan.loop and r.state != "running"]
    for old in mine[plan.worklog.keep :]:
        remove_tree(runs_dir / "runs" / old.run_id)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
