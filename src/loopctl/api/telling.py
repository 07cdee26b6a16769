"""Telling others of a run again, because somebody asks for it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from loopctl.api.announcing import Told, before, earlier, tell, tells_state
from loopctl.api.loading import load
from loopctl.api.looking_back import worklog_of
from loopctl.api.places import runs_dir_of
from loopctl.api.showing import as_typed
from loopctl.errors import ExitCode, LoopctlError, NotFoundError, Problem, Stopped, UsageError
from loopctl.journal.earlier_runs import EarlierRuns, heard
from loopctl.journal.worklog import Worklog
from loopctl.model.plan import Plan
from loopctl.process import Stop

if TYPE_CHECKING:
    from loopctl.ports.announcer import Announcement, Announcer
    from loopctl.ports.history import History

FAMILIES: Final = ("notify", "github")
"""Whom `--only` names: keys of the loop file."""

_REMEMBERING_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Announced:
    """Who was told of a run; or, where nobody was, what each would have been told."""

    run_id: str
    dry_run: bool
    told: tuple[Told, ...]

    @property
    def exit_code(self) -> int:
        """0 when all were told, else that of an error of theirs."""
        return int(ExitCode.UNDELIVERED) if self.troubles else 0

    @property
    def troubles(self) -> Sequence[str]:
        """What could not be told, in words."""
        return [each.trouble for each in self.told if each.trouble is not None]

    def document(self) -> Mapping[str, object]:
        """For `--json`."""
        told = [asdict(each) for each in self.told]
        return {"schema": 1, "run_id": self.run_id, "dry_run": self.dry_run, "told": told}

    def lines(self) -> Sequence[str]:
        """For people; what could not be done is not among them."""
        return [
            line
            for each in self.told
            if each.trouble is None
            for line in (each.done or (f"{each.name}: there was nothing to tell",))
        ]


def announce(
    folder: Path,
    *,
    only: str | None = None,
    dry_run: bool = False,
    runs_dir: Path | None = None,
    stop: Stop | None = None,
) -> Announced:
    """Tell of the run in `folder` whomever its loop file names now, whatever they were told before.

    `only` is one of `FAMILIES`. With `dry_run` nobody is told: `done` is what would be sent.
    Raises `UsageError` where the run has not ended or the loop file has a problem, `NotFoundError`
    where it names nobody. What could not be told is part of the result.
    """
    from loopctl.bootstrap import announcers_of, history_of, redactor_of
    from loopctl.model.ci_job import ci_job
    from loopctl.reports.announcement import announcement_of

    worklog = worklog_of(folder)
    run, within = worklog.run, stop or Stop()
    if worklog.ended is None:
        hint = f"loopctl watch {run.run_id} follows it, loopctl resume goes on with a killed one"
        raise UsageError("nobody was told", [Problem("it has not ended", run.run_id, hint=hint)])
    plan, job = _plan(worklog), ci_job(os.environ)
    announcers, redactor = announcers_of(plan, job, only), redactor_of(plan)
    if not announcers:
        raise _nobody(plan, only)
    history = history_of(plan.history, runs_dir_of(plan, runs_dir))
    past = EarlierRuns(history, plan.loop, run.environment, run.run_id).past(within)
    older = [each for each in past.records if each.started_at < worklog.started_at]
    made = announcement_of(worklog, as_typed(folder), before(older), job)
    assert made is not None  # it has ended
    known = None if past.unread is not None else earlier(older)
    asked = replace(made, earlier=known, asked=True)
    if dry_run:
        shown = [_preview(each, asked) for each in announcers]
        redacted = [replace(each, done=tuple(map(redactor.text, each.done))) for each in shown]
        return Announced(run.run_id, dry_run, tuple(redacted))
    told = tell(announcers, asked, redactor, within)
    if tells_state(worklog):
        _remember(history, worklog, [each.name for each in told if each.trouble is None])
    return Announced(run.run_id, dry_run, tuple(told))


def _plan(worklog: Worklog) -> Plan:
    """The loop as it is written now: where the run was made, or, on another machine, here."""
    run, root = worklog.run, Path(worklog.run.root)
    if (root / run.loop_file).is_file():
        return load(run.loop_file, environment=run.environment, cwd=root)
    return load(run.loop, environment=run.environment)


def _nobody(plan: Plan, only: str | None) -> NotFoundError:
    keys = " nor ".join(f"`{key}`" for key in ([only] if only else FAMILIES))
    what = f"{plan.loop} names nobody who is told of runs on {plan.environment.name}"
    return NotFoundError(what, where=str(plan.path), hint=f"there is no {keys} that is switched on")


def _preview(announcer: Announcer, run: Announcement) -> Told:
    from loopctl.ports.announcer import Previewer

    if isinstance(announcer, Previewer):
        return Told(announcer.name, (f"{announcer.name}:\n{announcer.preview(run)}",))
    return Told(announcer.name, (f"{announcer.name} would be made",))


def _remember(history: History, worklog: Worklog, names: Sequence[str]) -> None:
    """Let the next run know that they were told; that it may tell again is no harm."""
    run = worklog.run

    def note(stop: Stop) -> None:
        for record in history.named(run.loop, run.environment, [run.run_id], stop):
            told = tuple(dict.fromkeys((*record.told, *names)))
            if told != record.told:
                history.put(replace(record, told=told), stop)

    try:
        heard(note, Stop(_REMEMBERING_S))
    except (LoopctlError, Stopped):
        return
