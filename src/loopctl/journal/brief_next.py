"""What to type next: with loopctl, and without it."""

from __future__ import annotations

import shlex
from pathlib import Path

from loopctl.inert import for_terminal, one_line
from loopctl.journal.brief_cause import blamed, likely_cause, tied_commit
from loopctl.journal.brief_failed import unmet_suites
from loopctl.journal.commands import Commands, path_word
from loopctl.journal.worklog import (
    CycleRecord,
    ServiceRecord,
    StageRecord,
    SuiteRecord,
    Worklog,
)
from loopctl.model.evidence import CaseStatus, GradedCase
from loopctl.model.finding import FaultKind
from loopctl.model.plan import SuiteKind
from loopctl.model.state import OutcomeKind, State, Verdict

_LONGEST = 2000
_DEATHS = (FaultKind.EXIT_CODE, FaultKind.SIGNAL, FaultKind.OUT_OF_MEMORY)
_DECLARED = (SuiteKind.HTTP, SuiteKind.WEBSOCKET)
"""Kinds of suites that run no process, and so leave no output."""


def next_commands(worklog: Worklog, folder: Path) -> tuple[str, ...]:
    """At most three. Where a run is not green, what shows the cause comes first, a new run last.

    One of loopctl's own is always among them, and one that works without loopctl.
    """
    commands = Commands.of_run(worklog.run, folder.parent.parent)
    cause, asked = _without(worklog, folder), _asked(worklog, commands)
    if worklog.ended is None:
        return cause, asked, commands.resume(worklog.run.run_id)
    if worklog.ended.verdict is Verdict.GREEN:
        return (asked, cause, *_taken(worklog))
    if worklog.ended.verdict is Verdict.INTERRUPTED:
        return cause, asked, commands.resume(worklog.run.run_id)
    # A proposed remedy says more than a second look at the cause, and the diff of a commit that is
    # tied to it says more than a log.
    diff = _diff(worklog)
    return diff or cause, _of_remedy(worklog.last, folder, commands) or asked, commands.run()


def _diff(worklog: Worklog) -> str:
    """What shows the commit that touched what the evidence names."""
    tied = tied_commit(worklog.last) if worklog.last else None
    if tied is None:
        return ""
    asked = (each.command for each in reversed(worklog.not_checked) if each.command)
    shown = (command for command in asked if command.startswith("git "))
    return next((command for command in shown if f" {tied} " in f"{command} "), "")


def _taken(worklog: Worklog) -> tuple[str, ...]:
    """What takes over the branch that a remedy of this run has made green."""
    branches = [c.remedy.branch for c in worklog.cycles if c.remedy and c.remedy.work_tree]
    return (f"git merge {one_line(branches[-1], 200)}",) if branches and branches[-1] else ()


def _of_remedy(cycle: CycleRecord | None, folder: Path, commands: Commands) -> str:
    """The command of a proposed remedy; of one that failed or was refused, what shows its doing."""
    remedy = cycle.remedy if cycle else None
    if remedy is not None and remedy.branch and remedy.result in ("done", "failed"):
        return f"git diff HEAD...{one_line(remedy.branch, 200)}"
    if remedy is not None and remedy.result == "failed" and remedy.output:
        return f"tail -n 50 {path_word(folder / remedy.output)}"
    if remedy is None or remedy.result not in ("proposed", "refused") or not remedy.command:
        return ""
    if commands.is_run(remedy.command):
        return ""  # the last line says that, and better: with every option it needs
    # A command is quoted whole: half of one is worse than none.
    return one_line(remedy.command, _LONGEST)


def _asked(worklog: Worklog, commands: Commands) -> str:
    """The command that shows the most of a run: of a service by its log, else its worklog."""
    run_id, cycle = worklog.run.run_id, worklog.last
    failed = cycle.failed_stage if cycle else None
    dead = _dead(cycle)
    service = dead or _service(cycle)
    by_its_log = dead is not None or (failed is not None and failed.stage is not State.VERIFY)
    if service is not None and service.logs and by_its_log:
        return commands.logs(run_id, service.name)
    return commands.report(run_id)


def _without(worklog: Worklog, folder: Path) -> str:
    cycle = worklog.last
    failed = cycle.failed_stage if cycle else None
    if cycle is None or failed is None:
        return _curl(worklog) or f"less {path_word(folder / 'worklog.md')}"
    dead = _dead(cycle)
    if _measured(failed) and failed.kind is OutcomeKind.UNPROVEN:
        # What was not measured stands in no log.
        return f"less {path_word(folder / 'worklog.md')}"
    if dead is None and failed.stage in (State.VERIFY, State.CONFIRM) and not _measured(failed):
        suite = _telling_suite(cycle)
        if suite is not None and suite.folder:
            return _shown(suite, folder)
    service = dead or _service(cycle)
    build_log = _build_log(failed) if failed.stage is State.BUILD else None
    if build_log:
        return f"tail -n 50 {path_word(folder / build_log)}"
    if service is not None and service.logs is not None:
        return f"tail -n 50 {path_word(folder / service.logs.path)}"
    return f"less {path_word(folder / 'worklog.md')}"


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


def _measured(failed: StageRecord) -> bool:
    """Whether criteria alone decided: every test has passed, and none printed why it was slow."""
    kinds = {fault.kind for fault in failed.faults}
    return kinds == {FaultKind.CRITERION}


def _build_log(failed: StageRecord) -> str | None:
    """The log that a failed step was quoted from."""
    quotes = [quote for fault in failed.faults for quote in fault.quotes if quote.kind == "build"]
    return quotes[0].source.partition("#")[0] if quotes else None


def _telling_suite(cycle: CycleRecord) -> SuiteRecord | None:
    """The suite that the likely cause is about, else the first that is told to have failed."""
    unmet = [suite for suite in unmet_suites(cycle) if suite.folder]
    cause = likely_cause(cycle)
    if cause is not None:
        quoted = [quote.source.partition("#")[0] for quote in cause.finding.evidence]
        for suite in unmet:
            if suite.folder in quoted:
                return suite
        of_cases = set(cause.cases)
        for suite in unmet:
            if any(case.id in of_cases for case in suite.cases):
                return suite
    # A suite may be under way when its stage fails.
    begun = (suite for suite in cycle.suites.values() if suite.folder)
    return next(iter(unmet), None) or next(begun, None)


def _shown(suite: SuiteRecord, folder: Path) -> str:
    """What shows how the suite ended.

    A process that died says why on stderr. Of a suite that loopctl itself asks, and of passes that
    prove too little, no process has said anything: the worklog has it.
    """
    place = folder / (suite.folder or "")
    said = place / "stdout.txt"
    if suite.facts.kind in _DECLARED:
        return f"less {path_word(folder / 'worklog.md')}"
    ended = suite.end
    lost = any(case.status is CaseStatus.LOST for case in suite.cases)
    if lost or (ended is not None and ended.usage_error is not None):
        return f"less {path_word(place / 'stderr.txt')} {path_word(said)}"
    if ended is not None and ended.complete and not any(map(_did_not_pass, suite.cases)):
        return f"less {path_word(folder / 'worklog.md')}"
    return f"less {path_word(said)}"


def _did_not_pass(case: GradedCase) -> bool:
    return case.status is not CaseStatus.PASSED
