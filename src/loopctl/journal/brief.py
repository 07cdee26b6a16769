"""The fifteen lines: what an on-call engineer needs before anything else.

Pure; every word is computed from the worklog. Lines are inert: safe for a terminal as they are.
The order is the contract's; what there is nothing to say about has no line.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from loopctl.inert import for_terminal, one_line
from loopctl.journal.brief_cause import cause_lines, changes_text, tried_text, where_text
from loopctl.journal.brief_failed import failed_texts, not_counted_text
from loopctl.journal.brief_next import next_commands
from loopctl.journal.brief_users import users_text
from loopctl.journal.commands import DEFAULT_RUNS_DIR, path_word
from loopctl.journal.quarantine import counted_failures
from loopctl.journal.wording import count, seconds
from loopctl.journal.worklog import Worklog
from loopctl.model.state import State, Verdict

MOST_LINES = 15


class Role(StrEnum):
    """What a line of the brief is about."""

    MEND = "mend"
    USERS = "users"
    VERDICT = "verdict"
    FAILED = "failed"
    NOT_COUNTED = "not counted"
    CAUSE = "likely cause"
    QUOTE = "quote"
    WHERE = "where"
    CHANGED = "changed since green"
    RESTORE = "restore"
    TRIED = "tried"
    LOG = "log"
    NEXT = "next"
    OWNER = "owner"
    REPORT = "report"


@dataclass(frozen=True, slots=True)
class Line:
    """One line, inert. `text` has no label: the role is the label."""

    role: Role
    text: str

    def __str__(self) -> str:
        return f"{self.role.value.upper()}: {self.text}"


@dataclass(frozen=True, slots=True)
class Brief:
    """At most fifteen lines; `verdict` is None when the run has not ended."""

    lines: tuple[Line, ...]
    verdict: Verdict | None

    def __str__(self) -> str:
        return "\n".join(map(str, self.lines))

    def of(self, role: Role) -> tuple[str, ...]:
        """The texts of the lines with that role."""
        return tuple(line.text for line in self.lines if line.role is role)

    def of_copy(self, ref: str, *, report: bool) -> Brief:
        """The brief of a run that was brought here, and is asked for as `ref`.

        What to type where it was made is of no use here. `report`: its worklog lies where it says.
        """
        left_out = (Role.NEXT,) if report else (Role.NEXT, Role.REPORT)
        kept = tuple(line for line in self.lines if line.role not in left_out)
        asked = Line(Role.NEXT, f"loopctl report {path_word(Path(ref))}")
        return Brief((*kept, asked), self.verdict)


def brief(worklog: Worklog, folder: Path | None = None) -> Brief:
    """The brief of a run. `folder` is where its files are, as a person would type it."""
    folder = folder or Path(DEFAULT_RUNS_DIR, "runs", worklog.run.run_id)
    above = tuple(_above(worklog))
    below = tuple(_below(worklog, folder))
    # Every other line has a bound of its own: what failed gets the room that is left. A log line
    # beside the quoted one is what can be missed, then what the worklog says of quarantine.
    for spare in (Role.LOG, Role.NOT_COUNTED):
        if len(above) + len(below) >= MOST_LINES:
            below = tuple(line for line in below if line.role is not spare)
    room = MOST_LINES - len(above) - len(below)
    failed = tuple(Line(Role.FAILED, text) for text in failed_texts(worklog, room))
    lines = (Line(line.role, for_terminal(line.text)) for line in (*above, *failed, *below))
    return Brief(tuple(lines), worklog.ended.verdict if worklog.ended else None)


def _above(worklog: Worklog) -> Iterator[Line]:
    ended = worklog.ended
    if ended is not None and ended.restored == "failed" and ended.mend:
        yield Line(Role.MEND, one_line(ended.mend, 2000))
    yield Line(Role.USERS, users_text(worklog))
    yield Line(Role.VERDICT, _verdict(worklog))


def _below(worklog: Worklog, folder: Path) -> Iterator[Line]:
    if excused := not_counted_text(worklog):
        yield Line(Role.NOT_COUNTED, excused)
    if not is_green(worklog):
        yield from _diagnosis(worklog)
    elif len(worklog.counted_cycles) > 1:
        # A green that a remedy made may stand on source that nobody has committed.
        yield Line(Role.WHERE, where_text(worklog))
        yield Line(Role.TRIED, tried_text(worklog))
    for command in next_commands(worklog, folder):
        yield Line(Role.NEXT, command)
    owner = _owner(worklog)
    if owner:
        yield Line(Role.OWNER, owner)
    yield Line(Role.REPORT, one_line(str(folder / "worklog.md"), 400))


def _diagnosis(worklog: Worklog) -> Iterator[Line]:
    cause = cause_lines(worklog)
    begun = worklog.ended is None or _has_begun(worklog)
    texts = {
        Role.CAUSE: cause.cause,
        Role.QUOTE: cause.quote,
        Role.WHERE: where_text(worklog),
        Role.CHANGED: changes_text(worklog),
        Role.RESTORE: _restore(worklog) if begun else "",
        Role.TRIED: tried_text(worklog) if begun else "",
        Role.LOG: cause.log,
    }
    for role, text in texts.items():
        if text:
            yield Line(role, text)


def _has_begun(worklog: Worklog) -> bool:
    """Whether anything came after PREFLIGHT: before that there is nothing to put back or mend."""
    stages = [record.stage for cycle in worklog.cycles for record in cycle.stages]
    return any(stage is not State.PREFLIGHT for stage in stages)


def is_green(worklog: Worklog) -> bool:
    """Whether the run ended green."""
    return worklog.ended is not None and worklog.ended.verdict is Verdict.GREEN


def _verdict(worklog: Worklog) -> str:
    run, ended = worklog.run, worklog.ended
    number = worklog.last.number if worklog.last else 0
    where = f"{one_line(run.loop, 60)} on {one_line(run.environment, 40)}"
    where += f", cycle {number} of at most {run.max_cycles}" if number else ""
    where += f", resumed {count(len(worklog.resumed), 'time')}" if worklog.resumed else ""
    name = f"run {one_line(run.run_id, 120)}"
    if ended is None:
        stage = (
            worklog.last.stages[-1].stage.value if worklog.last and worklog.last.stages else "start"
        )
        return f"none, the run has not ended: {where}, in {stage}, {name}"
    took = seconds(ended.duration_s)
    return (
        f"{ended.verdict.value}{_tolerated(worklog)}, {where}, exit code"
        f" {ended.exit_code} ({ended.stop_reason.value}), {name}, {took}"
    )


def _tolerated(worklog: Worklog) -> str:
    """A green that stands on tolerances says so: nobody may take it for all passed."""
    if worklog.last is None or not is_green(worklog):
        return ""
    failed = counted_failures(worklog.last)
    excused = len(worklog.last.failed_cases()) - len(failed)
    said = [f"{count(len(failed), 'case')} tolerated that did not pass"] if failed else []
    said += [f"{count(excused, 'case')} quarantined that did not pass"] if excused else []
    return f" with {' and '.join(said)}" if said else ""


def _restore(worklog: Worklog) -> str:
    if worklog.ended is None:
        return "not known: the run has not ended"
    match worklog.ended.restored:
        case "done":
            return "done: traffic is what it was before this cycle's first write"
        case "failed":
            return f"FAILED: {_not_put_back(worklog)}"
        case "kept":
            return "not done: --keep leaves what was deployed"
        case "moved":
            return "not done: somebody else has written to the environment, so nothing was touched"
        case "not-needed":
            return "not needed: this run took no traffic from what served before"


def _not_put_back(worklog: Worklog) -> str:
    """Why, and what the platform advises; the command that mends it has a line of its own."""
    detail = worklog.ended.detail if worklog.ended else ""
    settle = worklog.last.settled if worklog.last else None
    hints = dict.fromkeys(fault.hint for fault in settle.faults if fault.hint) if settle else ()
    return one_line("; ".join((detail or "no reason was given", *hints)), 400)


def _owner(worklog: Worklog) -> str:
    run = worklog.run
    owner = one_line(run.owner, 80) if run.owner else "not named in the loop file"
    runbook = one_line(run.runbook, 200) if run.runbook else "none named"
    return f"{owner}, runbook: {runbook}" if run.owner or run.runbook else ""
