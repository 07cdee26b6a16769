"""The interpreter a suite runs in: where it is, and whether it has a pytest that will do."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from loopctl.errors import Problem
from loopctl.process import Stop, capture

OLDEST_PYTHON = (3, 8)
OLDEST_PYTEST = 7
_PROBE_SECONDS = 60.0

# Runs in whatever `python` turns out to be, Python 2 too, and asks all there is to ask at once.
_PROBE = """
import json, sys
def version(name):
    try:
        return getattr(__import__(name), "__version__", "0")
    except Exception:
        return None
found = {"python": sys.version_info[:3], "pytest": version("pytest"), "pip": version("pip")}
print(json.dumps(found))
"""


@dataclass(frozen=True, slots=True)
class Interpreter:
    """What an interpreter said of itself; `pytest` and `pip` are None where they are missing."""

    python: tuple[int, ...]
    pytest: str | None
    pip: str | None


def locate(python: str | None, cwd: Path) -> Path | None:
    """The interpreter named in the loop file: relative to `cwd`, else by `PATH`.

    Links are not followed: a virtual environment is known by the path of its link. None when there
    is none that can be executed; loopctl's own interpreter when none is named.
    """
    if python is None:
        return Path(sys.executable)
    beside = cwd / python
    if beside.is_file() and os.access(beside, os.X_OK):
        return beside
    found = shutil.which(python) if "/" not in python else None
    return Path(found) if found else None


def ask(executable: Path, cwd: Path, env: Mapping[str, str], stop: Stop) -> Interpreter | str:
    """Start the interpreter once and ask; a sentence when it gives no answer."""
    try:
        with stop.child(_PROBE_SECONDS) as limit:
            ended, out, err = capture(
                [str(executable), "-c", _PROBE], cwd=cwd, env=env, stop=limit, kept=True
            )
    except OSError as problem:
        return f"cannot be started: {problem.strerror or problem}"
    stop.remaining(0)
    try:
        told = json.loads(out.splitlines()[-1])
        return Interpreter(tuple(told["python"]), told["pytest"], told["pip"])
    except (ValueError, KeyError, TypeError, IndexError):
        lines = err.decode("utf-8", "replace").split("\n")
        said = next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")
        return f"is no working Python (exit code {ended.code}): {said}"


def missing_interpreter(python: str, where: str) -> Problem:
    """The problem of an interpreter that is not there, with the command that makes it."""
    path = Path(python)
    in_venv = path.parent.name == "bin"
    venv, name = str(path.parent.parent), path.name
    hint = (
        f"python3 -m venv {shlex.quote(venv)} && {shlex.quote(f'{venv}/bin/{name}')}"
        f' -m pip install "pytest>={OLDEST_PYTEST}"'
        if in_venv
        else "name an interpreter that exists, or leave `python` out to use loopctl's own"
    )
    return Problem(f"the interpreter {python} does not exist", where=where, hint=hint)


def shortcoming(found: Interpreter | str, shown: str, where: str) -> Problem | None:
    """What keeps this interpreter from running a suite; None when it will do."""
    quoted = shlex.quote(shown)
    if isinstance(found, str):
        hint = f"{quoted} -c 'import sys; print(sys.version)'"
        return Problem(f"the interpreter {shown} {found}", where=where, hint=hint)
    if found.python < OLDEST_PYTHON:
        told = ".".join(map(str, found.python))
        least = ".".join(map(str, OLDEST_PYTHON))
        return Problem(
            f"{shown} is Python {told}; a suite needs {least} or later",
            where=where,
            hint="point the suite's `python` at a later interpreter",
        )
    install = f'{quoted} -m pip install "pytest>={OLDEST_PYTEST}"'
    if found.pip is None:
        install = f"{quoted} -m ensurepip && {install}"
    if found.pytest is None:
        named = f"{install}; or let `python` name the interpreter that has the tests' packages"
        return Problem(f"{shown} has no pytest", where=where, hint=named)
    major = found.pytest.partition(".")[0]
    if not major.isdigit() or int(major) < OLDEST_PYTEST:
        said = f"{shown} has pytest {found.pytest}; {OLDEST_PYTEST} or later is needed"
        return Problem(said, where=where, hint=install)
    return None
