"""Waiting and trying again."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def wait_until(
    probe: Callable[[], Any], timeout: float = 3, every: float = 0.05, what: str = "it"
) -> Any:
    """What `probe` answered when it was first true; TimeoutError when that never was."""
    deadline = time.monotonic() + timeout
    while True:
        found = probe()
        if found:
            return found
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not happen in {timeout} s; last seen: {found!r}")
        time.sleep(every)


def retry(
    attempts: int = 3, wait: float = 0.02, on: type[Exception] = AssertionError
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Call again after `on`, and raise the last one, as tenacity does with `reraise`."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def again(*args: P.args, **kwargs: P.kwargs) -> R:
            for attempt in range(1, attempts + 1):
                try:
                    return function(*args, **kwargs)
                except on:
                    if attempt == attempts:
                        raise
                    time.sleep(wait * attempt)
            raise RuntimeError("no attempts were asked for")

        return again

    return decorate
