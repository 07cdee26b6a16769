"""What a suite's `run` names, and where its settings are looked for besides."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TypeVar

from loopctl.model.plan import SuiteKind, SuiteSpec

# Where pytest and coverage look for their settings, from the tests upwards (docs.pytest.org,
# "Configuration", and coverage.readthedocs.io, "Configuration reference").
SETTINGS = (
    *("pytest.ini", ".pytest.ini", "pytest.toml", ".pytest.toml"),
    *("pyproject.toml", "tox.ini", "setup.cfg", ".coveragerc", ".coveragerc.toml"),
)
CONFTEST = "conftest.py"

# Of pytest's options these take a word of their own, which is no path to tests.
_TAKES_A_WORD = frozenset(
    {
        *("-k", "-m", "-o", "-W", "-r", "-n", "--tb", "--maxfail", "--durations"),
        *("--cov", "--cov-report", "--junitxml", "--junit-xml", "--basetemp", "--import-mode"),
        *("--ignore", "--ignore-glob", "--deselect", "--rootdir", "--confcutdir", "--timeout"),
        *("--log-level", "--log-file", "--color", "--capture", "--override-ini", "--dist"),
    }
)
_LONGEST_NAME = 255  # NAME_MAX of Linux
_LONGEST_WORD = 2000  # PATH_MAX is 4096, with the suite's folder before it

_PLUGIN = "-p"
_NAMES_SETTINGS = frozenset({"-c", "--config-file", "--cov-config", _PLUGIN})
_GLUED = ("-c", _PLUGIN)

Place = TypeVar("Place", bound=PurePath)


@dataclass(frozen=True, slots=True)
class Named:
    """The words of a `run` that may name files, relative to the suite's folder.

    `tests` are files and folders of tests, without what follows `::`; `settings` the files that
    options name: of settings (`-c`), of arguments (`@FILE`), of a plugin (`-p`).
    """

    tests: tuple[str, ...]
    settings: tuple[str, ...]


def named_by(run: str) -> Named:
    """What the words of `run` may name. A word that names nothing harms not."""
    tests: list[str] = []
    settings: list[str] = []
    words = iter(_words(run))
    for word in words:
        option, value = _option(word)
        if option in _NAMES_SETTINGS:
            settings += _files_of(option, value or next(words, ""))
        elif word in _TAKES_A_WORD:
            next(words, None)
        elif word.startswith("@"):
            settings += _files_of(option, word[1:])
        elif not word.startswith("-"):
            tests.append(word.partition("::")[0])
    return Named(tuple(filter(_can_be_a_name, tests)), tuple(filter(_can_be_a_name, settings)))


def places_of_tests(suite: SuiteSpec) -> tuple[Path, ...]:
    """What the suite's tests are in: what `run` names, and its folder where none of that exists."""
    of_shell = suite.kind is SuiteKind.COMMAND
    words = _named_in_shell(suite.run) if of_shell else named_by(suite.run).tests
    named = [_in_folder(suite, word) for word in words]
    return tuple(named if any(path.exists() for path in named) else [*named, suite.cwd])


def settings_of(suite: SuiteSpec) -> tuple[Path, ...]:
    """The files that options of pytest in `run` name; some may not exist."""
    if suite.kind is SuiteKind.COMMAND:
        return ()
    return tuple(_in_folder(suite, word) for word in named_by(suite.run).settings)


def searched_for_settings(places: Iterable[Place]) -> tuple[Place, ...]:
    """The folders where pytest looks for settings and `conftest.py`.

    `places` are the tests and where they run; each counts, and every folder above it.
    """
    return tuple(dict.fromkeys(folder for at in places for folder in (at, *at.parents)))


def _named_in_shell(line: str) -> Sequence[str]:
    """The words of a shell line that may name scripts, settings and tests, as deep as it quotes."""
    values = (w.partition("=")[2] if w.startswith("-") else w for w in _shell_words(line))
    return [word for word in dict.fromkeys(values) if word and _can_be_a_name(word)]


def _shell_words(line: str) -> Iterator[str]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    try:
        words = list(lexer)
    except ValueError:
        words = line.split()
    for word in words:
        yield word
        if word != line and any(map(str.isspace, word)):
            yield from _shell_words(word)


def _in_folder(suite: SuiteSpec, word: str) -> Path:
    return Path(os.path.normpath(suite.cwd / word))


def _can_be_a_name(word: str) -> bool:
    """Whether the system takes it for a path: a word may be a whole script, as of `sh -c`."""
    sizes = [len(os.fsencode(part)) for part in word.split("/")]
    return "\0" not in word and max(sizes) <= _LONGEST_NAME and sum(sizes) <= _LONGEST_WORD


def _words(run: str) -> Sequence[str]:
    try:
        return shlex.split(run)
    except ValueError:
        return run.split()  # the suite will not start, and its folder is guarded by names


def _option(word: str) -> tuple[str, str]:
    """An option and what is written to it in the same word: `--name=value`, `-cvalue`."""
    for short in _GLUED:
        if word.startswith(short):
            return short, word.removeprefix(short).removeprefix("=")
    option, _, value = word.partition("=")
    return option, value


def _files_of(option: str, value: str) -> Iterator[str]:
    """What an option reads. `python -m pytest` looks for plugins where it runs, before all else."""
    if option != _PLUGIN:
        yield from (value,) if value else ()
    elif value and not value.startswith("no:"):
        module = value.replace(".", "/")
        yield from (f"{module}.py", f"{module}/__init__.py")
