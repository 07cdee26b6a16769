"""`extends`: files below a file. Maps merge, lists replace, positions stay with their file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from loopctl.loopfile.marks import shown_path
from loopctl.loopfile.nodes import Node, Origin, Scalar, Sequence, Table, merged
from loopctl.loopfile.paths import is_file, written_path
from loopctl.loopfile.problems import Problems
from loopctl.loopfile.source import compose
from loopctl.loopfile.variables import Filler

_KEY = "extends"
_LIMIT_FILES = 16


@dataclass(frozen=True, slots=True)
class Files:
    """What reading needs, and what was read: `digests` by path, from `root` where it is below.

    `given` is what would stand in files that are not written yet.
    """

    root: Path
    variables: Mapping[str, str]
    problems: Problems
    digests: dict[str, str] = field(default_factory=dict)
    trees: dict[Path, Table] = field(default_factory=dict)
    given: Mapping[Path, bytes] = field(default_factory=dict)


def read_extended(path: Path, files: Files, above: tuple[str, ...] = ()) -> Table:
    """The file merged over all that it extends, in the order given, later ones over earlier.

    `extends` knows the process's variables only: an `env_file` is named in what it leads to.
    Raises `UsageError` when one of the files is no tree at all.
    """
    if path in files.trees:
        return files.trees[path]
    document = compose(path, files.problems, files.given.get(path))
    inside = path.is_relative_to(files.root)
    name = str(path.relative_to(files.root)) if inside else str(path)
    files.digests[name] = document.mark.source.digest
    chain = (*above, os.path.realpath(path))
    below: Node = Table(document.mark, {})
    for written in _named(document):
        base = _base(written, files, chain)
        if base is not None:
            below = merged(below, read_extended(base, files, chain))
    whole = merged(below, document)
    assert isinstance(whole, Table)
    files.trees[path] = whole
    return whole


def _named(document: Table) -> tuple[Scalar, ...]:
    node = document.get(_KEY)
    items = node.items if isinstance(node, Sequence) else (node,)
    return tuple(item for item in items if isinstance(item, Scalar))


def _base(written: Scalar, files: Files, chain: tuple[str, ...]) -> Path | None:
    scalar = Filler(files.variables, files.problems).scalar(written, needed=True)
    if scalar.origin is Origin.UNRESOLVED or not isinstance(scalar.value, str):
        return None
    path = written_path(scalar)
    if os.path.realpath(path) in chain:
        message = f"{shown_path(path)} extends itself, by way of this"
        files.problems.add(scalar.mark, message, "take one `extends` away")
    elif not is_file(path):
        files.problems.add(scalar.mark, f"there is no file {shown_path(path)}")
    elif len(files.digests) >= _LIMIT_FILES:
        files.problems.add(scalar.mark, f"more than {_LIMIT_FILES} files are extended")
    else:
        return path
    return None
