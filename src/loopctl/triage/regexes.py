"""Regular expressions that a catalogue may hold: those that cannot run away.

Python's engine backtracks, so what makes that explode is refused: a repeat within a repeat, a
choice within a repeat, back-references, look-around, neighbouring open repeats that can match the
same text. Lines are cut at 4 kB besides.
"""

from __future__ import annotations

import importlib
import itertools
import re
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

# The standard library's own parser: guessing at the syntax would let something through. It has no
# public name since 3.11.
_sre: Any = importlib.import_module("re._parser")
_OPEN_ENDED: Final = 64
_MOST_OPEN: Final = 4
_LONGEST: Final = 500
_REPEATS: Final = ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT")
_REFUSED: Final = {
    "GROUPREF": "a back-reference",
    "GROUPREF_EXISTS": "a conditional group",
    "ASSERT": "look-around",
    "ASSERT_NOT": "look-around",
}


@cache
def compiled(pattern: str) -> re.Pattern[str]:
    """The compiled pattern; raises re.error where it is none."""
    return re.compile(pattern)


def problem_with(pattern: str) -> str | None:
    """Why a catalogue may not hold this pattern, None where it may."""
    if len(pattern) > _LONGEST:
        return f"longer than {_LONGEST} characters"
    try:
        tree = _sre.parse(pattern)
        compiled(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        return f"not a regular expression: {error}"
    nodes = list(_walk(tree, within=False))
    for name, within, argument in nodes:
        if name in _REFUSED:
            return f"{_REFUSED[name]} cannot be matched in linear time"
        if within and name == "BRANCH":
            return "a choice within a repeat can backtrack without end"
        if within and _is_open(name, argument):
            return "a repeat within a repeat can backtrack without end"
    if sum(_is_open(name, argument) for name, _, argument in nodes) > _MOST_OPEN:
        return f"more than {_MOST_OPEN} open repeats"
    return "two open repeats beside each other" if _has_neighbours(tree) else None


@cache
def required_literals(pattern: str) -> tuple[str, ...]:
    """Texts of which every match holds at least one, to look for first; empty: none are known."""
    tree = _sre.parse(pattern)
    return () if tree.state.flags & re.IGNORECASE else _literals(tree)


def _literals(tree: Any) -> tuple[str, ...]:
    """The best choice of texts in a row of nodes: the one whose shortest text is the longest."""
    choices: list[tuple[str, ...]] = []
    run = ""
    for operation, argument in _flat(tree, exact=True):
        name = str(operation)
        run = run + chr(argument) if name == "LITERAL" else ""
        if run:
            choices.append((run,))
        if name == "BRANCH":
            each = [_literals(alternative) for alternative in argument[1]]
            choices.append(tuple(text for texts in each for text in texts) if all(each) else ())
    return max(choices, key=lambda texts: min(map(len, texts), default=0), default=())


def _walk(tree: Any, within: bool) -> Iterator[tuple[str, bool, Any]]:
    """Every node: its name, whether it stands within an open repeat, its argument."""
    for operation, argument in tree:
        name = str(operation)
        yield name, within, argument
        for body in _bodies(name, argument):
            yield from _walk(body, within or _is_open(name, argument))


def _bodies(name: str, argument: Any) -> list[Any]:
    if name in _REPEATS:
        return [argument[2]]
    if name == "SUBPATTERN":
        return [argument[3]]
    if name == "ATOMIC_GROUP":
        return [argument]
    return list(argument[1]) if name == "BRANCH" else []


def _is_open(name: str, argument: Any) -> bool:
    return name in _REPEATS and int(argument[1]) > _OPEN_ENDED


def _has_neighbours(tree: Any) -> bool:
    """Whether two open repeats touch, groups seen through."""
    names = [
        "OPEN" if _is_open(str(operation), argument) else str(operation)
        for operation, argument in _flat(tree)
    ]
    return any(pair == ("OPEN", "OPEN") for pair in itertools.pairwise(names))


def _flat(tree: Any, exact: bool = False) -> Iterator[tuple[Any, Any]]:
    """The nodes in a row, groups opened; `exact`: but for those that ignore case."""
    for operation, argument in tree:
        if str(operation) == "SUBPATTERN" and not (exact and argument[1] & re.IGNORECASE):
            yield from _flat(argument[3], exact)
        else:
            yield operation, argument
