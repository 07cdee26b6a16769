"""Durations as people write them."""

from __future__ import annotations

import re

DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|s|m|h)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}

DURATION_RULE = "must be a duration with its unit: 250ms, 30s, 5m or 2h"


def duration(text: str) -> float:
    """Seconds in `250ms`, `30s`, `5m` or `2h`; `ValueError` says the rule."""
    match = DURATION.fullmatch(text)
    if not match:
        raise ValueError(DURATION_RULE)
    return round(float(match[1]) * _SECONDS[match[2]], 9)


def size(count: int) -> str:
    """Bytes as a loop file has them: `512Mi`."""
    for unit, name in ((1024**3, "Gi"), (1024**2, "Mi"), (1024, "Ki")):
        if count % unit == 0:
            return f"{count // unit}{name}"
    return f"{count} bytes"
