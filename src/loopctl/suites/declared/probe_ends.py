"""How a declarative suite ends."""

from __future__ import annotations

from collections.abc import Sequence

from loopctl.model.evidence import SuiteEnd

_NAMED = 3


def end_of(
    *,
    count: int,
    not_started: Sequence[str],
    missing: Sequence[str],
    duration_s: float,
    stopped: str | None,
    notes: tuple[str, ...],
) -> SuiteEnd:
    """The end of a suite of `count` cases.

    `missing` are those that were to be run again and are not of this suite.
    """
    details = []
    if not_started:
        details.append(f"{len(not_started)} never started: {_named(not_started)}")
    if missing:
        details.append(f"{len(missing)} to be run again, not in this suite: {_named(missing)}")
    return SuiteEnd(
        complete=stopped is None and not details,
        exit_code=None,
        duration_s=duration_s,
        collected=count,
        deselected=0,
        stopped=stopped,
        detail="; ".join(details),
        notes=notes,
    )


def _named(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
