"""Which view watches a run, and how its end is shown."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from loopctl import api
from loopctl.cli import output
from loopctl.cli.settings import Settings


@contextlib.contextmanager
def watching(settings: Settings) -> Iterator[Sequence[api.Subscriber]]:
    """The subscribers for one run: the view on stderr, and the event stream where asked for."""
    subscribers: list[api.Subscriber] = []
    if settings.events:
        subscribers.append(lambda event: output.line(api.event_document(event)))
    with contextlib.ExitStack() as open_views:
        if not settings.quiet:
            view = api.view(verbose=settings.verbose, color=settings.color)
            open_views.callback(view.close)
            subscribers.append(view)
        yield subscribers


def result(worklog: api.Worklog, folder: Path, settings: Settings) -> None:
    """The end of a run on stdout: the document where asked for, else the fifteen lines."""
    if settings.json:
        output.document(api.result_document(worklog))
    elif not settings.events:
        api.print_brief(worklog, folder, color=settings.color)
