"""Which view watches a run, and how its end is shown."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from loopctl import api
from loopctl.cli import output
from loopctl.cli.settings import Settings

STOPPING = "Ctrl-C stops the run, puts traffic back; loopctl watch shows it elsewhere"


@contextlib.contextmanager
def watching(
    settings: Settings, past: Iterable[api.Event] = (), hint: str = "", *, elsewhere: bool = False
) -> Iterator[Sequence[api.Subscriber]]:
    """The subscribers for one run: the view on stderr, and the event stream where asked for.

    `past` are the events of a run that is gone on with, `hint` what stands below a picture of it.
    `elsewhere`: it was brought here, and its services are not this machine's.
    """
    subscribers: list[api.Subscriber] = []
    if settings.events:
        subscribers.append(lambda event: output.line(api.event_document(event)))
    with contextlib.ExitStack() as open_views:
        if not settings.quiet:
            options = api.ViewOptions(
                verbose=settings.verbose,
                color=settings.color,
                # Lines on stdout would run through a picture, where both are one terminal.
                lines=settings.events and output.is_terminal(),
                job=settings.job,
                hint=hint,
                runs_dir=settings.runs_dir,
                elsewhere=elsewhere,
            )
            guarded = Guarded(api.view(options, past))
            open_views.callback(guarded.close)
            subscribers.append(guarded)
        yield subscribers


class Guarded:
    """A view whose faults are told once and harm no run: it only looks on."""

    def __init__(self, view: api.View) -> None:
        self._view = view
        self._failed = False

    def __call__(self, event: api.Event) -> None:
        """Hand the event on, unless the view has failed before."""
        if not self._failed:
            self._try(lambda: self._view(event))

    def close(self) -> None:
        """Close the view."""
        self._try(self._view.close)

    def _try(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - the run is worth more than its picture
            if not self._failed:
                # What is said on a picture's screen is gone with it.
                with contextlib.suppress(Exception):
                    self._view.close()
                output.warn(f"loopctl: the view has failed, the run goes on: {error!r}")
            self._failed = True


def ended(run: api.RunResult, settings: Settings) -> int:
    """What a person is shown when a run has ended, the result last; the exit code."""
    job = settings.job
    told = api.tell_job(job, run.worklog, run.folder) if job is not None else ()
    for problem in (*run.problems, *told):
        output.warn(f"loopctl: {problem}")
    result(run.worklog, run.folder, settings)
    return run.exit_code


def result(
    worklog: api.Worklog, folder: Path, settings: Settings, copy: api.FoundRun | None = None
) -> None:
    """The end of a run on stdout: the document where asked for, else the fifteen lines.

    `copy`: the run lies elsewhere, and what is to be typed next is asked of that.
    """
    if worklog.unrecognised:
        kinds = ", ".join(worklog.unrecognised)
        output.warn(
            f"loopctl: this version does not know some events of the journal ({kinds}) "
            "and leaves out what they say"
        )
    if settings.json:
        output.document(api.result_document(worklog))
    elif not settings.events:
        api.print_brief(worklog, folder, color=settings.color, job=settings.job, copy=copy)
