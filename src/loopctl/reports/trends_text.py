"""What earlier runs were like, for a person: a line a run, a few lines a trend. Inert."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from loopctl.inert import for_terminal, one_line
from loopctl.journal.history import RunSummary
from loopctl.journal.trends import Trend
from loopctl.journal.wording import count, seconds, utc

_MOST_TRENDS = 8
_MOST_RUNS = 60
_MOST_CASES = 3
_LONGEST = 400
_INDENT = "    "

_BLOCKS: Mapping[str, str] = {
    "green": "█",
    "unproven": "▅",
    "red": "▃",
    "undelivered": "▁",
    "preflight": "▁",
    "internal": "▁",
}
_LETTERS: Mapping[str, str] = {
    "green": "G",
    "unproven": "u",
    "red": "r",
    "undelivered": "x",
    "preflight": "x",
    "internal": "x",
}


def run_line(run: RunSummary) -> str:
    """A run in one line: its name, verdict, environment, seconds, how many cases passed."""
    verdict = run.verdict or run.state
    taken = "" if run.duration_s is None else f"{run.duration_s:8.1f} s"
    cases = cases_told(run.counts) if run.counts else ""
    partial = "PARTIAL" if run.partial else ""
    columns = f"{run.run_id:44} {verdict:12} {run.environment:10} {taken:>10}  {cases}  {partial}"
    return for_terminal(columns.rstrip())[:_LONGEST]


def cases_told(counts: Mapping[str, int]) -> str:
    """How many of the cases passed; `counts` by status, and `collected`."""
    # What was collected is no result: a run that never came to its tests has none.
    if not any(number for name, number in counts.items() if name != "collected"):
        return "no case was run"
    return f"{counts.get('passed', 0)}/{counts.get('collected', 0)} passed"


def trend_lines(trends: Sequence[Trend], *, encoding: str | None) -> Iterator[str]:
    """Of each loop and environment that has two runs or more; `encoding` is the terminal's."""
    told = [trend for trend in trends if trend.runs > 1]
    for trend in told[:_MOST_TRENDS]:
        yield ""
        yield f"{_who(trend)}: {sparkline(trend, encoding)} (the oldest first)"
        yield from (f"{_INDENT}{line}" for line in _lines(trend))
    if len(told) > _MOST_TRENDS:
        others = count(len(told) - _MOST_TRENDS, "loop or environment", "loops and environments")
        yield f"… and {others} more: --loop, --env"


def sparkline(trend: Trend, encoding: str | None) -> str:
    """A character a run, the oldest first: the higher, the nearer to green; `·` does not count.

    Letters where the terminal has no such characters: G, u, r, x and a dot.
    """
    marks, other = (_BLOCKS, "·") if _draws(encoding) else (_LETTERS, ".")
    drawn = [
        other if partial else marks.get(verdict, other)
        for verdict, partial in zip(trend.verdicts, trend.partial, strict=True)
    ]
    cut = "…" if _draws(encoding) else "..."
    return f"{cut if len(drawn) > _MOST_RUNS else ''}{''.join(drawn[-_MOST_RUNS:])}"


def _draws(encoding: str | None) -> bool:
    try:
        "█·…".encode(encoding or "ascii")
    except (LookupError, UnicodeEncodeError):
        return False
    return True


def _who(trend: Trend) -> str:
    return f"{one_line(trend.loop, 80)} on {one_line(trend.environment, 60)}"


def _lines(trend: Trend) -> Iterator[str]:
    yield f"{_rate(trend)}; {_now(trend)}"
    if trend.pass_rate.counted:
        yield f"{_duration(trend)}; {_recovery(trend)}"
    if trend.flaky.runs:
        yield _flaky(trend)


def _rate(trend: Trend) -> str:
    told = trend.pass_rate
    others = ", ".join(f"{number} {why}" for why, number in told.not_counted.items())
    left_out = f", not counted: {others}" if others else ""
    if told.rate is None:
        return f"pass rate unknown: no whole run has ended{left_out}"
    whole = count(told.counted, "whole run")
    return f"pass rate {told.rate:.0%} ({told.green} of {whole}{left_out})"


def _now(trend: Trend) -> str:
    streaks = trend.streaks
    longest = f"longest not green: {count(streaks.longest_not_green, 'run')}"
    if streaks.now_green:
        return f"green for {count(streaks.now_green, 'run')}, {longest}"
    if streaks.now_not_green:
        return f"not green for {count(streaks.now_not_green, 'run')}, {longest}"
    return longest


def _duration(trend: Trend) -> str:
    told = trend.durations
    if told.median_s is None:
        return "duration unknown: no green run"
    by_clock = told.start_to_green_s or told.median_s
    # Runs that were interrupted and gone on with took longer than they ran.
    clock = f", {seconds(by_clock)} by the clock" if by_clock > told.median_s + 1 else ""
    said = f"duration {seconds(told.median_s)} (median of {told.runs} green{clock})"
    if told.moved_s is None:
        return said
    longer = "longer" if told.moved_s > 0 else "shorter"
    return f"{said}, the newer half {seconds(abs(told.moved_s))} {longer}"


def _recovery(trend: Trend) -> str:
    told = trend.time_to_green
    still = f", not green since {_time(told.open_since)}" if told.open_since else ""
    if told.median_s is None:
        return f"time to green unknown: no green after a failure here{still}"
    times = f"median of {told.times}, longest {seconds(told.longest_s)}"
    return f"time to green {seconds(told.median_s)} ({times}){still}"


def _time(moment: str) -> str:
    return utc(datetime.fromisoformat(moment))


def _flaky(trend: Trend) -> str:
    told = trend.flaky
    named = [f"{one_line(case, 120)} ({runs})" for case, runs in told.cases.items()]
    more = f", and {len(named) - _MOST_CASES} more" if len(named) > _MOST_CASES else ""
    unnamed = f"; {count(told.unnamed, 'run')} with others, unnamed" if told.unnamed else ""
    which = f": {', '.join(named[:_MOST_CASES])}{more}" if named else ""
    return f"flaky in {count(told.runs, 'run')}{which}{unnamed}"
