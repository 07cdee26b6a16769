"""What a remedy may change in the work tree, and what it must leave as it was. Pure but for links.

The plan is frozen at the start of a run, and tests that a remedy could weaken would prove
nothing: whatever decides about green is out of its reach, unless `remediate.may_edit` names it.
"""

from __future__ import annotations

import itertools
import os
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from loopctl.model.plan import Plan, SuiteSpec
from loopctl.stages.path_glob import covers
from loopctl.stages.shadowed_modules import replaces_a_module

TEST_FOLDERS = frozenset({"test", "tests"})
_TEST_NAMES = ("test_*.py", "*_test.py", "conftest.py")

# Python reads these by itself, so they reach into every test process; an entry point may load a
# plugin into pytest.
_IN_EVERY_PROCESS = ("*.pth", "entry_points.txt")

# It hides new files from git, and with them from the comparison.
_HIDES = ".git/info/exclude"

# Where pytest and coverage look for their settings, from the tests upwards (docs.pytest.org,
# "Configuration", and coverage.readthedocs.io, "Configuration reference").
SETTINGS = (
    *("pytest.ini", ".pytest.ini", "pytest.toml", ".pytest.toml"),
    *("pyproject.toml", "tox.ini", "setup.cfg", ".coveragerc"),
)

# Of pytest's options these take a word of their own, which is no path to tests.
_TAKES_A_WORD = frozenset(
    {
        *("-k", "-m", "-p", "-o", "-W", "-r", "-n", "--tb", "--maxfail", "--durations"),
        *("--cov", "--cov-report", "--junitxml", "--junit-xml", "--basetemp", "--import-mode"),
        *("--ignore", "--ignore-glob", "--deselect", "--rootdir", "--confcutdir", "--timeout"),
        *("--log-level", "--log-file", "--color", "--capture", "--override-ini", "--dist"),
    }
)
_NAMES_SETTINGS = frozenset({"-c", "--config-file", "--cov-config"})


@dataclass(frozen=True, slots=True)
class Guard:
    """Paths relative to the project root, `""` for the root itself.

    `sources` are the folders of the services' sources; `frozen` the loop files, the signatures,
    the suites' interpreters and what hides files from git; `tests` what the suites' `run`
    names; `suites` the folders that the suites run in; `may_edit` globs of what may be changed
    besides the sources.
    """

    sources: tuple[str, ...]
    frozen: tuple[str, ...]
    tests: tuple[str, ...]
    suites: tuple[str, ...]
    may_edit: tuple[str, ...]


def forbidden(changed: Sequence[str], guard: Guard) -> tuple[str, ...]:
    """Which of the changed paths may not have been changed, sorted."""
    return tuple(sorted(path for path in changed if not _is_allowed(path, guard)))


def guard_of(plan: Plan) -> Guard:
    """The guard of a plan. A path that is reached through a link counts by both its names."""
    root = plan.root
    sources = _inside(root, (s.source for s in plan.services if s.source is not None))
    loop_files = [plan.path, *(root / name for name in plan.files or ())]
    pythons = (suite.python for suite in plan.suites if suite.python and "/" in suite.python)
    suites = _inside(root, (suite.cwd for suite in plan.suites))
    tests = _inside(root, (path for suite in plan.suites for path in _named(suite)))
    return Guard(
        sources=sources,
        # The link of a virtual environment, not the machine's own interpreter behind it.
        frozen=(
            *_inside(root, [*loop_files, *plan.signatures]),
            *(_relative(python, str(root)) for python in pythons),
            _HIDES,
        ),
        tests=tuple(dict.fromkeys(path for test in tests for path in _frozen_with(test, sources))),
        suites=suites,
        may_edit=plan.remediation.may_edit,
    )


def always_read(guard: Guard, root: Path) -> tuple[Path, ...]:
    """The files and folders to be compared although git ignores them; some may not exist."""
    names = (*SETTINGS, "conftest.py")
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
    if path in guard.frozen or replaces_a_module(path, guard.suites):
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
    return name in SETTINGS and folder in _settings_folders(guard)


def _settings_folders(guard: Guard) -> Sequence[str]:
    """Where pytest looks for settings: the tests, where they run, and every folder above."""
    places = dict.fromkeys([*guard.suites, *guard.tests])
    above = (folder for place in places for folder in _with_parents(place))
    return tuple(dict.fromkeys(above))


def _with_parents(place: str) -> Iterator[str]:
    yield place
    while place:
        place = place.rpartition("/")[0]
        yield place


def _named(suite: SuiteSpec) -> Iterator[Path]:
    """What the words of `run` may name, else where it runs. A word that names nothing harms not."""
    named = list(_named_by(suite.run))
    yield from (Path(os.path.normpath(suite.cwd / word)) for word in named or ["."])


def _named_by(run: str) -> Iterator[str]:
    words = iter(_words(run))
    for word in words:
        if word in _TAKES_A_WORD:
            next(words, None)
        elif word in _NAMES_SETTINGS:
            yield next(words, ".")
        elif word.startswith("-"):
            option, _, value = word.partition("=")
            if value and option in _NAMES_SETTINGS:
                yield value
        else:
            yield word.partition("::")[0]


def _words(run: str) -> Sequence[str]:
    try:
        return shlex.split(run)
    except ValueError:
        return run.split()  # the suite will not start, and its folder is guarded by names


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
