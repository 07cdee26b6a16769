"""An exception as the stream tells it: its text, its frames, and those that led to it.

A neighbour of `loopctl_evidence.py`: standard library only, Python >= 3.8. PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import linecache
import os
import traceback
from typing import TYPE_CHECKING

from loopctl_text import clean

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_MOST_FRAMES = 40
_MOST_CHAINED = 6
_HERE = os.path.dirname(__file__) + os.sep  # noqa: PTH120 - as frames have it


def described(problem: BaseException) -> dict[str, object]:
    """An exception with its frames, innermost last, and those that led to it."""
    outermost, seen = _one_exception(problem), {id(problem)}
    chained: list[dict[str, object]] = []
    queue: list[tuple[str, BaseException | None]] = [*_led_to(problem)]
    while queue and len(chained) < _MOST_CHAINED:
        relation, each = queue.pop(0)
        if each is not None and id(each) not in seen:
            seen.add(id(each))
            chained.append({"relation": relation, **_one_exception(each)})
            queue.extend(_led_to(each))
    return {**outermost, "chained": chained}


def _led_to(problem: BaseException) -> Iterator[tuple[str, BaseException | None]]:
    for member in getattr(problem, "exceptions", None) or ():
        if isinstance(member, BaseException):
            yield "group", member
    if problem.__cause__ is not None:
        yield "cause", problem.__cause__
    elif not problem.__suppress_context__:
        yield "context", problem.__context__


def _one_exception(problem: BaseException) -> dict[str, object]:
    kind = type(problem)
    frames = [
        _frame(frame, line)
        for frame, line in traceback.walk_tb(problem.__traceback__)
        if not frame.f_code.co_filename.startswith(_HERE)
    ]
    return {
        "type": kind.__name__,
        "qualified": f"{kind.__module__}.{kind.__qualname__}",
        "message": clean(problem, 6000, 2000),
        "frames": frames[-_MOST_FRAMES:],
    }


def _frame(frame: FrameType, line: int) -> dict[str, object]:
    file = frame.f_code.co_filename
    text = linecache.getline(file, line, frame.f_globals).strip()
    name = clean(frame.f_code.co_name, 200)
    return {"file": clean(file, 500), "line": line, "function": name, "text": clean(text, 200)}
