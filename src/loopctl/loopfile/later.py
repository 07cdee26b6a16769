"""Keys whose behaviour comes with later work: a table, from which that work deletes its row.

`validate` accepts them; `plan` and `run` refuse them, so that nothing is silently ignored. Only
the chosen environment counts. Keys that say in the loop file's documentation that they are for
another platform (`cpu`, `memory`, `cloud_run`, `build.with`, …) are not listed: in a file for
several environments they are meant for the others, and on local there is nothing to apply.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from loopctl.errors import Problem
from loopctl.loopfile.chosen import Chosen
from loopctl.loopfile.marks import Mark, quoted
from loopctl.loopfile.nodes import Node, Scalar, Sequence, Table
from loopctl.loopfile.problems import Problems

_HINT = "take the key away, or wait for the version that has it"


@dataclass(frozen=True, slots=True)
class Later:
    """A key by its path, `*` for any name or item.

    Null, empty and `now` values are had today.
    """

    path: str
    now: tuple[str, ...] = ()


LATER = (Later("suites.*.executor", ("local",)),)


def later_keys(chosen: Chosen, problems: Problems) -> tuple[Problem, ...]:
    """Every key given whose behaviour this version does not have, in the order of the table."""
    found: list[Problem] = []
    for rule in LATER:
        first, *rest = rule.path.split(".")
        root: Node | None = chosen.place if first == "environment" else chosen.document.get(first)
        mark = _key_mark(chosen.document, first)
        for at, node in _at(root, rest, mark):
            if _is_given(node, rule):
                message = (
                    f'"{rule.path.split(".")[-1]}"{_of(node, rule)} comes with a later version'
                )
                found.append(problems.problem(at, message, _HINT))
    return tuple(found)


def _key_mark(table: Table, key: str) -> Mark:
    entry = table.entries.get(key)
    return entry.mark if entry else table.mark


def _at(node: Node | None, path: list[str], mark: Mark) -> Iterator[tuple[Mark, Node]]:
    if node is None:
        return
    if not path:
        yield mark, node
    elif path[0] == "*":
        for at, below in _all(node):
            yield from _at(below, path[1:], at)
    elif isinstance(node, Table) and path[0] in node.entries:
        entry = node.entries[path[0]]
        yield from _at(entry.value, path[1:], entry.mark)


def _all(node: Node) -> Iterator[tuple[Mark, Node]]:
    if isinstance(node, Sequence):
        yield from ((item.mark, item) for item in node.items)
    elif isinstance(node, Table):
        yield from ((entry.mark, entry.value) for entry in node.named())


def _is_given(node: Node, rule: Later) -> bool:
    match node:
        case Scalar():
            return not (node.is_null or node.text in rule.now)
        case Sequence():
            return bool(node.items)
        case Table():
            # With values that are had today, the map itself is judged by the rules below it.
            return bool(node.entries) and not rule.now


def _of(node: Node, rule: Later) -> str:
    """The value, where it is one of a few words."""
    return f" {quoted(node.text, 20)[1:-1]}" if isinstance(node, Scalar) and rule.now else ""
