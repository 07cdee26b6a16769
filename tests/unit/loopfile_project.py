"""A small project on disk whose loop file the tests write."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path

from loopctl.errors import Problem, UsageError
from loopctl.loopfile.resolve import load
from loopctl.model.plan import Plan

TODAY = date(2026, 11, 21)

SERVICE = """\
version: 1
name: demo
services:
  chat:
    source: ../app
    run: {command: [python, app.py]}
"""

MINIMAL = f"""\
{SERVICE}suites:
  - id: smoke
    run: tests
"""


def project(folder: Path, text: str = MINIMAL, name: str = "demo") -> Path:
    """A git project with `app/` and `loops/NAME.yaml` in it; the path of the loop file."""
    (folder / ".git").mkdir(exist_ok=True)
    (folder / "app").mkdir(exist_ok=True)
    (folder / "app" / "app.py").write_text("print()\n")
    (folder / "loops").mkdir(exist_ok=True)
    path = folder / "loops" / f"{name}.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def plan_of(
    path: Path, environment: str | None = None, variables: Mapping[str, str] | None = None
) -> Plan:
    """The plan of a file that has no problems."""
    return load(path, environment=environment, variables=variables or {}, today=TODAY)


def problems_of(
    path: Path, environment: str | None = None, variables: Mapping[str, str] | None = None
) -> tuple[Problem, ...]:
    """The problems of a file; none when it has a plan."""
    try:
        plan_of(path, environment, variables)
    except UsageError as error:
        return error.problems
    return ()


def only(found: tuple[Problem, ...]) -> Problem:
    """The one problem there is."""
    assert len(found) == 1, [str(problem) for problem in found]
    return found[0]


def place(problem: Problem) -> tuple[int, int]:
    """Line and column of a problem."""
    assert problem.where is not None
    _, line, column = problem.where.rsplit(":", 2)
    return int(line), int(column)
