"""`env_file`: KEY=VALUE lines for loopctl's own `${…}`, never sent to a service."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from loopctl.errors import Problem, UsageError
from loopctl.loopfile.marks import shown_path
from loopctl.loopfile.source import read_bytes

_LINE = re.compile(r"(?:export\s+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)\s*=\s*(?P<value>.*)")
_DOUBLE = re.compile(r'"(?P<text>(?:[^"\\]|\\.)*)"\s*(?:#.*)?')
_SINGLE = re.compile(r"'(?P<text>[^']*)'\s*(?:#.*)?")
_COMMENT = re.compile(r"(?:^|\s)#.*$")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}


def read_env_file(path: Path) -> Mapping[str, str]:
    """The variables in a file. Empty lines, `#` comments and `export` are allowed.

    In double quotes `\\n`, `\\"` and `\\\\` are escapes, in single quotes nothing is. Nothing is
    substituted. Raises `UsageError` with every bad line, none of them quoted: they hold secrets.
    """
    try:
        text = read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError:
        problem = Problem("this is not UTF-8 text", where=shown_path(path))
        raise UsageError(f"{shown_path(path)}: it could not be read", [problem]) from None
    values: dict[str, str] = {}
    problems: list[Problem] = []
    for number, line in enumerate(text.splitlines(), start=1):
        bare = line.strip()
        if not bare or bare.startswith("#"):
            continue
        found = _assignment(bare)
        if isinstance(found, str):
            problems.append(Problem(found, where=f"{shown_path(path)}:{number}:1"))
        else:
            values[found[0]] = found[1]
    if problems:
        raise UsageError(f"{shown_path(path)}: it could not be read", problems)
    return values


def _assignment(line: str) -> tuple[str, str] | str:
    """Name and value, or what is wrong with the line."""
    match = _LINE.fullmatch(line)
    if not match:
        return "this line is not KEY=VALUE (not quoted: it may be a secret)"
    value = _unquoted(match["value"])
    if value is None or "\0" in value:
        return f"the value of {match['name']} cannot be read: its quotes do not end with it"
    return match["name"], value


def _unquoted(value: str) -> str | None:
    if value.startswith('"'):
        double = _DOUBLE.fullmatch(value)
        return double and re.sub(r"\\(.)", _escape, double["text"])
    if value.startswith("'"):
        single = _SINGLE.fullmatch(value)
        return single and single["text"]
    return _COMMENT.sub("", value).strip()


def _escape(match: re.Match[str]) -> str:
    return _ESCAPES.get(match[1], match[1])
