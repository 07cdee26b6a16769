"""Reads the catalogue: ours from the package, the user's files beside it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

import yaml
from pydantic import ValidationError

from loopctl.errors import Problem, UsageError
from loopctl.triage.linting import problems_of
from loopctl.triage.signatures import Signature

_HINTS: Final = {
    "extra_forbidden": "`loopctl signatures schema` lists the keys",
    "missing": "docs/signatures.md has an example with every key that is needed",
    "too_short": "name at least one capture: `loopctl signatures test` is run on it",
}
_LARGEST: Final = 1_048_576
_NULL: Final = "tag:yaml.org,2002:null"
_BOOL: Final = "tag:yaml.org,2002:bool"
_TIMESTAMP: Final = "tag:yaml.org,2002:timestamp"


def _plainly(base: type[yaml.SafeLoader]) -> type[yaml.SafeLoader]:
    """YAML as in loop files: `on` and `no` are text, not truth, and a date is none."""
    loader: type[yaml.SafeLoader] = type("_Loader", (base,), {})
    loader.yaml_implicit_resolvers = {
        first: [(tag, regex) for tag, regex in resolvers if tag not in (_BOOL, _TIMESTAMP)]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    loader.add_implicit_resolver(_BOOL, re.compile("^(?:true|false)$"), list("tf"))
    return loader


_THEIRS: Final = _plainly(yaml.SafeLoader)
# libyaml takes a twelfth of the time, but crashes on deep nesting: it reads our own files alone.
_OURS: Final = _plainly(getattr(yaml, "CSafeLoader", yaml.SafeLoader))


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The signatures in force, by id; a user's own replaces ours of the same id."""

    signatures: tuple[Signature, ...]

    def find(self, signature: str) -> Signature | None:
        """The signature of that id."""
        return next((known for known in self.signatures if known.id == signature), None)


@dataclass(frozen=True, slots=True)
class Written:
    """A signature where it is written: its file, and the folder that its fixtures stand in."""

    signature: Signature
    file: str
    fixtures: Traversable
    node: yaml.Node

    def place(self, *path: int | str) -> str:
        """`file:line:column` of a part of it."""
        mark = _node_at(self.node, path).start_mark
        return f"{self.file}:{mark.line + 1}:{mark.column + 1}"


def load_catalogue(extra: Sequence[Path] = ()) -> Catalogue:
    """Ours and those of `extra`; raises UsageError with every problem of every file.

    A file holds one signature a YAML document, or a list of them.
    """
    problems: list[Problem] = []
    theirs = written_by_them(extra, problems)
    ours = written_by_us(problems)
    known = {each.signature.id: each.signature for each in (*ours, *theirs)}
    problems.extend(problems_of(theirs, known))
    if problems:
        many = "s" * (len(problems) > 1)
        raise UsageError(f"{len(problems)} problem{many} in the signatures", problems)
    return Catalogue(tuple(known.values()))


def written_by_us(problems: list[Problem]) -> list[Written]:
    """The signatures of the package."""
    found, wrong = _ours()
    problems += wrong
    return list(found)


@cache
def _ours() -> tuple[tuple[Written, ...], tuple[Problem, ...]]:
    """Read once in a process: the package's own files stay as they are."""
    folder = resources.files("loopctl.triage") / "catalogue"
    fixtures = folder / "fixtures"
    found: list[Written] = []
    problems: list[Problem] = []
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        if file.name.endswith(".yaml"):
            text, where = file.read_text(encoding="utf-8"), f"catalogue/{file.name}"
            found += _read(where, text, fixtures, problems, _OURS)
    return tuple(found), tuple(problems)


def written_by_them(paths: Sequence[Path], problems: list[Problem]) -> list[Written]:
    """The signatures of these files; their fixtures stand beside each file."""
    found: list[Written] = []
    for path, text in _theirs(paths, problems):
        found += _read(str(path), text, path.parent, problems, _THEIRS)
    return found


def _theirs(paths: Sequence[Path], problems: list[Problem]) -> Iterator[tuple[Path, str]]:
    for path in paths:
        try:
            if path.stat().st_size > _LARGEST:
                problems.append(Problem("larger than 1 MiB", where=str(path)))
                continue
            yield path, path.read_text(encoding="utf-8")
        except (OSError, UnicodeError) as error:
            hint = "see `signatures:` in the loop file"
            problems.append(Problem(f"cannot be read: {error}", where=str(path), hint=hint))


def _read(
    where: str,
    text: str,
    fixtures: Traversable,
    problems: list[Problem],
    loader: type[yaml.SafeLoader],
) -> Iterator[Written]:
    try:
        nodes = [node for node in yaml.compose_all(text, loader) if node.tag != _NULL]
        documents = [loader("").construct_document(node) for node in nodes]
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        problems.append(Problem(f"not YAML: {_one_line(error)}", where=_at(where, error)))
        return
    for node, document in zip(nodes, documents, strict=True):
        in_list = isinstance(document, list) and isinstance(node, yaml.SequenceNode)
        pairs = zip(node.value, document, strict=True) if in_list else [(node, document)]
        for each_node, each in pairs:
            try:
                yield Written(Signature.model_validate(each), where, fixtures, each_node)
            except ValidationError as error:
                problems.extend(_problems(where, each_node, error))


def _problems(where: str, root: yaml.Node, error: ValidationError) -> Iterator[Problem]:
    for detail in error.errors(include_url=False, include_input=False):
        path = [part for part in detail["loc"] if part != "tuple"]
        mark = _node_at(root, path).start_mark
        name = ".".join(map(str, path)) or "signature"
        place = f"{where}:{mark.line + 1}:{mark.column + 1}"
        hint = _HINTS.get(detail["type"])
        yield Problem(f"{name}: {detail['msg']}", where=place, hint=hint)


def _node_at(node: yaml.Node, path: Sequence[int | str]) -> yaml.Node:
    """The deepest node on the path, for its position."""
    for part in path:
        child = _child(node, part)
        if child is None:
            return node
        node = child
    return node


def _child(node: yaml.Node, part: int | str) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        return next((value for key, value in node.value if key.value == part), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int):
        return node.value[part] if part < len(node.value) else None
    return None


def _at(where: str, error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    return f"{where}:{mark.line + 1}:{mark.column + 1}" if mark else where


def _one_line(error: Exception) -> str:
    return getattr(error, "problem", None) or str(error).splitlines()[0]
