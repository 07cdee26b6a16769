"""What a case records in its `<properties>`: trace ids, measurements; and its time.

A property `traceparent` (W3C Trace Context, `00-<32 hex>-<16 hex>-<2 hex>`) is the trace that the
case sent its requests with: found in the target's own request log, it proves the case. A property
`loopctl.metric.NAME` is one measurement of NAME: a number, or a duration as `250ms`, then in
seconds. Both may stand several times.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence

from loopctl.evidence.criteria import OWN_SERIES
from loopctl.model.evidence import Sample
from loopctl.model.quantity import duration

Properties = Sequence[tuple[str, str]]

TRACE_PROPERTY = "traceparent"
METRIC_PREFIX = "loopctl.metric."
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_METRIC = re.compile(r"[A-Za-z0-9_]+(?:[.-][A-Za-z0-9_]+)*")
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_NO_TRACE = "0" * 32
_MOST_TRACES = 16
_MOST_CLAIMED = 200_000
_LONGEST_SECONDS = 10_000_000.0


class TraceClaims:
    """Which trace ids belong to one case alone.

    One that several cases claim tells nothing of any of them, nor does the suite's own, which the
    whole command finds in its environment; `foreign` are such ids.
    """

    def __init__(self, foreign: Sequence[str]) -> None:
        self._foreign = frozenset(foreign)
        self._claimed: Counter[str] = Counter()

    def note(self, properties: Properties) -> None:
        """Take note of what a case claims; every case must be noted before any is asked for."""
        if len(self._claimed) < _MOST_CLAIMED:
            self._claimed.update(frozenset(_traces(properties)))

    @property
    def shared(self) -> int:
        """How many ids several cases claim."""
        return sum(count > 1 for count in self._claimed.values())

    def of(self, properties: Properties) -> tuple[str, ...]:
        """The trace ids that are this case's alone."""
        mine = dict.fromkeys(t for t in _traces(properties) if self._claimed[t] == 1)
        return tuple(trace for trace in mine if trace not in self._foreign)


def traces_in(told: Iterable[str]) -> tuple[str, ...]:
    """The trace ids of texts that are a `traceparent` each; others are left out."""
    matches = (_TRACEPARENT.fullmatch(text.strip().lower()) for text in told)
    return tuple(match[1] for match in matches if match and match[1] != _NO_TRACE)


def _traces(properties: Properties) -> tuple[str, ...]:
    told = [value for name, value in properties if name == TRACE_PROPERTY]
    return traces_in(told[:_MOST_TRACES])


def spoken_samples(properties: Properties) -> tuple[tuple[Sample, ...], Sequence[str]]:
    """The measurements of a case, and those that cannot be taken, as `name=value`, not redacted.

    What bears the name of a series of loopctl's own cannot be taken either.
    """
    samples, wrong = [], []
    for name, value in properties:
        if name.startswith(METRIC_PREFIX):
            metric, number = name.removeprefix(METRIC_PREFIX), _measured(value.strip())
            if number is None or metric in OWN_SERIES or not _METRIC.fullmatch(metric):
                wrong.append(f"{name}={value!r}")
            else:
                samples.append(Sample(metric, number))
    return tuple(samples), wrong


def _measured(text: str) -> float | None:
    if len(text) < 40 and _NUMBER.fullmatch(text):
        number = float(text)
        return number if math.isfinite(number) else None
    try:
        return duration(text)
    except ValueError:
        return None


def seconds_of(text: str) -> float | None:
    """A `time` attribute: `0.12`, and as surefire has it in some locales `1,234.5` or `0,12`."""
    told = re.sub(r"[\s'_]", "", text)
    whole, mark, part = told.replace(",", ".").rpartition(".")
    number = f"{whole.replace('.', '')}{mark}{part}"
    if not _NUMBER.fullmatch(number) or number.startswith(("-", "+")):
        return None
    seconds = float(number)
    return seconds if seconds <= _LONGEST_SECONDS else None
