"""`triage LOOP`: one look at an environment, or one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loopctl import api
from loopctl.cli import output
from loopctl.cli.settings import Settings
from loopctl.cli.signals import interruptibly
from loopctl.errors import Problem, Stopped, UsageError
from loopctl.process import Stop

_LEAST_S = 1.0
_MOST_S = 86_400.0

if TYPE_CHECKING:
    _Shown = tuple[Callable[[api.Triaged], None], Callable[[], None]]


@dataclass(frozen=True, slots=True)
class Looking:
    """How an environment is looked at: `since` when, and again and again `every` so often."""

    since: str | None = None
    watch: bool = False
    every: str | None = None

    def named(self) -> Sequence[tuple[str, object]]:
        """The options with what was given."""
        return (("--since", self.since), ("--watch", self.watch), ("--every", self.every))

    def every_s(self) -> float:
        """Seconds between two looks; raises `UsageError`."""
        if self.every is None:
            return api.LOOK_EVERY_S
        seconds = api.duration(self.every)
        if not _LEAST_S <= seconds <= _MOST_S:
            problem = Problem(f"must be from 1s to 24h, not {self.every}", where="--every")
            raise UsageError("nothing was looked at", [problem])
        return seconds


def look(loop: str, env: str | None, looking: Looking, settings: Settings) -> int:
    """Look at the loop's environment; the exit code of the look, or of the signal that ended it."""
    every_s = looking.every_s()
    plan = api.load(loop, environment=env)
    if looking.watch:
        return _again(plan, looking, every_s, settings)
    triaged = interruptibly(
        lambda stop: api.triage(plan, runs_dir=settings.runs_dir, since=looking.since, stop=stop)
    )
    if settings.json:
        output.document(api.triaged_document(triaged))
    else:
        for line in api.triaged_lines(triaged):
            output.say(line)
    return triaged.exit_code


def _again(plan: api.Plan, looking: Looking, every_s: float, settings: Settings) -> int:
    """Until a signal, also where all is well: what was mended may break again."""

    def work(stop: Stop) -> None:
        looks = api.triage_again(
            plan, runs_dir=settings.runs_dir, since=looking.since, every_s=every_s, stop=stop
        )
        show, close = _documents() if settings.json else _view(settings)
        try:
            for triaged in looks:
                show(triaged)
                if not output.is_read():
                    return
        finally:
            close()

    try:
        interruptibly(work)
    except Stopped as stopped:
        return int(stopped.exit_code)
    return 0


def _view(settings: Settings) -> _Shown:
    view = api.look_view(quiet=settings.quiet, color=settings.color)
    return view, view.close


def _documents() -> _Shown:
    """A document a line, for each look that tells something new."""
    told: list[object] = []

    def show(triaged: api.Triaged) -> None:
        news = api.look_news(triaged)
        if told != [news]:
            output.line(api.triaged_document(triaged))
            told[:] = [news]

    return show, lambda: None
