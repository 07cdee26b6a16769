"""A run as people and programs see it."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from loopctl.journal.worklog import Worklog
from loopctl.model.ci_job import CiJob
from loopctl.model.events import Event, RunStarted

if TYPE_CHECKING:
    from loopctl.api.grading import GradeReport
    from loopctl.console.live import Tail
    from loopctl.console.triage_view import LookView
    from loopctl.console.view import View
    from loopctl.journal.artefacts import FoundRun
    from loopctl.triage.triaged import Triaged


@dataclass(frozen=True, slots=True)
class ViewOptions:
    """How a run is to be shown.

    In a CI `job` it is folded as that one's system does it. Elsewhere it is animated on a terminal
    that can, unless every step is asked for (`verbose`), `lines` are or `color` is refused. `hint`
    stands below an animated one all the time. `runs_dir` is where its runs are kept, None: in
    their projects. Of a run that was made `elsewhere` no service of this machine is listened to.
    """

    verbose: bool = False
    color: bool = True
    lines: bool = False
    job: CiJob | None = None
    hint: str = ""
    runs_dir: Path | None = None
    elsewhere: bool = False


def view(options: ViewOptions, past: Iterable[Event] = ()) -> View:
    """A view of a run on stderr: subscribe it, and close it at the end.

    An animated one shows the whole run: `past` are the events of a run that is gone on with.
    """
    from loopctl.console.output import wants_colour

    if options.job is not None:
        from loopctl.console.ci_view import CiView

        return CiView(options.job.system, sys.stderr, verbose=options.verbose)
    animated = wants_colour(sys.stderr, no_color=not options.color)
    if animated and not (options.verbose or options.lines):
        from loopctl.console.live import LiveView

        def tail_of(run: RunStarted) -> Tail | None:
            # What a stranger's journal names is not looked for here.
            return None if options.elsewhere else _tail_of(run, options.runs_dir)

        live = LiveView(sys.stderr, hint=options.hint, tail_of=tail_of)
        for event in past:
            live(event)
        return live
    from loopctl.console.plain import PlainView

    return PlainView(sys.stderr, verbose=options.verbose)


def _tail_of(run: RunStarted, runs_dir: Path | None) -> Tail | None:
    """What services of this machine say; reading others' logs would cost the run of its quota."""
    if run.platform not in ("local", "docker"):
        return None
    from loopctl.api.places import RUNS_DIR
    from loopctl.bootstrap.log_tail import LogTail

    root = Path(run.root)
    return LogTail(root, run.environment, runs_dir or root / RUNS_DIR)


def give_back_terminal() -> None:
    """Leave the terminal as it was found, for a process that is about to end or to be stopped.

    Safe in a signal handler. A view that is still open takes the terminal again when it can.
    """
    screen = sys.modules.get("loopctl.console.screen")
    if screen is not None:
        screen.give_back()


def print_brief(
    worklog: Worklog,
    folder: Path,
    *,
    color: bool,
    job: CiJob | None = None,
    copy: FoundRun | None = None,
) -> None:
    """The fifteen lines, on stdout; inert in the log of a CI `job`, too.

    Of a `copy` of a run what to type next is about that, not about where the run was made.
    """
    from loopctl.console.brief_view import print_brief as show
    from loopctl.console.output import wants_colour
    from loopctl.journal.brief import brief

    made = brief(worklog, as_typed(folder))
    show(
        made if copy is None else made.of_copy(copy.ref, report=not copy.packed),
        sys.stdout,
        colour=job is None and wants_colour(sys.stdout, no_color=not color),
        in_ci=job is not None,
    )


def result_document(worklog: Worklog) -> Mapping[str, object]:
    """What `result.json` holds, schema 1; of a run that goes on, what there is so far."""
    from loopctl.reports.result import result_document as document

    return document(worklog)


def grade_document(report: GradeReport) -> Mapping[str, object]:
    """What `grade` found: its targets, and the suite as `result.json` has one."""
    from loopctl.journal.worklog import SuiteRecord
    from loopctl.model.events import SuiteFacts
    from loopctl.reports.result_suites import suite_document

    facts = SuiteFacts("grade", "grade", "P0", "pytest", "verify", report.request.require.value)
    record = SuiteRecord(
        facts,
        collected=report.judgement.collected,
        cases=report.cases,
        judgement=report.judgement,
        end=report.end,
    )
    return {
        "schema": 1,
        "targets": dict(report.targets),
        "require": report.request.require.value,
        "exit_code": report.exit_code,
        "suite": suite_document(record),
    }


def event_document(event: Event) -> Mapping[str, object]:
    """An event as the journal stores it: `kind`, `seq`, `at`, `ran`, where it belongs, `data`."""
    from loopctl.journal.codec import to_json

    return to_json(event)


def as_typed(folder: Path) -> Path:
    """The folder as a person in the working directory would type it."""
    try:
        return folder.relative_to(Path.cwd())
    except ValueError:
        return folder


def triaged_document(triaged: Triaged) -> dict[str, object]:
    """What `triage --json` prints, as the contract has it."""
    from loopctl.reports.triaged_json import triaged_document as document

    return document(triaged)


def triaged_lines(triaged: Triaged) -> tuple[str, ...]:
    """What `triage` shows a person; the first fifteen lines say all that matters. Inert."""
    from loopctl.reports.triaged_text import triaged_lines as lines

    return lines(triaged)


def look_view(*, quiet: bool, color: bool) -> LookView:
    """A view of `triage_again` on stdout: drawn again on a terminal, else a line for each change.

    `quiet`: without the sign of life that stderr is given every minute.
    """
    from loopctl.console.output import wants_colour
    from loopctl.console.triage_view import LineView, ScreenView

    if wants_colour(sys.stdout, no_color=not color):
        return ScreenView(sys.stdout)
    return LineView(sys.stdout, None if quiet else sys.stderr)


def look_news(triaged: Triaged) -> tuple[object, ...]:
    """Equal for two looks that tell a person the same."""
    from loopctl.reports.triaged_watch import news_of

    return news_of(triaged)
