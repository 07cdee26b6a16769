"""What to type next: with loopctl, and without it."""

from __future__ import annotations

import shlex
from pathlib import Path

from loopctl.inert import for_terminal, one_line
from loopctl.journal.brief_cause import blamed
from loopctl.journal.worklog import CycleRecord, ServiceRecord, StageRecord, Worklog
from loopctl.model.events import RunStarted
from loopctl.model.finding import FaultKind
from loopctl.model.state import State, Verdict

DEFAULT_RUNS_DIR = ".loopctl"
_LONGEST = 2000
_RUN = "loopctl run "
_DEATHS = (FaultKind.EXIT_CODE, FaultKind.SIGNAL, FaultKind.OUT_OF_MEMORY)


def next_commands(worklog: Worklog, folder: Path) -> tuple[str, ...]:
    """At most three. Where a run is not green, what shows the cause comes first, a new run last.

    One of loopctl's own is always among them, and one that works without loopctl.
    """
    cause, asked = _without(worklog, folder), f"{_loopctl(folder)} {_command(worklog)}"
    if worklog.ended is None:
        return cause, asked, f"{_loopctl(folder)} {_resume(worklog)}"
    if worklog.ended.verdict is Verdict.GREEN:
        return asked, cause
    if worklog.ended.verdict is Verdict.INTERRUPTED:
        return cause, asked, f"{_loopctl(folder)} {_resume(worklog)}"
    # A proposed remedy says more than a second look at the cause.
    return (
        cause,
        _of_remedy(worklog.last, folder) or asked,
        f"{_loopctl(folder)} {_run_again(worklog)}",
    )


def _loopctl(folder: Path) -> str:
    runs_dir = folder.parent.parent
    option = "" if runs_dir.name == DEFAULT_RUNS_DIR else f" --runs-dir {_path(runs_dir)}"
    return f"loopctl{option}"


def _run_again(worklog: Worklog) -> str:
    run = worklog.run
    return f"run {_loop(run)} --env {_environment(run)}{_confirm(run)}"


def _resume(worklog: Worklog) -> str:
    run = worklog.run
    return f"resume {shlex.quote(one_line(run.run_id, 120))}{_confirm(run)}"


def _environment(run: RunStarted) -> str:
    return shlex.quote(one_line(run.environment, 120))


def _confirm(run: RunStarted) -> str:
    return f" --confirm {_environment(run)}" if run.protected else ""


def _loop(run: RunStarted) -> str:
    """Its name where loopctl finds it by that, else its file."""
    file = Path(run.loop_file)
    by_name = file.parent.name == "loops" and file.suffix == ".yaml"
    return shlex.quote(one_line(file.stem, 120)) if by_name else _path(file)


def _of_remedy(cycle: CycleRecord | None, folder: Path) -> str:
    """The command of a proposed remedy; of one that failed or was refused, what shows its doing."""
    remedy = cycle.remedy if cycle else None
    if remedy is not None and remedy.result == "failed" and remedy.output:
        return f"tail -n 50 {_path(folder / remedy.output)}"
    if remedy is None or remedy.result not in ("proposed", "refused") or not remedy.command:
        return ""
    if remedy.command.startswith(_RUN):
        return ""  # the last line says that, and better: with every option it needs
    # A command is quoted whole: half of one is worse than none.
    return one_line(remedy.command, _LONGEST)


def _command(worklog: Worklog) -> str:
    run_id = shlex.quote(one_line(worklog.run.run_id, 120))
    cycle = worklog.last
    failed = cycle.failed_stage if cycle else None
    dead = _dead(cycle)
    service = dead or _service(cycle)
    by_its_log = dead is not None or (failed is not None and failed.stage is not State.VERIFY)
    if service is not None and service.logs and by_its_log:
        return f"logs {run_id} {shlex.quote(one_line(service.name, 63))}"
    return f"report {run_id}"


def _without(worklog: Worklog, folder: Path) -> str:
    cycle = worklog.last
    failed = cycle.failed_stage if cycle else None
    if cycle is None or failed is None:
        return _curl(worklog) or f"less {_path(folder / 'worklog.md')}"
    dead = _dead(cycle)
    if dead is None and failed.stage in (State.VERIFY, State.CONFIRM):
        output = _suite_output(cycle)
        if output:
            return f"less {_path(folder / output)}"
    service = dead or _service(cycle)
    build_log = _build_log(failed) if failed.stage is State.BUILD else None
    if build_log:
        return f"tail -n 50 {_path(folder / build_log)}"
    if service is not None and service.logs is not None:
        return f"tail -n 50 {_path(folder / service.logs.path)}"
    return f"less {_path(folder / 'worklog.md')}"


def _curl(worklog: Worklog) -> str:
    """Ask a service that serves whether it is well."""
    paths = {service.name: service.health_path for service in worklog.run.services}
    for left in worklog.ended.left if worklog.ended else ():
        if left.url and any(left.traffic.values()):
            path = paths.get(left.service) or "/"
            return f"curl -i {shlex.quote(for_terminal(left.url.rstrip('/') + path))}"
    return ""


def _service(cycle: CycleRecord | None) -> ServiceRecord | None:
    return blamed(cycle) if cycle else None


def _dead(cycle: CycleRecord | None) -> ServiceRecord | None:
    """The service whose process ended, where its log was kept: that says more than any test."""
    failed = cycle.failed_stage if cycle else None
    if cycle is None or failed is None:
        return None
    named = [fault.service for fault in failed.faults if fault.kind in _DEATHS and fault.service]
    records = [cycle.services[name] for name in named if name in cycle.services]
    return next((record for record in records if record.logs), None)


def _build_log(failed: StageRecord) -> str | None:
    """The log that a failed step was quoted from."""
    quotes = [quote for fault in failed.faults for quote in fault.quotes if quote.kind == "build"]
    return quotes[0].source.partition("#")[0] if quotes else None


def _suite_output(cycle: CycleRecord) -> Path | None:
    failed = {key.partition("::")[0] for key in cycle.failed_cases()}
    suites = [suite for suite in cycle.suites.values() if suite.folder]
    suites.sort(key=lambda suite: (suite.facts.id not in failed, suite.facts.priority))
    return Path(suites[0].folder or "", "stdout.txt") if suites else None


def _path(path: Path) -> str:
    return shlex.quote(for_terminal(str(path)))
