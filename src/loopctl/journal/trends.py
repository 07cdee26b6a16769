"""What the summaries of many runs say together, by loop and environment. Pure.

Only whole runs that ended count: partial, interrupted and locked ones, and those that go on or were
killed, say nothing of the loop. What is not known is None. docs/looking-back.md defines each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from loopctl.journal.history import RunSummary
from loopctl.journal.wording import iso

LEAST_GREENS = 4
"""From so many green runs on it is told how their duration moved."""

_NOT_COUNTED = ("interrupted", "locked")


@dataclass(frozen=True, slots=True)
class PassRate:
    """`rate` is the share of green runs of those that count, None where none does.

    `not_counted` says how many others there are, by why.
    """

    rate: float | None
    green: int
    counted: int
    not_counted: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Durations:
    """Seconds of `runs` green runs: the median, and the newer half's median less the older half's.

    `start_to_green_s` is the median time by the clock from a green run's start to its end, pauses
    before it was gone on with included. None: too few runs, or none that tells.
    """

    runs: int
    median_s: float | None
    moved_s: float | None
    start_to_green_s: float | None


@dataclass(frozen=True, slots=True)
class Flaky:
    """`runs` of those that count had a flaky case; `cases` in how many of them each was.

    `unnamed` runs have flaky cases that their summaries do not name, or not all of them.
    """

    runs: int
    cases: Mapping[str, int]
    unnamed: int


@dataclass(frozen=True, slots=True)
class TimeToGreen:
    """Seconds from the end of the first run that is not green after a green one to the next green.

    `median_s` and `longest_s` are of `times` such times. `open_since` is when that began which has
    not ended yet, None: the newest run that counts is green, or no green one is known before it.
    """

    times: int
    median_s: float | None
    longest_s: float | None
    open_since: str | None


@dataclass(frozen=True, slots=True)
class Streaks:
    """How many runs that count, one after the other, were not green: at most, and up to now.

    `now_green` are those that are green up to now.
    """

    longest_not_green: int
    now_not_green: int
    now_green: int


@dataclass(frozen=True, slots=True)
class Trend:
    """A loop on an environment. `verdicts` is of every run, the oldest first: a verdict, or what
    state it is in; `partial` tells which of them are.
    """

    loop: str
    environment: str
    runs: int
    verdicts: tuple[str, ...]
    partial: tuple[bool, ...]
    pass_rate: PassRate
    durations: Durations
    flaky: Flaky
    time_to_green: TimeToGreen
    streaks: Streaks


def trends(runs: Iterable[RunSummary]) -> tuple[Trend, ...]:
    """One of each loop and environment, in the order of `runs`, which are the newest first."""
    together: dict[tuple[str, str], list[RunSummary]] = {}
    for run in runs:
        if run.state != "unreadable":
            together.setdefault((run.loop, run.environment), []).append(run)
    return tuple(_trend(*key, each[::-1]) for key, each in together.items())


def _trend(loop: str, environment: str, oldest_first: Sequence[RunSummary]) -> Trend:
    counted = [run for run in oldest_first if why_not_counted(run) is None]
    return Trend(
        loop=loop,
        environment=environment,
        runs=len(oldest_first),
        verdicts=tuple(run.verdict or run.state for run in oldest_first),
        partial=tuple(run.partial for run in oldest_first),
        pass_rate=_pass_rate(oldest_first, counted),
        durations=_durations([run for run in counted if run.verdict == "green"]),
        flaky=_flaky(counted),
        time_to_green=_time_to_green(counted),
        streaks=_streaks([run.verdict == "green" for run in counted]),
    )


def why_not_counted(run: RunSummary) -> str | None:
    """In one word, None for a run that counts."""
    # One that was interrupted and is gone on with has the verdict of then.
    if run.state == "running":
        return "running"
    if run.verdict is None or run.state != "ended":
        return "killed"
    if run.verdict in _NOT_COUNTED:
        return run.verdict
    return "partial" if run.partial else None


def _pass_rate(runs: Sequence[RunSummary], counted: Sequence[RunSummary]) -> PassRate:
    greens = sum(run.verdict == "green" for run in counted)
    others = Counter(why for run in runs if (why := why_not_counted(run)) is not None)
    rate = round(greens / len(counted), 4) if counted else None
    return PassRate(rate, greens, len(counted), dict(others))


def _durations(greens: Sequence[RunSummary]) -> Durations:
    taken = [run.duration_s for run in greens if run.duration_s is not None]
    half = len(taken) // 2
    moved = median(taken[-half:]) - median(taken[:half]) if len(taken) >= LEAST_GREENS else None
    by_clock = [
        (ended - began).total_seconds()
        for run in greens
        if (began := _moment(run.started_at)) and (ended := _moment(run.ended_at))
    ]
    return Durations(len(taken), _median(taken), _rounded(moved), _median(by_clock))


def _flaky(counted: Sequence[RunSummary]) -> Flaky:
    cases = Counter(case for run in counted for case in run.flaky)
    numbers = [(_number(run.counts.get("flaky", 0)), len(run.flaky)) for run in counted]
    return Flaky(
        runs=sum(number > 0 for number, _ in numbers),
        cases=dict(cases.most_common()),
        unnamed=sum(number > named for number, named in numbers),
    )


def _time_to_green(counted: Sequence[RunSummary]) -> TimeToGreen:
    times: list[float] = []
    since: datetime | None = None
    known_green = False
    for run in counted:
        ended = _moment(run.ended_at)
        if run.verdict != "green":
            # What was before the oldest run that is looked at nobody knows.
            since = since or (ended if known_green else None)
            continue
        if since is not None and ended is not None:
            times.append((ended - since).total_seconds())
        since, known_green = None, True
    return TimeToGreen(
        times=len(times),
        median_s=_median(times),
        longest_s=_rounded(max(times)) if times else None,
        open_since=None if since is None else iso(since),
    )


def _streaks(greens: Sequence[bool]) -> Streaks:
    longest = now = now_green = 0
    for green in greens:
        now = 0 if green else now + 1
        now_green = now_green + 1 if green else 0
        longest = max(longest, now)
    return Streaks(longest, now, now_green)


def documents(found: Iterable[Trend]) -> Iterator[dict[str, object]]:
    """For `--json`."""
    for trend in found:
        yield {
            "loop": trend.loop,
            "environment": trend.environment,
            "runs": trend.runs,
            "verdicts": list(trend.verdicts),
            "partial": list(trend.partial),
            **{name: _plain(getattr(trend, name)) for name in _PARTS},
        }


_PARTS = ("pass_rate", "durations", "flaky", "time_to_green", "streaks")


def _plain(part: object) -> dict[str, object]:
    return {name: getattr(part, name) for name in part.__slots__}  # type: ignore[attr-defined]


def _moment(text: str | None) -> datetime | None:
    try:
        at = datetime.fromisoformat(text or "")
    except (ValueError, TypeError):
        return None
    return at if at.tzinfo is not None else None


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def _median(values: Sequence[float]) -> float | None:
    return _rounded(median(values)) if values else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
