"""What a green run showed, as JSON: templates in a table, each revision named once."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from typing import Any, Final

from loopctl.model.baseline import Baseline, Seen

MOST_TEMPLATES: Final = 20_000
"""Templates of one service in one record."""

MOST_CHARACTERS: Final = 3 << 20
"""Characters of all templates of a record, and of the shapes of its messages."""


def to_json(green: Baseline) -> Mapping[str, object]:
    """The baseline within its bounds."""
    kept = green.bounded(MOST_TEMPLATES, MOST_CHARACTERS)
    return {
        "version": kept.version,
        "services": {
            service: {
                "lines": kept.lines.get(service, 0),
                "seconds": round(kept.seconds.get(service, 0.0), 3),
                **_table(seen),
            }
            for service, seen in kept.templates.items()
        },
        "health_ms": {name: [round(ms, 3) for ms in all_] for name, all_ in kept.health_ms.items()},
        "traffic": {name: dict(shares) for name, shares in kept.traffic.items()},
        "shapes": _bounded(kept.shapes),
    }


def from_json(of: Any) -> Baseline:  # Any: JSON; every field is checked where it is read
    """What `to_json` wrote; raises `ValueError`, `TypeError`, `KeyError`, … for anything else."""
    services = dict(of["services"])
    return Baseline(
        {name: _seen(each) for name, each in services.items()},
        {name: _whole(each["lines"]) for name, each in services.items()},
        {name: _number(each["seconds"]) for name, each in services.items()},
        {name: tuple(map(_number, all_)) for name, all_ in dict(of["health_ms"]).items()},
        {
            name: {revision: _whole(share) for revision, share in dict(shares).items()}
            for name, shares in dict(of["traffic"]).items()
        },
        {name: _text(shape) for name, shape in dict(of["shapes"]).items()},
        _whole(of["version"]),
    )


def _table(seen: Mapping[str, Seen]) -> Mapping[str, object]:
    revisions = {
        name: n for n, name in enumerate(dict.fromkeys(s.first_seen for s in seen.values()))
    }
    rows = [[template, s.count, revisions[s.first_seen]] for template, s in seen.items()]
    return {"revisions": list(revisions), "templates": rows}


def _seen(of: Mapping[str, Any]) -> Mapping[str, Seen]:
    revisions = [_text(name) for name in of["revisions"]]
    # Green runs say the same: one text for all of their records.
    return {
        sys.intern(_text(template)): Seen(_whole(count), revisions[_whole(first)])
        for template, count, first in of["templates"]
    }


def _bounded(shapes: Mapping[str, str]) -> Mapping[str, str]:
    """Those of the first suites, whole: half a shape is none."""
    kept, left = {}, MOST_CHARACTERS
    for suite, shape in shapes.items():
        if len(shape) <= left:
            kept[suite] = shape
            left -= len(shape)
    return kept


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise TypeError("no number of anything")
    return value


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TypeError("no number")
    return float(value)
