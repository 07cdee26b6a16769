"""A plan cut down to what a person asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches

from loopctl.errors import Problem, UsageError
from loopctl.model.options import RunOptions
from loopctl.model.plan import Plan, RemediationMode


def select(plan: Plan, options: RunOptions) -> Plan:
    """The plan with only the chosen suites and services, and the options' bounds.

    Raises `UsageError` naming every name that is not in the plan, and an empty selection.
    """
    problems = [
        *_unknown("suite", options.suites, [suite.id for suite in plan.suites]),
        *_unknown("service", options.services, [spec.name for spec in plan.deployed]),
        *_unknown("priority", options.priorities, ["P0", "P1", "P2", "P3"]),
    ]
    suites = tuple(
        suite
        for suite in plan.suites
        if (not options.suites or suite.id in options.suites)
        and (not options.priorities or suite.priority.value in options.priorities)
    )
    if not problems and plan.suites and not suites:
        problems.append(Problem("no suite is left by this selection of --suite and --priority"))
    if problems:
        raise UsageError("nothing was run", problems)
    services = tuple(
        spec
        for spec in plan.services
        if not options.services or spec.name in options.services or not spec.is_deployed
    )
    limits = replace(
        plan.limits,
        max_cycles=plan.limits.max_cycles if options.max_cycles is None else options.max_cycles,
        deadline_s=plan.limits.deadline_s if options.deadline_s is None else options.deadline_s,
    )
    mode = RemediationMode(options.remediate) if options.remediate else plan.remediation.mode
    remediation = replace(plan.remediation, mode=mode)
    return replace(plan, suites=suites, services=services, limits=limits, remediation=remediation)


def _unknown(what: str, given: Sequence[str], known: Sequence[str]) -> list[Problem]:
    return [_problem(what, name, known) for name in given if name not in known]


def _problem(what: str, name: str, known: Sequence[str]) -> Problem:
    near = get_close_matches(name, known, n=1)
    listed = ", ".join(known) or "none"
    hint = f"did you mean {near[0]}?" if near else f"this loop has: {listed}"
    return Problem(f"there is no {what} named {name!r}", where=f"--{what}", hint=hint)
