"""What pytest would run: where, which tests, under which markers, and how they find the service."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any, Final

from loopctl.authoring.looking.facts import Fact, Place, PytestTree, TestFile
from loopctl.authoring.looking.python_starts import imports, parsed
from loopctl.authoring.looking.structured import (
    ini_section,
    line_of,
    texts,
    toml_table,
    within,
)
from loopctl.authoring.looking.tree import Tree, folder_of, is_within, joined
from loopctl.authoring.looking.url_reads import url_reads

_CONFIGS: Final = ("pytest.ini", ".pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg")
_FOLDERS: Final = ("tests", "test", "e2e", "smoke", "integration", "staging", "acceptance")
_LIMIT: Final = 1_000
_NARROWING: Final = re.compile(r"(?:^|\s)(?:-m|-k|--ignore|--ignore-glob|--deselect)(?:[\s=]|$)")
_MARKER: Final = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_IN_PROCESS: Final = re.compile(
    r"\b(TestClient|ASGITransport|WSGITransport|test_client|AsyncTestClient|APIClient)\b\(?"
)
_PLUGIN: Final = re.compile(r"pytest[-_]base[-_]url|pytest[-_]playwright")


@dataclass(frozen=True, slots=True)
class _Config:
    place: Place
    folder: str
    options: Mapping[str, Any]


def read_pytest(tree: Tree) -> tuple[PytestTree, ...]:
    """Every set of tests that one configuration, or none, holds together."""
    files = list(tree.below(".", "test_*.py", "*_test.py"))[:_LIMIT]
    tested = [path for path in files if _cases(tree.text(path)).tests]
    configs = tuple(_configs(tree))
    groups: dict[str, list[str]] = {}
    for path in tested:
        groups.setdefault(_folder_for(tree, path, configs), []).append(path)
    known = {config.folder: config for config in configs}
    return tuple(
        _tree(tree, folder, paths, known.get(folder)) for folder, paths in sorted(groups.items())
    )


def _configs(tree: Tree) -> Iterator[_Config]:
    folders = sorted({folder_of(path) for path in tree.below(".", *_CONFIGS)})
    for folder in folders:
        for name in _CONFIGS:
            path = tree.directly(folder, name)
            options = _options(tree, path) if path else None
            if path and options is not None:
                marks = ("[pytest]", "[tool.pytest", "[tool:pytest]")
                yield _Config(line_of(tree, path, *marks), folder, options)
                break


def _options(tree: Tree, path: str) -> Mapping[str, Any] | None:
    if path.endswith(".toml"):
        table = toml_table(tree, path)
        found = within(table, "tool", "pytest", "ini_options") or within(table, "tool", "pytest")
        return found if isinstance(found, dict) else None
    if path.endswith("setup.cfg"):
        return ini_section(tree, path, "tool:pytest") or None
    section = ini_section(tree, path, "pytest")
    # An empty pytest.ini is a configuration, too.
    return section or ({} if path.endswith("pytest.ini") else None)


def _folder_for(tree: Tree, path: str, configs: Sequence[_Config]) -> str:
    """The nearest configured folder above a test; else the one that its tests' folder is in."""
    above = [config.folder for config in configs if is_within(path, config.folder)]
    if above:
        return max(above, key=len)
    folder = folder_of(path)
    parts = folder.split("/")
    for number, name in enumerate(parts):
        if name in _FOLDERS:
            return "/".join(parts[:number]) or "."
    while folder != ".":
        if any(tree.has(joined(folder, n)) for n in ("setup.py", "requirements.txt", *_CONFIGS)):
            return folder
        folder = folder_of(folder)
    return "."


def _tree(tree: Tree, folder: str, paths: list[str], config: _Config | None) -> PytestTree:
    options = config.options if config else {}
    testpaths = tuple(path for path in texts(options.get("testpaths")) if "*" not in path)
    inside = [p for p in paths if _is_run(p, folder, testpaths)] or paths
    conftests = [path for path in tree.below(folder, "conftest.py") if _shares(path, inside)]
    folders = {folder_of(path) for path in inside}
    around = [path for path in tree.below(folder, "*.py") if _is_helper(path, folders)]
    read = sorted({*conftests, *inside, *around})
    addopts = options.get("addopts", "")
    addopts = " ".join(addopts) if isinstance(addopts, list) else str(addopts)
    return PytestTree(
        folder=folder,
        config=config.place if config else None,
        testpaths=tuple(p for p in testpaths if tree.has_folder(joined(folder, p))),
        markers=tuple(_declared(tree, config)),
        narrowed=_NARROWING.search(addopts) is not None,
        files=tuple(_cases(tree.text(path), path) for path in inside),
        urls=url_reads(tree, read),
        in_process=next(_matches(tree, [*conftests, *inside], _IN_PROCESS), None),
        base_url_plugin=next(_plugins(tree, folder), None),
    )


def _is_run(path: str, folder: str, testpaths: Sequence[str]) -> bool:
    return not testpaths or any(is_within(path, joined(folder, each)) for each in testpaths)


def _shares(conftest: str, paths: Sequence[str]) -> bool:
    return any(is_within(path, folder_of(conftest)) for path in paths)


def _is_helper(path: str, folders: Collection[str]) -> bool:
    """Whether a module stands beside tests, in a folder of theirs: it may read what they share."""
    folder = folder_of(path)
    theirs = any(part.startswith(_FOLDERS) for part in folder.split("/"))
    return theirs and folder in folders


def _declared(tree: Tree, config: _Config | None) -> Iterator[Fact[str]]:
    markers = config.options.get("markers", ()) if config else ()
    lines = markers.splitlines() if isinstance(markers, str) else markers
    for line in lines if isinstance(lines, list) else ():
        name = str(line).partition(":")[0].partition("(")[0].strip()
        if config and _MARKER.fullmatch(name):
            yield Fact(name, line_of(tree, config.place.file, f"{name}:", name), how="markers")


def _matches(tree: Tree, paths: Sequence[str], form: re.Pattern[str]) -> Iterator[Fact[str]]:
    for path in paths:
        for number, line in enumerate(tree.lines(path), start=1):
            found = form.search(line)
            if found and not line.lstrip().startswith(("#", "from", "import")):
                yield Fact(found[1], Place(path, number))


def _plugins(tree: Tree, folder: str) -> Iterator[Fact[str]]:
    for path in tree.below(folder, "*requirements*.txt", "pyproject.toml", "Pipfile"):
        for number, line in enumerate(tree.lines(path), start=1):
            found = _PLUGIN.search(line)
            if found:
                yield Fact(found[0], Place(path, number))


def _cases(text: str, path: str = "") -> TestFile:
    """The tests that stand in a module, as pytest's defaults would collect them."""
    tests, markers = 0, set[str]()
    module = parsed(text)
    for node in module.body:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                tests += node.name.startswith("test")
            case ast.ClassDef() if fnmatch(node.name, "Test*"):
                tests += _methods(node)
            case ast.Assign() if any(getattr(t, "id", "") == "pytestmark" for t in node.targets):
                markers |= set(_marks(node.value))
            case _:
                pass
    some = set(re.findall(r"^\s*@pytest\.mark\.(\w+)", text, re.MULTILINE)) - markers
    third = frozenset(imports(module))
    return TestFile(path, tests, frozenset(markers | some), frozenset(some), third)


def _methods(node: ast.ClassDef) -> int:
    functions = [n for n in node.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    if any(function.name == "__init__" for function in functions):
        return 0
    return sum(function.name.startswith("test") for function in functions)


def _marks(value: ast.expr) -> Iterator[str]:
    for each in value.elts if isinstance(value, ast.List | ast.Tuple) else (value,):
        called = each.func if isinstance(each, ast.Call) else each
        if isinstance(called, ast.Attribute):
            yield called.attr
