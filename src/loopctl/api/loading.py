"""From a loop file to a plan."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from loopctl.errors import Problem, UsageError
from loopctl.model.plan import Plan
from loopctl.model.quantity import duration as parse_duration


def load(
    loop: str,
    *,
    environment: str | None = None,
    cwd: Path | None = None,
    variables: Mapping[str, str] | None = None,
) -> Plan:
    """The plan of a loop for one environment, the file's default one unless named.

    `loop` is a name, looked for as `loops/NAME.yaml` from `cwd` upwards, or a path. `variables` are
    what `${…}` is filled in from; the process's own environment unless given. Raises `UsageError`
    with every problem of the file. Keys of a later version are none: they stand in `Plan.later`,
    and `run` refuses them.
    """
    from loopctl.loopfile.find import find_loop
    from loopctl.loopfile.resolve import load as resolve

    path = find_loop(loop, cwd or Path.cwd())
    given = os.environ if variables is None else variables
    return resolve(path, environment=environment, variables=given)


def validate(loops: Sequence[str], *, cwd: Path | None = None) -> Sequence[Plan]:
    """Load each loop for its default environment; all loops here where none is named.

    Files beside the loops that are only parts of them are checked through the loops that name them.
    Raises `UsageError` with every problem of every file. Keys of a later version are no problem
    here: they stand in `Plan.later`.
    """
    from loopctl.triage.loading import load_catalogue

    here = cwd or Path.cwd()
    names, parts = (list(loops), frozenset[str]()) if loops else _loops_here(here)
    if not names:
        raise UsageError("there is no loop file here", [Problem("no loops/*.yaml was found")])
    plans: list[Plan] = []
    problems: list[Problem] = []
    for name in names:
        try:
            plan = load(name, cwd=here)
            if plan.signatures:
                load_catalogue(plan.signatures)
            plans.append(plan)
        except UsageError as error:
            if name not in parts:
                problems += [problem for problem in error.problems if problem not in problems]
    if problems:
        raise UsageError(f"{len(problems)} problem{'s' * (len(problems) > 1)}", problems)
    return plans


def _loops_here(here: Path) -> tuple[list[str], frozenset[str]]:
    """The names of all loops here; those of them that need not be loops of their own."""
    from loopctl.loopfile.find import find_loop, loop_names
    from loopctl.loopfile.parts import parts_of_others

    paths = {name: find_loop(name, here) for name in loop_names(here)}
    parts = parts_of_others(tuple(paths.values()), os.environ)
    return list(paths), frozenset(name for name, path in paths.items() if path in parts)


def schema() -> Mapping[str, object]:
    """The JSON Schema of the loop file."""
    from loopctl.loopfile.schema import json_schema

    return json_schema()


def duration(text: str) -> float:
    """Seconds in `250ms`, `30s`, `5m` or `2h`; raises `UsageError`."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise UsageError("nothing was run", [Problem(f"{text!r} {error}")]) from error
