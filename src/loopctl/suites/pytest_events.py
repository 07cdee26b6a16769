"""The plugin's events as values: the one place that knows their fields.

The events are described beside the plugin, in `loopctl/evidence/plugin`. Whatever a field holds,
nothing here raises: the events come from another process, which a test may have corrupted.
"""

from __future__ import annotations

import contextlib
import math
import re
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any, Literal

from loopctl.model.evidence import (
    Contact,
    Frame,
    HttpExchange,
    MockUse,
    PhaseRecord,
    Raised,
    Sample,
    TestPhase,
)
from loopctl.suites.spool import Event

# Folders that hold the suite's own code: pytest's root directory, and where pytest was started.
Roots = tuple[str, ...]

_FOREIGN_PARTS = frozenset({"site-packages", "dist-packages", ".venv", "venv", ".tox", ".nox"})
_GROUPS = frozenset({"ExceptionGroup", "BaseExceptionGroup"})
_METRIC = re.compile(r"[a-z][a-z0-9_.]{0,79}")
_CODE = re.compile(r"[0-9a-f]{64}")
_VIA: dict[str, Literal["c", "child"]] = {"c": "c", "child": "child"}
_OUTCOMES: dict[str, Literal["passed", "failed", "skipped"]] = {
    "passed": "passed",
    "failed": "failed",
    "skipped": "skipped",
}


def phase_of(event: Event, roots: Roots) -> PhaseRecord | None:
    """The phase that an event reports; None for one this version does not know."""
    name = _text(event.get("phase"))
    if name not in set(TestPhase):
        return None
    return PhaseRecord(
        phase=TestPhase(name),
        outcome=outcome_of(event) or "failed",
        duration_s=_number(event.get("duration_s")),
        trace=_text_or_none(event.get("trace")),
        own_traces=tuple(t for t in _list(event, "own_traces") if isinstance(t, str)),
        raised=raised_of(event.get("exc"), roots),
        wasxfail=_text_or_none(event.get("wasxfail")),
        longrepr=_text_or_none(event.get("longrepr")) or None,
        contacts=tuple(contact_of(c) for c in _dicts(event, "contacts")),
        exchanges=tuple(_exchange_of(e) for e in _dicts(event, "http")),
        mocks=tuple(
            MockUse(_text(m.get("what")), _text(m.get("how"))) for m in _dicts(event, "mocks")
        ),
        children=tuple(_text(c.get("name")) for c in _dicts(event, "children")),
        began=moment_of(event.get("began")),
        ended=moment_of(event.get("t")),
    )


def outcome_of(event: Event) -> Literal["passed", "failed", "skipped"] | None:
    """The outcome an event names, None when it is none of pytest's own three."""
    return _OUTCOMES.get(_text(event.get("outcome")))


def raised_of(exc: Any, roots: Roots) -> Raised | None:
    """An exception; of a group, its first member, which says more than the group does."""
    if not isinstance(exc, dict):
        return None
    if _text(exc.get("type")) in _GROUPS:
        members = [c for c in _dicts(exc, "chained") if c.get("relation") == "group"]
        exc = members[0] if members else exc
    return Raised(
        type=_text(exc.get("type")),
        message=_text(exc.get("message")),
        frames=tuple(_frame_of(frame, roots) for frame in _dicts(exc, "frames")),
    )


def contact_of(value: Event) -> Contact:
    """One connection, or several alike added up."""
    return Contact(
        host=_text(value.get("host")),
        port=int(_number(value.get("port"))),
        target=_text_or_none(value.get("target")),
        loopback=value.get("loopback") is True,
        sent=_count(value.get("sent")),
        received=_count(value.get("received")),
        reused=value.get("reused") is True,
        failed=_text_or_none(value.get("failed")),
        local_ports=tuple(p for p in _list(value, "local_ports") if isinstance(p, int)),
        via=_VIA.get(_text(value.get("via")), "python"),
    )


def samples_of(event: Event) -> tuple[Sample, ...]:
    """What the test measured in this phase; what no name or no finite number is, is left out."""
    pairs = [each for each in _list(event, "samples") if isinstance(each, list) and len(each) == 2]
    return tuple(
        Sample(name, float(value))
        for name, value in pairs
        if isinstance(name, str) and _METRIC.fullmatch(name) and _is_finite(value)
    )


def code_of(event: Event) -> str | None:
    """The hash of the test's code and fixtures, None where the event has none."""
    code = _text(event.get("code"))
    return code if _CODE.fullmatch(code) else None


def output_of(event: Event) -> str:
    """What the phase printed, each channel under its name."""
    sections = event.get("sections")
    if not isinstance(sections, dict):
        return ""
    return "".join(f"--- {name} ---\n{_text(text)}\n" for name, text in sections.items() if text)


def moment_of(told_at: object) -> datetime | None:
    """Seconds since the epoch as UTC; None for what is no such number."""
    if isinstance(told_at, int | float):
        with contextlib.suppress(ValueError, OverflowError, OSError):
            return datetime.fromtimestamp(told_at, UTC)
    return None


def _exchange_of(value: Event) -> HttpExchange:
    return HttpExchange(
        target=_text_or_none(value.get("target")),
        method=_text(value.get("method")),
        path=_text(value.get("path")),
        status=_count(value.get("status")),
    )


def _frame_of(value: Event, roots: Roots) -> Frame:
    return Frame(
        file=_relative_if_own(_text(value.get("file")), roots),
        line=int(_number(value.get("line"))),
        function=_text(value.get("function")),
        text=_text(value.get("text")),
    )


def _relative_if_own(file: str, roots: Roots) -> str:
    """Relative to its root for the suite's own code, else as it is: `evidence.blame` reads that."""
    path = PurePosixPath(file)
    root = next((root for root in roots if path.is_relative_to(root)), None)
    inside = path.relative_to(root) if root else path
    return file if root is None or _FOREIGN_PARTS.intersection(inside.parts) else str(inside)


def _list(event: Event, key: str) -> list[Any]:
    value = event.get(key)
    return value if isinstance(value, list) else []


def _dicts(event: Event, key: str) -> list[Event]:
    return [each for each in _list(event, key) if isinstance(each, dict)]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _text_or_none(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: Any) -> float:
    return float(value) if _is_finite(value) else 0.0


def _is_finite(value: Any) -> bool:
    with contextlib.suppress(OverflowError):  # an integer beyond any float
        return isinstance(value, int | float) and math.isfinite(value)
    return False


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
