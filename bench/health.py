"""What is seen of a service, and how soon

Runs through `loopctl.api` with an event callback; service and callback read the same clock.

(b) The service notes the moment at which it listens and so could give its first healthy answer, and
the callback that at which it is given `health.judged`: written to the journal and synced. Between
the two lie the wait until the next look, the probe and the sync. The services start slowly, each by
another time between 0.1 and 1.3 s, so that no rhythm of looking is favoured.

(c) The service notes the moment at which it exits with 3, right at its start. The callback notes
when the failed HEALTH stage is told, and the caller when the run is over: evidence kept, diagnosed,
reports written. The suite is being collected when it dies.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator

from bench.project import ROOT, Project, project
from bench.table import Row, seconds
from bench.tiny import tiny
from bench.watched_run import Moment

PART = "bc"
_FIRST_ANSWERS = 9
_CRASHES = 5
_KNOWN_S = 0.06
_FAILED_S = 0.3
_ENDED_S = 1.5


def rows() -> Iterator[Row]:
    """The first healthy answer, and the crash."""
    with project("bench") as made:
        yield _first_answer(made)
    with project("bench") as made:
        yield from _crash(made)


def _first_answer(made: Project) -> Row:
    known = []
    for number in range(_FIRST_ANSWERS):
        tiny(made, after=0.1 + 0.15 * number)
        able, moments = _run(made)
        known.append(next(at for kind, _, at in moments if kind == "health.judged") - able)
    median = statistics.median(known)
    return Row(
        "b",
        f"first healthy answer → known, median of {_FIRST_ANSWERS}",
        seconds(median),
        f"the slowest {seconds(max(known))}",
        f"≤ {seconds(_KNOWN_S)}",
        median <= _KNOWN_S,
    )


def _crash(made: Project) -> Iterator[Row]:
    failed, ended = [], []
    tiny(made, crash=True, stable_for="2s")
    for _ in range(_CRASHES):
        died, moments = _run(made)
        failed.append(next(at for _, stage, at in moments if stage == "health") - died)
        ended.append(next(at for kind, _, at in moments if kind == "returned") - died)
    for step, several, limit in (
        ("failed health stage", failed, _FAILED_S),
        ("end of the run with its reports", ended, _ENDED_S),
    ):
        median = statistics.median(several)
        slowest = f"the slowest {seconds(max(several))}"
        what = f"crash at start → {step}, median of {_CRASHES}"
        yield Row("c", what, seconds(median), slowest, f"≤ {seconds(limit)}", median <= limit)


def _run(made: Project) -> tuple[float, list[Moment]]:
    """The moment that the service noted, and those of the run."""
    told = made.python("-m", "bench.watched_run", str(made.folder), made.loop, cwd=ROOT)
    moments = [(kind, stage, at) for kind, stage, at in json.loads(told)]
    return float((made.folder / "moment").read_text()), moments
