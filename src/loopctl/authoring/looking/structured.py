"""YAML, TOML, JSON and INI as a stranger wrote them: whatever is wrong with one reads as empty."""

from __future__ import annotations

import configparser
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from loopctl.authoring.looking.facts import Place
from loopctl.authoring.looking.tree import Tree
from loopctl.errors import UsageError
from loopctl.loopfile.composer import compose_text
from loopctl.loopfile.marks import Source
from loopctl.loopfile.nodes import Node, Scalar, Sequence, Table
from loopctl.loopfile.problems import Problems

_BETWEEN = re.compile(r"---(?:\s.*)?")
_MOST_DOCUMENTS = 200


def yaml_documents(tree: Tree, path: str) -> Iterator[Table]:
    """The documents of a YAML file whose top is a map; their marks have the file's own lines."""
    lines = tree.text(path).split("\n")
    starts = [0, *(n + 1 for n, line in enumerate(lines) if _BETWEEN.fullmatch(line))]
    if len(starts) > _MOST_DOCUMENTS:
        tree.pass_over(path, f"more than {_MOST_DOCUMENTS} documents")
        return
    for start, end in zip(starts, [*(s - 1 for s in starts[1:]), len(lines)], strict=True):
        part = lines[start:end]
        if not any(line.strip() and not line.lstrip().startswith("#") for line in part):
            continue
        # Empty lines in front keep the numbers of the lines.
        source = Source(Path(path), (*([""] * start), *part), "")
        try:
            yield compose_text(source, Problems())
        except (UsageError, RecursionError):
            continue


def place_of(path: str, node: Node) -> Place:
    """Where a node of that file stands."""
    return Place(path, node.mark.line)


def words_of(node: Node | None) -> tuple[tuple[str, Node], ...]:
    """A list of scalars, or one scalar, as texts with their nodes."""
    items = node.items if isinstance(node, Sequence) else (node,)
    return tuple((item.text, item) for item in items if isinstance(item, Scalar))


def toml_table(tree: Tree, path: str | None) -> Mapping[str, Any]:
    """A TOML file's top."""
    if path is None:
        return {}
    try:
        return tomllib.loads(tree.text(path))
    except (tomllib.TOMLDecodeError, RecursionError, ValueError):
        return {}


def json_object(tree: Tree, path: str) -> Mapping[str, Any]:
    """A JSON file's top."""
    try:
        read = json.loads(tree.text(path))
    except (ValueError, RecursionError):
        return {}
    return read if isinstance(read, dict) else {}


def ini_section(tree: Tree, path: str | None, section: str) -> Mapping[str, str]:
    """A section of an INI file."""
    if path is None:
        return {}
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    try:
        parser.read_string(tree.text(path))
    except (configparser.Error, ValueError):
        return {}
    return dict(parser[section]) if parser.has_section(section) else {}


def within(value: object, *keys: str) -> object:
    """What stands below these keys of maps, None where there is none."""
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def texts(value: object) -> tuple[str, ...]:
    """The texts of a list, or of one text split at blanks."""
    if isinstance(value, str):
        return tuple(value.split())
    return tuple(v for v in value if isinstance(v, str)) if isinstance(value, list) else ()


def line_of(tree: Tree, path: str, *needles: str) -> Place:
    """The first line that holds one of these; the file as a whole where none does."""
    for needle in needles:
        for number, line in enumerate(tree.lines(path), start=1):
            if needle in line:
                return Place(path, number)
    return Place(path)
