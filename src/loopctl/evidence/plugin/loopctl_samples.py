"""Metrics that tests record, out of their user properties.

`record_property("loopctl.metric.cart.total", 0.25)` is one. A neighbour of `loopctl_evidence.py`:
standard library only, Python >= 3.8. PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import math
import re
from typing import Any

_PREFIX = "loopctl.metric."
_NAME = re.compile(r"[a-z][a-z0-9_.]{0,79}")
_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|s|m|h)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_MOST = 1000
_OF_LOOPCTL = frozenset(
    ("http", "ws.connect", "ws.first_event", "ws.last_event", "suite.duration", "error")
)


class Samples:
    """What each test has recorded so far; every entry of its properties counts once."""

    def __init__(self) -> None:
        self._test = ""
        self._read = 0
        self._kept = 0

    def fresh(self, test: str, properties: Any) -> tuple[list[tuple[str, float]], list[str]]:
        """The samples since the last phase of this test, and what is wrong with the others."""
        if test != self._test:
            self._test, self._read, self._kept = test, 0, 0
        entries = list(properties)[self._read :]
        self._read += len(entries)
        samples: list[tuple[str, float]] = []
        wrong: list[str] = []
        for key, value in (each for each in entries if _is_metric(each)):
            name, number = key[len(_PREFIX) :], _number(value)
            if not _NAME.fullmatch(name):
                wrong.append(f"{key[:120]!r} is no name of a metric: a-z first, then a-z 0-9 _ .")
            elif name in _OF_LOOPCTL:
                wrong.append(f"{key}: {name} is loopctl's own to measure, choose another name")
            elif number is None:
                said = repr(value[:80]) if isinstance(value, str) else type(value).__name__
                wrong.append(f"{key} is {said}: no finite number, no duration such as 250ms")
            elif self._kept >= _MOST:
                wrong.append(f"{key}: a test can record {_MOST} samples, the rest is left out")
                break
            else:
                self._kept += 1
                samples.append((name, number))
        return samples, wrong


def _is_metric(entry: Any) -> bool:
    pair = isinstance(entry, (tuple, list)) and len(entry) == 2
    return pair and isinstance(entry[0], str) and entry[0].startswith(_PREFIX)


def _number(value: Any) -> float | None:
    """A number as it is, a duration in seconds; None for anything else."""
    if isinstance(value, str):
        match = _DURATION.fullmatch(value)
        return round(float(match[1]) * _SECONDS[match[2]], 9) if match else None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
