"""Suites: which tests meet the deployed services, and what they are told of them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from typing import Final

from loopctl.authoring.drafting.draft import Noted, ServiceDraft, SuiteDraft, told
from loopctl.authoring.drafting.names import service_name
from loopctl.authoring.drafting.yaml_lines import literal, scalar
from loopctl.authoring.looking.facts import (
    Fact,
    Looked,
    PytestTree,
    Route,
    Runner,
    TestFile,
    UrlRead,
)
from loopctl.authoring.looking.python_starts import brought
from loopctl.authoring.looking.tree import Tree, folder_of, is_within, joined
from loopctl.journal.wording import count
from loopctl.model.references import mentioned

_UNIT: Final = re.compile(r"(?:^|/)unit(?:s|tests?)?(?:/|$)|(?:^|/)test_unit")
_E2E: Final = re.compile(
    r"(?:^|/)(?:e2e|end[-_]to[-_]end|smoke|staging|integration|acceptance|system)(?:[-_]?tests?)?(?:/|$)"
)
_PRIORITIES: Final = ("p0", "p1", "p2", "p3")
_PYTHONS: Final = (".venv/bin/python", "venv/bin/python")
_OURS: Final = frozenset({"pytest", "_pytest", "yaml", "jinja2", "google", "grpc"})


class Naming:
    """Ids that no other suite has."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def of(self, text: str) -> str:
        """Lower-case letters, digits and hyphens, from a letter."""
        name = service_name(text, self._taken, "tests")
        self._taken.add(name)
        return name


def draft_suites(
    looked: Looked, services: Sequence[ServiceDraft], gated: str | None, tree: Tree
) -> tuple[tuple[SuiteDraft, ...], tuple[str, ...]]:
    """The suites, and the tests that are none, each with the reason."""
    naming, left = Naming(), list[str]()
    found: list[SuiteDraft] = []
    names = [service.name for service in services] or ([gated] if gated else [])
    for tests in looked.pytest:
        found += _of_pytest(tests, services, names, naming, tree, left)
    for runner in looked.runners:
        suite = _of_runner(runner, services, names, naming, left)
        if suite is not None:
            found.append(suite)
    if not found and names:
        found = list(_answers(looked, services, names, naming, tree))
    return tuple(found), tuple(left)


def _of_pytest(
    tests: PytestTree,
    services: Sequence[ServiceDraft],
    names: Sequence[str],
    naming: Naming,
    tree: Tree,
    left: list[str],
) -> Iterator[SuiteDraft]:
    where = f" ({tests.config})" if tests.config else ""
    meeting = _meeting(tests)
    if not meeting or not names:
        _leave(tests, where, left)
        return
    service = _served(tests.folder, tests.urls, services, names)
    sure = len(names) == 1 or _lies_in(tests.folder, services) is not None
    env = tuple(_env(tests, names, service, sure=sure))
    python = _python(tests, meeting, tree)
    rest = [file for file in tests.files if file not in meeting]
    if rest:
        shown = ", ".join(sorted({folder_of(file.path) for file in rest})[:4])
        left.append(
            f"{count(len(rest), 'test file')} in {shown}: reading no address, so meeting no service"
        )
    paths = _paths(tests, meeting)
    for name, priority, marker, files in _groups(meeting, paths):
        words = " ".join(shlex.quote(path) for path in paths)
        run = f"{words} -m {shlex.quote(marker)}" if marker else words
        written = literal(run)
        if written is None:
            continue
        yield SuiteDraft(
            id=naming.of(name),
            why=_why(tests),
            priority=priority,
            run=Noted(written, "" if tests.testpaths == tuple(paths) else "pytest's arguments"),
            cwd=tests.folder,
            python=python,
            env=env,
            collect_min=_least(tests, files, marker),
            protects=service if len(names) > 1 else None,
            targets=_targets(env, names),
        )


def _why(tests: PytestTree) -> str:
    if tests.urls:
        return f"{tests.urls[0]} reads {tests.urls[0].value.name}"
    return (
        f"{tests.base_url_plugin}: {tests.base_url_plugin.value}" if tests.base_url_plugin else ""
    )


def _leave(tests: PytestTree, where: str, left: list[str]) -> None:
    folders = sorted({folder_of(file.path) for file in tests.files})
    end_to_end = [folder for folder in folders if _E2E.search(folder)]
    number = sum(file.tests for file in tests.files)
    what = f"{count(number, 'pytest function')} in {', '.join(folders[:4])}{where}"
    if tests.in_process is not None:
        at = f"{tests.in_process.value} at {tests.in_process.place}"
        why = f"{at}: in-process, they meet nothing that is deployed"
    else:
        why = "nothing in them reads the address of a service from the environment"
    if end_to_end:
        why += f"; DECIDE: for {end_to_end[0]}, let them read BASE_URL or LOOPCTL_URL_<SERVICE>"
    left.append(f"{what}: {why}")


def _meeting(tests: PytestTree) -> list[TestFile]:
    """The files that can see an address: what a conftest reads is for all below it."""
    seen = [file for file in tests.files if not _UNIT.search(file.path)]
    if tests.base_url_plugin is not None and not tests.urls:
        ends = [file for file in seen if _E2E.search(file.path) or "playwright" in file.imports]
        return ends or seen
    found = []
    for file in seen:
        for read in tests.urls:
            path = read.place.file
            shared = path.endswith("conftest.py") or not _is_test_file(path)
            if path == file.path or (shared and is_within(file.path, folder_of(path))):
                found.append(file)
                break
    return found


def _is_test_file(path: str) -> bool:
    name = path.rpartition("/")[2]
    return name.startswith("test_") or name.endswith("_test.py")


def _paths(tests: PytestTree, meeting: Sequence[TestFile]) -> list[str]:
    """The shortest list of folders, then files, that names these and no others; from `cwd`."""
    mine = {file.path for file in meeting}
    others = {file.path for file in tests.files} - mine

    def clean(folder: str) -> bool:
        return not any(is_within(path, folder) for path in others)

    if not others and tests.testpaths:
        return list(tests.testpaths)
    found: dict[str, None] = {}
    for path in sorted(mine):
        best, folder = path, folder_of(path)
        while is_within(folder, tests.folder) and folder != tests.folder and clean(folder):
            best, folder = folder, folder_of(folder)
        found[best] = None
    if list(found) == sorted(mine) and clean(tests.folder) and len(found) > 3:
        return ["."]
    start = "" if tests.folder == "." else f"{tests.folder}/"
    return [path.removeprefix(start) for path in found][:40]


def _groups(
    meeting: Sequence[TestFile], paths: Sequence[str]
) -> Iterator[tuple[str, str, str | None, list[TestFile]]]:
    """Id, priority, marker and files of each suite: one a priority where the tests have them."""
    used = [each for each in _PRIORITIES if any(each in file.markers for file in meeting)]
    base = paths[0].rpartition("/")[2].removesuffix(".py") if len(paths) == 1 else "tests"
    base = "tests" if base in (".", "test") else base
    if used:
        for marker in used:
            yield (
                f"{base}-{marker}",
                marker.upper(),
                marker,
                [f for f in meeting if marker in f.markers],
            )
        rest = [file for file in meeting if not file.markers & set(used)]
        if rest:
            yield f"{base}-others", "P2", " and ".join(f"not {each}" for each in used), rest
        return
    smoke = [file for file in meeting if "smoke" in file.markers]
    if smoke and len(smoke) < len(meeting):
        yield f"{base}-smoke", "P0", "smoke", smoke
        rest = [file for file in meeting if "smoke" not in file.markers]
        yield f"{base}-others", "P1", "not smoke", rest
        return
    yield base, "P0" if "smoke" in base else "P1", None, list(meeting)


def _least(tests: PytestTree, files: Sequence[TestFile], marker: str | None) -> Noted[int] | None:
    number = sum(file.tests for file in files)
    if tests.narrowed or not number:
        return None
    if any(marker in file.partly for file in files):
        return None
    return Noted(number, "as many functions were read; fewer collected prove nothing")


def _env(
    tests: PytestTree, names: Sequence[str], default: str, *, sure: bool
) -> Iterator[tuple[str, Noted[str]]]:
    for read in tests.urls:
        named = _by_name(read.value.name, names)
        yield read.value.name, _url(read, named or default, sure=sure or named is not None)
    if tests.base_url_plugin is not None and not tests.urls:
        plugin = tests.base_url_plugin
        note = told(plugin) if sure else f"GUESSED, which service; {plugin}"
        yield "PYTEST_BASE_URL", Noted(scalar(f"${{services.{default}.url}}"), note)


def _url(read: Fact[UrlRead], service: str, *, sure: bool) -> Noted[str]:
    kind = "ws_url" if read.value.websocket else "url"
    note = told(read) if sure else f"GUESSED, which service; {read}"
    return Noted(scalar(f"${{services.{service}.{kind}}}{read.value.suffix}"), note)


def _by_name(variable: str, names: Sequence[str]) -> str | None:
    """The service that a variable's name speaks of."""
    words = set(variable.lower().split("_"))
    for name in names:
        parts = [part for part in name.split("-") if len(part) > 1]
        if parts and set(parts) <= words:
            return name
    last = [
        name for name in names if set(name.split("-")) & (words - {"url", "base", "test", "app"})
    ]
    return last[0] if len(last) == 1 else None


def _served(
    folder: str,
    urls: Sequence[Fact[UrlRead]],
    services: Sequence[ServiceDraft],
    names: Sequence[str],
) -> str:
    """The service that tests most likely mean: the one that they lie in, else the front one."""
    inside = _lies_in(folder, services)
    if inside is not None:
        return inside
    for read in urls:
        named = _by_name(read.value.name, names)
        if named is not None:
            return named
    needed = {need.value for service in services for need in service.needs}
    front = [name for name in names if name not in needed]
    usual = [n for n in front if re.search(r"front|web|gateway|api|app|backend", n)]
    return (usual or front or list(names))[0]


def _lies_in(folder: str, services: Sequence[ServiceDraft]) -> str | None:
    inside = [s for s in services if s.source != "." and is_within(folder, s.source)]
    return max(inside, key=lambda service: len(service.source)).name if inside else None


def _python(tests: PytestTree, meeting: Sequence[TestFile], tree: Tree) -> Noted[str] | None:
    """The interpreter, from `cwd`; None where loopctl's own has all that the tests import."""
    folder = tests.folder
    while True:
        for name in _PYTHONS:
            if tree.exists(folder, name):
                back = "../" * _depth_between(tests.folder, folder)
                return Noted(f"{back}{name}", f"{joined(folder, name)} is there")
        for lock, how in (("uv.lock", "uv sync"), ("poetry.lock", "poetry install")):
            if tree.has(joined(folder, lock)):
                back = "../" * _depth_between(tests.folder, folder)
                note = f"GUESSED: {joined(folder, lock)}; `{how}` makes it"
                return Noted(f"{back}.venv/bin/python", note)
        if folder == ".":
            break
        folder = folder_of(folder)
    third = {module for file in meeting for module in file.imports} - _OURS
    local = {path.rpartition("/")[2].removesuffix(".py") for path in tree.below(".", "*.py")}
    local |= {part for path in tree.below(".", "*.py") for part in path.split("/")[:-1]}
    lacking = sorted(third - local - {name.replace("-", "_") for name in brought()})
    if not lacking:
        return None
    note = f"GUESSED: they import {', '.join(lacking[:4])}; DECIDE: where these are installed"
    return Noted(".venv/bin/python", note)


def _depth_between(folder: str, above: str) -> int:
    depth = 0 if folder == "." else folder.count("/") + 1
    return depth - (0 if above == "." else above.count("/") + 1)


def _of_runner(
    runner: Runner,
    services: Sequence[ServiceDraft],
    names: Sequence[str],
    naming: Naming,
    left: list[str],
) -> SuiteDraft | None:
    if not names or not runner.urls:
        why = "nothing in it reads the address of a service from the environment"
        left.append(f"{runner.name} ({runner.place}): {why}")
        return None
    service = _served(runner.folder, runner.urls, services, names)
    sure = len(names) == 1 or _lies_in(runner.folder, services) is not None
    named = {read.value.name: _by_name(read.value.name, names) for read in runner.urls}
    env = tuple(
        (name, _url(read, named[name] or service, sure=sure or named[name] is not None))
        for read in runner.urls
        for name in [read.value.name]
    )
    line = literal(runner.line)
    if line is None:
        return None
    return SuiteDraft(
        id=naming.of(runner.name),
        why=f"{runner.place}" + (f"; {runner.note}" if runner.note else ""),
        kind="command",
        run=Noted(line),
        cwd=runner.folder,
        env=env,
        require=Noted("plausible", "nobody sees into a command: docs/loop-file.md"),
        protects=service if len(names) > 1 else None,
        targets=_targets(env, names),
    )


def _targets(env: Sequence[tuple[str, Noted[str]]], names: Sequence[str]) -> tuple[str, ...]:
    """The services whose addresses a suite is told; none where these are all that there are."""
    told_of = {name for _, noted in env for name in mentioned(noted.value)}
    return tuple(name for name in names if name in told_of) if len(told_of) < len(names) else ()


def _answers(
    looked: Looked,
    services: Sequence[ServiceDraft],
    names: Sequence[str],
    naming: Naming,
    tree: Tree,
) -> Iterator[SuiteDraft]:
    """Where no test meets a service: requests of what the code is read to answer."""
    requests: list[Noted[str]] = []
    also: list[str] = []
    for service in services:
        start = f"${{services.{service.name}.url}}"
        note = "GUESSED" if service.health.note.startswith("GUESSED") else "its health"
        requests.append(_get(f"{start}{service.health.value}", note))
        described = _described(service, tree)
        if described is not None:
            requests.append(_get(f"{start}/openapi.json", f"GUESSED: FastAPI, {described}"))
        own: list[Fact[Route]] = [
            route
            for route in looked.routes
            if is_within(route.place.file, service.source)
            and route.value.method == "GET"
            and route.value.path != service.health.value
        ]
        root = next((route for route in own if route.value.path == "/"), None)
        if root is not None and described is None:
            requests.append(_get(f"{start}/", f"{root}"))
        also += [f"{route.value.path} ({route.place})" for route in own if route is not root]
    if not services:
        requests.append(_get(f"${{services.{names[0]}.url}}/", "DECIDE: what must be answered"))
    shown = f" Read in the code, too: {', '.join(also[:6])}." if also else ""
    yield SuiteDraft(
        id=naming.of("answers"),
        why=f"GUESSED: no test here meets a service. DECIDE: what must be answered.{shown}",
        priority="P0",
        kind="http",
        requests=tuple(requests),
    )


def _get(url: str, note: str) -> Noted[str]:
    return Noted(f"{{get: {scalar(url)}}}", note)


def _described(service: ServiceDraft, tree: Tree) -> str | None:
    """Where FastAPI is made, whose description of itself is an answer worth asking for."""
    form = re.compile(r"=\s*FastAPI\(").search
    texts = [(path, tree.text(path)) for path in tree.below(service.source, "*.py")]
    if any("openapi_url" in text or "root_path" in text for _, text in texts):
        return None
    for path, text in texts:
        found = form(text)
        if found:
            return f"{path}:{text.count(chr(10), 0, found.start()) + 1}"
    return None
