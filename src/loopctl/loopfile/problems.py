"""Collects what is wrong with a loop file, to say all of it at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from loopctl.errors import Problem, UsageError
from loopctl.loopfile.marks import Mark, Source, excerpt, shown_path
from loopctl.loopfile.nodes import Node, Scalar, Sequence, Table, scalars

_SECRETS_KEY = re.compile(r"""(?:^|[\s{,"'])(?:secrets|token|notify)["']?\s*:""")
_SECRET = frozenset({"secrets", "token"})
_ANY_KEY = re.compile(r"""\s*["']?[\w-]+["']?\s*:""")


@dataclass(frozen=True, slots=True)
class _Remark:
    mark: Mark
    message: str
    hint: str | None


class Problems:
    """Every problem found so far, each once, in the order of the files and their lines.

    Values below a key `secrets` or `token`, and the URLs of `notify`, are never part of an excerpt,
    once `conceal` has seen the tree.
    """

    def __init__(self) -> None:
        self._remarks: dict[tuple[Path, int, int, str], _Remark] = {}
        self._files: dict[Path, int] = {}
        self._masks: dict[tuple[Path, int], set[tuple[int, int]]] = {}
        # Nodes, not bare ids: an id may be used again once its node is gone.
        self._secret: dict[int, Scalar] = {}

    def add(self, mark: Mark, message: str, hint: str | None = None) -> None:
        """Note a problem at a place."""
        key = (mark.source.path, mark.line, mark.column, message)
        self._remarks.setdefault(key, _Remark(mark, message, hint))

    def conceal(self, root: Table) -> None:
        """Remember where the tree of a file holds values that no excerpt may show."""
        self._files.setdefault(root.mark.source.path, len(self._files))
        for secret in _secret_scalars(root):
            self._secret[id(secret)] = secret
            self._mask(secret)

    def hide(self, value: Scalar) -> None:
        """Show a value in no excerpt: there is a secret in it, wherever it stands."""
        self._mask(value)

    def is_secret(self, node: Node) -> bool:
        """Whether a node's value must not be quoted."""
        return id(node) in self._secret

    def mark_secret(self, root: Node) -> None:
        """Treat the secret scalars below `root` as such: for a tree made from a concealed one."""
        self._secret.update((id(secret), secret) for secret in _secret_scalars(root))

    def all(self) -> tuple[Problem, ...]:
        """The problems, in the order of the files and their lines."""
        last = len(self._files)
        ordered = sorted(
            self._remarks.values(),
            key=lambda r: (self._files.get(r.mark.source.path, last), r.mark.line, r.mark.column),
        )
        return tuple(self.problem(r.mark, r.message, r.hint) for r in ordered)

    def problem(self, mark: Mark, message: str, hint: str | None = None) -> Problem:
        """One problem as it is shown."""
        lines = mark.source.lines
        line = lines[mark.line - 1] if mark.line <= len(lines) else ""
        masks = sorted(self._masks.get((mark.source.path, mark.line), ()))
        shown = excerpt(line, mark.column, masks) if line.strip() else None
        return Problem(message, where=str(mark), excerpt=shown, hint=hint)

    def refuse_if_any(self, path: Path) -> None:
        """Raise `UsageError` with everything found, if there is anything."""
        found = self.all()
        if found:
            count = "1 problem" if len(found) == 1 else f"{len(found)} problems"
            raise UsageError(f"{shown_path(path)}: {count}", found)

    def _mask(self, scalar: Scalar) -> None:
        (last, end), mark = scalar.end, scalar.mark
        for line in range(mark.line, last + 1):
            start = mark.column if line == mark.line else 1
            stop = end if line == last else len(mark.source.lines[line - 1]) + 1
            if stop > start:
                self._masks.setdefault((mark.source.path, line), set()).add((start, stop))


def _secret_scalars(node: Node) -> Iterator[Scalar]:
    match node:
        case Scalar():
            return
        case Sequence():
            for item in node.items:
                yield from _secret_scalars(item)
        case Table():
            for entry in node.entries.values():
                yield from _looking_for(entry.key)(entry.value)


def _looking_for(key: str) -> Callable[[Node], Iterator[Scalar]]:
    if key in _SECRET:
        return scalars
    return _urls if key == "notify" else _secret_scalars


def _urls(node: Node) -> Iterator[Scalar]:
    """The URLs of notices: who knows one can write there."""
    match node:
        case Scalar():
            return
        case Sequence():
            for item in node.items:
                yield from _urls(item)
        case Table():
            if (url := node.entries.get("url")) is not None:
                yield from scalars(url.value)


def refuse(mark: Mark, message: str, hint: str | None = None, *, quotes: bool = True) -> NoReturn:
    """Raise `UsageError` with this one problem, found before the file could be read as a tree.

    With no tree, the text decides whether a line may belong to a secret: then it is not shown,
    and a message that `quotes` the file says less.
    """
    lines = mark.source.lines
    line = lines[mark.line - 1] if mark.line <= len(lines) else ""
    hidden = may_hold_secret(lines, mark.line)
    shown = excerpt(line, mark.column) if line.strip() and not hidden else None
    said = (
        "this is not valid YAML (not quoted: it may be a secret)" if hidden and quotes else message
    )
    problem = Problem(said, where=str(mark), excerpt=shown, hint=hint)
    raise UsageError(f"{shown_path(mark.source.path)}: it could not be read", [problem])


def may_hold_secret(lines: tuple[str, ...], number: int) -> bool:
    """Whether line `number`, from 1, may stand below a key for secrets, as far as text can tell."""
    for start in range(min(number, len(lines)), 0, -1):
        if not _SECRETS_KEY.search(lines[start - 1]):
            continue
        between = lines[start:number]
        return not any(_ends_block(line, _indent(lines[start - 1])) for line in between)
    return False


def _ends_block(line: str, indent: int) -> bool:
    return _indent(line) <= indent and bool(_ANY_KEY.match(line))


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def unreadable(path: Path, message: str, hint: str | None = None) -> UsageError:
    """The error for a file that has no lines to point at."""
    problem = Problem(message, where=shown_path(path), hint=hint)
    return UsageError(f"{shown_path(path)}: it could not be read", [problem])


def start_of(source: Source) -> Mark:
    """The first character of a file."""
    return Mark(source, 1, 1)
