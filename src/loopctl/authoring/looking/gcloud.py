"""`gcloud run deploy` wherever it is written: workflows, scripts, Makefiles, Cloud Build."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Final

from loopctl.authoring.looking.facts import CloudRunDeploy, Fact, Place
from loopctl.authoring.looking.launches import split
from loopctl.authoring.looking.structured import place_of, yaml_documents
from loopctl.authoring.looking.tree import Tree
from loopctl.loopfile.nodes import Node, Scalar, Table
from loopctl.loopfile.nodes import Sequence as YamlList

_PLACES: Final = ("*.yml", "*.yaml", "*.sh", "Makefile", "*.mk", "justfile", "*.bash", "Taskfile*")
_COMMAND: Final = re.compile(r"\bgcloud\s+(?:(?:beta|alpha)\s+)?run\s+deploy\b")
_EXPRESSION: Final = re.compile(r"\$\{\{\s*([\w.-]+)\s*\}\}")
_REFERENCE: Final = re.compile(r"\$\{\{([\w.-]+)\}\}|\$\{([A-Za-z_]\w*)[^}]*\}|\$\((\w+)\)|\$(\w+)")
_ASSIGNED: Final = re.compile(
    r"""^\s*(?:export\s+|readonly\s+)?['"]?([A-Za-z_]\w*)['"]?\s*(?::=|\?=|=|:\s)\s*["']?([\w./:@-]+)["']?\s*(?:#.*)?$"""
)
_BOOLEAN: Final = frozenset(
    {
        "allow-unauthenticated",
        "no-allow-unauthenticated",
        "no-traffic",
        "quiet",
        "async",
        "cpu-boost",
    }
    | {"no-cpu-throttling", "cpu-throttling", "use-http2", "session-affinity", "q", "verbosity"}
)
_LIMIT: Final = 50
_LOOKED_AT: Final = 400


def read_deploys(tree: Tree) -> tuple[CloudRunDeploy, ...]:
    """Every deployment that is described, those without a service's name too."""
    found: list[CloudRunDeploy] = []
    for path in list(tree.below(".", *_PLACES))[:_LOOKED_AT]:
        text = tree.text(path)
        if len(found) < _LIMIT and ("gcloud" in text or "deploy-cloudrun" in text):
            known = _known(tree.lines(path))
            found += islice(_commands(tree, path, known), _LIMIT)
            if path.endswith((".yml", ".yaml")):
                found += islice(_in_yaml(tree, path, known), _LIMIT)
    return tuple(found[:_LIMIT])


def _known(lines: Sequence[str]) -> Mapping[str, str]:
    """What the file itself gives to names: shell and make variables, `env`, substitutions."""
    known: dict[str, str] = {}
    for line in lines:
        found = _ASSIGNED.match(line)
        if found:
            known.setdefault(found[1], found[2])
    return known


def filled(text: str, known: Mapping[str, str]) -> str:
    """The text with what is known filled in; what is not stays as `$NAME`."""

    def one(match: re.Match[str]) -> str:
        name = next(group for group in match.groups() if group is not None)
        bare = name.rpartition(".")[2]
        return known.get(bare, f"${bare}")

    for _ in range(3):
        text = _REFERENCE.sub(one, text)
    return text


def _commands(tree: Tree, path: str, known: Mapping[str, str]) -> Iterator[CloudRunDeploy]:
    lines = tree.lines(path)
    for number, line in enumerate(lines, start=1):
        found = _COMMAND.search(line)
        if found and not line.lstrip().startswith(("#", "//")):
            joined = line[found.end() :].rstrip()
            at = number
            while joined.endswith("\\") and at < len(lines) and at - number < 60:
                joined = f"{joined[:-1]} {lines[at].strip()}"
                at += 1
            yield _deploy(path, number, joined, known, lines[number - 1 : at])


def _deploy(
    path: str,
    number: int,
    text: str,
    known: Mapping[str, str],
    lines: Sequence[str],
) -> CloudRunDeploy:
    text = _EXPRESSION.sub(r"${{\1}}", text)
    text = re.split(r"\s(?:&&|\|\||;|\|)\s|;\s*$", text)[0]
    words = split(text) or tuple(text.split())

    def line_of_flag(flag: str) -> int:
        at = next((n for n, line in enumerate(lines) if f"--{flag}" in line), 0)
        return number + at

    return _of_words(path, words, known, line_of_flag, number)


def _of_words(
    path: str,
    words: Sequence[str],
    known: Mapping[str, str],
    line_of_flag: Callable[[str], int],
    number: int,
    how: str = "gcloud run deploy",
) -> CloudRunDeploy:
    service: str | None = None
    flags: list[Fact[tuple[str, str]]] = []
    at = 0
    while at < len(words):
        word = words[at]
        at += 1
        if not word.startswith("--"):
            if service is None and not word.startswith("-"):
                service = filled(word, known)
            continue
        name, equals, value = word[2:].partition("=")
        follows = not equals and name not in _BOOLEAN and at < len(words)
        if follows and not words[at].startswith("--"):
            value, at = words[at], at + 1
        line = line_of_flag(name)
        flags.append(Fact((name, filled(value, known)), Place(path, line), how=f"--{name}"))
    return CloudRunDeploy(service, Place(path, number), tuple(flags), how)


def _always(line: int) -> Callable[[str], int]:
    return lambda _: line


def _in_yaml(tree: Tree, path: str, known: Mapping[str, str]) -> Iterator[CloudRunDeploy]:
    for document in yaml_documents(tree, path):
        for table in _tables(document):
            yield from _action(path, table, known)
            yield from _arguments(path, table, known)


def _tables(node: Node, depth: int = 0) -> Iterator[Table]:
    if isinstance(node, Table):
        yield node
        children: Sequence[Node] = [entry.value for entry in node.entries.values()]
    else:
        children = node.items if isinstance(node, YamlList) else ()
    for child in children if depth < 12 else ():
        yield from _tables(child, depth + 1)


def _action(path: str, table: Table, known: Mapping[str, str]) -> Iterator[CloudRunDeploy]:
    """A step with the action google-github-actions/deploy-cloudrun."""
    uses = table.text("uses") or ""
    if not uses.startswith("google-github-actions/deploy-cloudrun"):
        return
    given = table.table("with")
    renamed = {"env_vars": "set-env-vars", "secrets": "update-secrets", "project_id": "project"}
    flags: list[Fact[tuple[str, str]]] = []
    service: str | None = None
    for entry in given.entries.values():
        if not isinstance(entry.value, Scalar):
            continue
        text = filled(_EXPRESSION.sub(r"${{\1}}", entry.value.text), known)
        place = Place(path, entry.mark.line)
        if entry.key == "service":
            service = text
        elif entry.key == "flags":
            words = split(text) or tuple(text.split())
            flags += _of_words(path, words, known, _always(place.line), place.line).flags
        else:
            name = renamed.get(entry.key, entry.key.replace("_", "-"))
            value = ",".join(line.strip() for line in text.splitlines() if line.strip())
            flags.append(Fact((name, value.replace(",,", ",")), place, how=f"with.{entry.key}"))
    yield CloudRunDeploy(service, place_of(path, table), tuple(flags), "deploy-cloudrun")


def _arguments(path: str, table: Table, known: Mapping[str, str]) -> Iterator[CloudRunDeploy]:
    """A step of Cloud Build whose arguments are a list: run, deploy, SERVICE, …"""
    items = [item for item in table.items("args") if isinstance(item, Scalar)]
    words = [item.text for item in items]
    while words[:1] in (["beta"], ["alpha"], ["gcloud"]):
        words, items = words[1:], items[1:]
    if words[:2] != ["run", "deploy"]:
        return
    lines = {item.text.partition("=")[0][2:]: item.mark.line for item in items}
    start = items[0].mark.line
    yield _of_words(path, words[2:], known, lambda name: lines.get(name, start), start)
