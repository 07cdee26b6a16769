"""Entries of Cloud Logging as YAML, which gcloud prints unasked, and as CSV."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

import yaml

_YAML: Final = re.compile(r"(?:---\s*\n)?(?:\w+:.*\n(?:[ \t-].*\n)*){0,8}?(?:insertId|logName): \S")
_CSV: Final = re.compile(
    r"(?=[^\n]*\b(?:textPayload|jsonPayload|logName|insertId)\b)(?=[^\n]*\btimestamp\b)"
    r"\"?[A-Za-z_@][\w.@/-]*\"?(?:,\"?[^\n,]*\"?){1,400}\r?\n"
)
_Loader: Final[Any] = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_LARGEST: Final = 4 * 1_048_576

Object = dict[str, Any]


def is_yaml(head: str) -> bool:
    """Whether it begins as `gcloud logging read` prints entries."""
    return head.startswith(("---", "insertId:", "httpRequest:", "labels:")) and bool(
        _YAML.match(head)
    )


def is_csv(head: str) -> bool:
    """Whether it begins with a row that names fields of entries."""
    return bool(_CSV.match(head))


def yaml_objects(lines: Iterable[str], gaps: list[str]) -> Iterator[Object]:
    """An object for each document."""
    number = 0
    for text in _documents(lines):
        number += 1
        try:
            if _repeats(text):
                gaps.append(f"entry {number} has aliases, as no log has")
                continue
            value = yaml.load(text, _Loader)  # noqa: S506 - the base loader makes strings alone
        except (yaml.YAMLError, RecursionError, ValueError):
            gaps.append(f"entry {number} is no YAML")
            continue
        if isinstance(value, dict):
            yield value


def _repeats(text: str) -> bool:
    """Whether it has aliases, by which a few lines unfold to more than any memory holds."""
    if "*" not in text or "&" not in text:
        return False
    return any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, _Loader))


def _documents(lines: Iterable[str]) -> Iterator[str]:
    kept: list[str] = []
    size = 0
    for line in lines:
        if line.rstrip() == "---":
            if kept:
                yield "\n".join(kept)
            kept, size = [], 0
        elif size < _LARGEST:
            kept.append(line)
            size += len(line)
    if kept:
        yield "\n".join(kept)


def csv_objects(lines: Iterable[str], gaps: list[str]) -> Iterator[Object]:
    """An object for each row; a name with dots is a field within another."""
    csv.field_size_limit(_LARGEST)
    try:
        for row in csv.DictReader(f"{line}\n" for line in lines):
            found: Object = {}
            for name, value in row.items():
                if isinstance(name, str) and value:
                    _put(found, name.split("."), value)
            yield found
    except csv.Error as error:
        gaps.append(f"it is not read to its end: {error}")


def _put(into: Object, path: list[str], value: object) -> None:
    for part in path[:-1]:
        inner = into.setdefault(part, {})
        if not isinstance(inner, dict):
            return
        into = inner
    into.setdefault(path[-1], value)
