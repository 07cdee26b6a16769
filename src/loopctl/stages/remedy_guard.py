"""What a remedy may change in the work tree, and what it must leave as it was. Pure but for links.

The plan is frozen at the start of a run, and tests that a remedy could weaken would prove
nothing: whatever decides about green is out of its reach, unless `remediate.may_edit` names it.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from loopctl.evidence.path_glob import covers
from loopctl.model.plan import Plan, SuiteKind
from loopctl.stages.shadowed_modules import replaces_a_module
from loopctl.stages.suite_paths import (
    CONFTEST,
    SETTINGS,
    places_of_tests,
    searched_for_settings,
    settings_of,
)

TEST_FOLDERS = frozenset({"test", "tests", "__tests__"})
_TEST_NAMES = (
    *("test_*.py", "*_test.py", CONFTEST),
    # What other runners take for tests by their names: jest, Playwright, go, Maven, RSpec.
    *("*.test.*", "*.spec.*", "*_test.go", "*Test.java", "*Tests.java", "*IT.java", "*_spec.rb"),
)

# What says which tests other runners run, and what their names mean: `npm run e2e`, `make e2e`.
_RUNNER_SETTINGS = (
    *("package.json", ".mocharc*", ".npmrc", "*.config.js", "*.config.[cm]js", "*.config.ts"),
    *("*.config.[cm]ts", "*.config.json", "karma.conf.*", "nightwatch.*", "wdio.conf.*"),
    *("[Mm]akefile", "GNUmakefile", "[Jj]ustfile", ".justfile", "Taskfile.y*ml", "Rakefile"),
    *("pom.xml", "build.gradle*", "settings.gradle*", "gradle.properties", "testng*.xml"),
    *("noxfile.py", ".rspec", "phpunit.xml*", "CTestTestfile.cmake", "nextest.toml"),
)

# Python reads these by itself, so they reach into every test process; an entry point may load a
# plugin into pytest.
_IN_EVERY_PROCESS = ("*.pth", "entry_points.txt")

# A repository's own folder, or the file that leads to it: git takes nothing in there for source.
_GIT = ".git"

# It hides new files from git, and with them from the comparison.
_HIDES = ".git/info/exclude"


@dataclass(frozen=True, slots=True)
class Guard:
    """Paths relative to the project root, `""` for the root itself.

    `sources` are the folders of the services' sources; `frozen` the loop files, the signatures,
    the suites' interpreters, the files of settings and plugins that their `run` names, and what
    hides files from git; `tests` are the tests that `run` names; `suites` the folders that the
    suites run in, `commands` those of suites whose runner is not pytest; `may_edit` globs of what
    may be changed besides the sources.
    """

    sources: tuple[str, ...]
    frozen: tuple[str, ...]
    tests: tuple[str, ...]
    suites: tuple[str, ...]
    may_edit: tuple[str, ...]
    commands: tuple[str, ...] = ()


def forbidden(changed: Sequence[str], guard: Guard) -> tuple[str, ...]:
    """Which of the changed paths may not have been changed, sorted."""
    return tuple(sorted(path for path in changed if not _is_allowed(path, guard)))


def relaxable(changed: Sequence[str], guard: Guard) -> tuple[str, ...]:
    """Which of the changed paths decide about green: tests, their settings, loop and signatures.

    `may_edit` may name them; that nothing was relaxed is for a person to see all the same.
    """
    return tuple(
        sorted(
            path
            for path in changed
            if path in guard.frozen or _is_test(path, guard) or _is_setting(path, guard)
        )
    )


def in_sources(changed: Sequence[str], guard: Guard) -> tuple[str, ...]:
    """Which of the changed paths belong to the source of a service."""
    return tuple(p for p in changed if any(_is_below(p, source) for source in guard.sources))


def guard_of(plan: Plan) -> Guard:
    """The guard of a plan. A path that is reached through a link counts by both its names."""
    root = plan.root
    sources = _inside(root, (s.source for s in plan.services if s.source is not None))
    loop_files = [plan.path, *(root / name for name in plan.files or ())]
    # A suite that the loop file declares whole has no files but that one.
    written = [suite for suite in plan.suites if suite.probe is None]
    pythons = (suite.python for suite in written if suite.python and "/" in suite.python)
    suites = _inside(root, (suite.cwd for suite in written))
    settings = (path for suite in written for path in settings_of(suite))
    tests = _inside(root, (path for suite in written for path in places_of_tests(suite)))
    return Guard(
        sources=sources,
        # The link of a virtual environment, not the machine's own interpreter behind it.
        frozen=(
            *_inside(root, [*loop_files, *plan.signatures, *settings]),
            *(_relative(python, str(root)) for python in pythons),
            _HIDES,
        ),
        tests=tuple(dict.fromkeys(path for test in tests for path in _frozen_with(test, sources))),
        suites=suites,
        may_edit=plan.remediation.may_edit,
        commands=_inside(root, (s.cwd for s in written if s.kind is SuiteKind.COMMAND)),
    )


def always_read(guard: Guard, root: Path) -> tuple[Path, ...]:
    """The files and folders to be compared although git ignores them; some may not exist."""
    names = (*SETTINGS, CONFTEST)
    settings = (_join(folder, name) for folder in _settings_folders(guard) for name in names)
    tests = (path for path in guard.tests if not _holds_a_source(path, guard.sources))
    return tuple(root / path for path in dict.fromkeys([*guard.frozen, *tests, *settings]))


def loads_from(guard: Guard, root: Path) -> tuple[Path, ...]:
    """The folders that tests import from, whatever git ignores there; some may not exist."""
    around = (t.rpartition("/")[0] for t in guard.tests if PurePosixPath(t).suffix)
    return tuple(root / path for path in dict.fromkeys([*guard.suites, *guard.tests, *around]))


def _is_allowed(path: str, guard: Guard) -> bool:
    if any(covers(glob, path) for glob in guard.may_edit):
        return True
    if path in guard.frozen or _GIT in path.split("/"):
        return False
    if replaces_a_module(path, guard.suites):
        return False
    if _is_test(path, guard) or _is_setting(path, guard):
        return False
    return any(_is_below(path, source) for source in guard.sources)


def _is_test(path: str, guard: Guard) -> bool:
    if any(path == test for test in guard.tests):
        return True
    name = path.rpartition("/")[2]
    if any(fnmatchcase(name, pattern) for pattern in (*_TEST_NAMES, *_IN_EVERY_PROCESS)):
        return True
    for test in guard.tests:
        # A suite that names the source itself means the tests in it, not all of the source.
        if _is_below(path, test) and not _holds_a_source(test, guard.sources):
            return True
    home = max((s for s in guard.sources if _is_below(path, s)), key=len, default="")
    folders = PurePosixPath(path).parent.parts[len(PurePosixPath(home).parts) :]
    return not TEST_FOLDERS.isdisjoint(folders)


def _is_setting(path: str, guard: Guard) -> bool:
    folder, _, name = path.rpartition("/")
    if any(fnmatchcase(name, pattern) for pattern in _RUNNER_SETTINGS):
        return folder in _above(guard.commands)
    return name in SETTINGS and folder in _settings_folders(guard)


def _settings_folders(guard: Guard) -> Sequence[str]:
    return _above((*guard.suites, *guard.tests))


def _above(places: Iterable[str]) -> Sequence[str]:
    """The places, and every folder above them."""
    found = searched_for_settings(map(PurePosixPath, places))
    return ["" if str(at) == "." else str(at) for at in found]


def _frozen_with(test: str, sources: Sequence[str]) -> Iterator[str]:
    """A path of tests and the folder around it, whose helpers could weaken the tests as well."""
    yield test
    parts = PurePosixPath(test).parts
    folders = ["/".join(parts[: at + 1]) for at, part in enumerate(parts) if part in TEST_FOLDERS]
    if PurePosixPath(test).suffix:
        folders.append("/".join(parts[:-1]))
    around = (f for f in folders if f and not _holds_a_source(f, sources))
    yield from itertools.islice(around, 1)


def _holds_a_source(folder: str, sources: Iterable[str]) -> bool:
    return any(_is_below(source, folder) for source in sources)


def _inside(root: Path, paths: Iterable[Path]) -> tuple[str, ...]:
    """The paths as they are written and as they are once every link is followed."""
    real_root = os.path.realpath(root)
    found: dict[str, None] = {}
    for path in paths:
        found[_relative(str(path), str(root))] = None
        found[_relative(os.path.realpath(path), real_root)] = None
    return tuple(found)


def _relative(path: str, root: str) -> str:
    relative = os.path.relpath(path, root)
    return "" if relative == "." else relative


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _is_below(path: str, folder: str) -> bool:
    """Whether it is the folder or in it; nothing that leads out of the root is in the root."""
    if not folder:
        return not path.startswith("../")
    return path == folder or path.startswith(f"{folder}/")
