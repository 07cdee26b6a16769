"""Criteria against the samples of a cycle. Pure.

A metric is a series and an aggregate, `http.p95`: the last word is the aggregate if it is one of
`p50`, `p95`, `p99`, `max`, `min`, `mean`. Without one every sample must meet the limit, and the
value that is shown is the worst. `error_rate` is the mean of `error`; `suite.duration` has one
sample for each suite that was run. Percentiles are of the nearest rank: of n samples in order the
one at place ceil(p/100 · n), so that a percentile is always a sample that was measured.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import fmean
from typing import Final

from loopctl.model.evidence import CriterionJudgement, GradedCase, Sample
from loopctl.model.plan import Criterion
from loopctl.model.quantity import DURATION, duration

SUITE_DURATION: Final = "suite.duration"
ERRORS: Final = "error"
ERROR_RATE: Final = "error_rate"

Series = Mapping[str, Sequence[float]]
"""Samples by the name of their series."""

OWN_SERIES: Final = frozenset(
    {"http", "ws.connect", "ws.first_event", "ws.last_event", SUITE_DURATION, ERRORS}
)
"""What loopctl measures by itself: no test can add to it. The plugin has the same names."""

_NEAR: Final = 1e-9
"""How far apart, relative to the limit, two numbers may be that count as equal."""

_MOST_DIGITS: Final = 17


def series_of(cases: Iterable[GradedCase], durations_s: Iterable[float] = ()) -> Series:
    """All samples, by series; `durations_s` are those of the suites that were run.

    What is no finite number was not measured. The durations of suites are loopctl's own to
    measure: what a test calls `suite.duration` is left out.
    """
    found: dict[str, list[float]] = {}
    for case in cases:
        for sample in case.samples:
            if sample.metric != SUITE_DURATION and math.isfinite(sample.value):
                found.setdefault(sample.metric, []).append(sample.value)
    if durations := [seconds for seconds in durations_s if math.isfinite(seconds)]:
        found[SUITE_DURATION] = durations
    return found


def judge_criteria(criteria: Iterable[Criterion], series: Series) -> tuple[CriterionJudgement, ...]:
    """Each criterion, in the file's order; with too few samples it is neither met nor missed."""
    return tuple(_judge(criterion, series) for criterion in criteria)


def nearest_rank(ordered: Sequence[float], percent: int) -> float:
    """The percentile of samples in rising order, of which there is at least one."""
    return ordered[max(1, -(-percent * len(ordered) // 100)) - 1]


def is_measurable(metric: str) -> bool:
    """Whether anything can be measured under that name: no mistyped aggregate in it.

    Of a series of loopctl's own every name is known, of a test's own none.
    """
    name, aggregate = _parts(metric)
    if aggregate is not None or metric in OWN_SERIES or metric == ERROR_RATE:
        return True
    before, _, last = name.rpartition(".")
    return before not in OWN_SERIES and not re.fullmatch(r"p\d+|avg|median|count|sum", last)


def limit_fault(metric: str, limit: str) -> str | None:
    """What is wrong with such a limit on a series of loopctl's own; None of any other.

    A bare 500 is taken for seconds where milliseconds were meant, and 5 for a share: either is met
    whatever comes.
    """
    name, _ = _parts(metric)
    if name not in OWN_SERIES:
        return None
    is_duration = DURATION.fullmatch(limit) is not None
    if name != ERRORS:
        return None if is_duration else f"{metric} is a time: write its unit, as 500ms or 2s"
    share = not is_duration and 0 <= float(limit) <= 1
    return None if share else f"{metric} is a share, from 0 to 1"


def place_of(metric: str) -> str:
    """Where a quote of what was measured is from."""
    return f"criteria/{metric}"


def measured(judged: CriterionJudgement) -> str:
    """The value as people read it, in the unit of its limit; never rounded onto the limit."""
    return "not measured" if judged.value is None else _shown(judged.value, judged.limit)


def furthest(criterion: Criterion, measured_at: Iterable[tuple[str, Sample]]) -> str | None:
    """The sample that is the furthest from the limit, and whose: `2.31 s at chat: GET /slow`.

    None where there is no sample of that series. Of equal ones the first is told.
    """
    name, _ = _parts(criterion.metric)
    found: dict[float, str] = {}
    for place, sample in measured_at:
        if sample.metric == name and math.isfinite(sample.value):
            found.setdefault(sample.value, place)
    if not found:
        return None
    value = _worst(criterion, sorted(found))
    return f"{_shown(value, criterion.limit)} at {found[value]}"


def told(judged: CriterionJudgement) -> str:
    """One line: `criterion missed: http.p95 is 2.31 s, wanted <= 2s (200 samples)`."""
    if judged.met is None:
        least = f"{judged.min_samples} sample{_plural(judged.min_samples)}"
        return f"criterion undecided: {judged.metric} has {judged.samples} of at least {least}"
    word = "met" if judged.met else "missed"
    number = f"{judged.samples} sample{_plural(judged.samples)}"
    wanted = f"wanted {judged.op} {judged.limit}"
    return f"criterion {word}: {judged.metric} is {measured(judged)}, {wanted} ({number})"


def _shown(value: float, limit: str) -> str:
    is_duration = DURATION.fullmatch(limit) is not None
    return _near_the_limit(value, limit) + (" s" if is_duration else "")


def _plural(number: int) -> str:
    return "" if number == 1 else "s"


def _judge(criterion: Criterion, series: Series) -> CriterionJudgement:
    name, aggregate = _parts(criterion.metric)
    samples = sorted(series.get(name, ()))
    value = None
    if samples:
        value = _AGGREGATES[aggregate](samples) if aggregate else _worst(criterion, samples)
    met = None
    if value is not None and len(samples) >= criterion.min_samples:
        met = _holds(criterion, value)
    return CriterionJudgement(
        metric=criterion.metric,
        op=criterion.op,
        limit=criterion.limit,
        value=value,
        samples=len(samples),
        min_samples=criterion.min_samples,
        met=met,
    )


def _parts(metric: str) -> tuple[str, str | None]:
    if metric == ERROR_RATE:
        return ERRORS, "mean"
    name, _, last = metric.rpartition(".")
    return (name, last) if name and last in _AGGREGATES else (metric, None)


def _mean(samples: Sequence[float]) -> float:
    try:
        return fmean(samples)
    except OverflowError:
        # A test may record what it likes: the sum of two finite numbers need not be one.
        return math.fsum(sample / len(samples) for sample in samples)


# Each takes samples in rising order.
_AGGREGATES: Final[Mapping[str, Callable[[Sequence[float]], float]]] = {
    "p50": lambda ordered: nearest_rank(ordered, 50),
    "p95": lambda ordered: nearest_rank(ordered, 95),
    "p99": lambda ordered: nearest_rank(ordered, 99),
    "max": lambda ordered: ordered[-1],
    "min": lambda ordered: ordered[0],
    "mean": _mean,
}


def _worst(criterion: Criterion, ordered: Sequence[float]) -> float:
    """The sample that is the furthest from meeting the limit: if it does, all do."""
    match criterion.op:
        case "<" | "<=":
            return ordered[-1]
        case ">" | ">=":
            return ordered[0]
        case "==":
            return max(ordered, key=lambda sample: abs(sample - criterion.value))


def _holds(criterion: Criterion, value: float) -> bool:
    match criterion.op:
        case "<":
            return value < criterion.value
        case "<=":
            return value <= criterion.value
        case ">":
            return value > criterion.value
        case ">=":
            return value >= criterion.value
        case "==":
            # A mean of tenths is no tenth to the last bit.
            return math.isclose(value, criterion.value, rel_tol=_NEAR)


def _near_the_limit(value: float, limit: str) -> str:
    """Three digits, more where those would say that the value is the limit and it is not."""
    whole = len(f"{abs(value):.0f}")
    first = min(max(3, whole), _MOST_DIGITS)
    try:
        bound = duration(limit) if DURATION.fullmatch(limit) else float(limit)
    except ValueError:
        return f"{value:.{first}g}"
    for digits in range(first, _MOST_DIGITS):
        text = f"{value:.{digits}g}"
        if (float(text) > bound) - (float(text) < bound) == (value > bound) - (value < bound):
            return text
    return repr(value)
