"""What keeps a fault of the plugin's own from the tests: it is reported instead.

A neighbour of `loopctl_evidence.py`: standard library only, Python >= 3.8. PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_report: Callable[[str, BaseException], None] | None = None


def report_to(report: Callable[[str, BaseException], None] | None) -> None:
    """Say who is told of faults from now on: where one came up, and what; None: nobody."""
    global _report  # noqa: PLW0603 - the one session this process records
    _report = report


def guarded(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function answer None instead of raising: no fault of ours may reach a test."""

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except Exception as problem:  # noqa: BLE001 - whatever it is, it is not the test's
            if _report is not None:
                _report(function.__qualname__, problem)
            return None

    return run
