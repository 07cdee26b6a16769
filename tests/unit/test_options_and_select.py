"""What a person asked for: cut down to it, and told when it is not the whole."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
from loop_rig import a_plan, a_service, a_suite

from loopctl.api.beginning import check_options
from loopctl.errors import ExitCode, UsageError
from loopctl.model.options import RunOptions
from loopctl.model.plan import Plan, Priority, Remediation, RemediationMode
from loopctl.model.select import select
from loopctl.model.state import State

GATED = a_service("pay", url="https://pay.example")


@pytest.fixture
def plan() -> Plan:
    suites = [a_suite("auth", Priority.P0), a_suite("core"), a_suite("extra", Priority.P3)]
    return a_plan([a_service("chat"), a_service("worker"), GATED], suites, Path("/project"))


def chosen(plan: Plan) -> tuple[list[str], list[str]]:
    return [s.name for s in plan.services], [s.id for s in plan.suites]


def test_no_options_are_the_whole_plan(plan: Plan) -> None:
    assert select(plan, RunOptions()) == plan
    assert RunOptions().partial(plan) is None


@pytest.mark.parametrize(
    ("options", "suites"),
    [
        (RunOptions(suites=("core",)), ["core"]),
        (RunOptions(suites=("extra", "auth")), ["auth", "extra"]),
        (RunOptions(priorities=("P0", "P3")), ["auth", "extra"]),
        (RunOptions(suites=("auth", "core"), priorities=("P1",)), ["core"]),
    ],
)
def test_suites_are_chosen_by_name_and_by_priority(
    plan: Plan, options: RunOptions, suites: list[str]
) -> None:
    assert chosen(select(plan, options))[1] == suites
    assert options.partial(plan) is not None


def test_chosen_services_keep_those_that_are_only_depended_on(plan: Plan) -> None:
    assert chosen(select(plan, RunOptions(services=("chat",))))[0] == ["chat", "pay"]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (RunOptions(suites=("core",)), "partial, by --suite"),
        (RunOptions(services=("chat",)), "partial, by --service"),
        (RunOptions(priorities=("P0",)), "partial, by --priority"),
        (RunOptions(start=State.HEALTH), "partial, by --from health"),
        (RunOptions(start=State.VERIFY), "partial, by --from verify"),
        (
            RunOptions(suites=("core",), start=State.VERIFY),
            "partial, by --suite and --from verify",
        ),
    ],
)
def test_a_run_of_less_than_all_may_not_promote_and_says_why(
    plan: Plan, options: RunOptions, why: str
) -> None:
    assert options.partial(plan) == why


@pytest.mark.parametrize(
    "options",
    [
        RunOptions(suites=("extra", "core", "auth")),
        RunOptions(services=("worker", "chat")),
        RunOptions(priorities=("P0", "P1", "P2", "P3")),
        RunOptions(start=State.BUILD),
        RunOptions(keep=True),
    ],
)
def test_a_selection_of_everything_is_no_selection(plan: Plan, options: RunOptions) -> None:
    assert options.partial(plan) is None


def test_every_unknown_name_is_told_at_once_with_the_nearest(plan: Plan) -> None:
    options = RunOptions(suites=("cor", "zzz"), services=("chta", "pay"), priorities=("P9",))
    with pytest.raises(UsageError) as raised:
        select(plan, options)
    assert raised.value.exit_code is ExitCode.USAGE
    said = [(p.where, p.hint) for p in raised.value.problems]
    assert said[0] == ("--suite", "did you mean core?")
    assert said[1] == ("--suite", "this loop has: auth, core, extra")
    assert said[2] == ("--service", "did you mean chat?")
    assert said[3][0] == "--service", "what is only depended on cannot be chosen"
    assert said[4][0] == "--priority"


def test_a_selection_that_leaves_no_suite_is_refused(plan: Plan) -> None:
    with pytest.raises(UsageError, match="no suite is left"):
        select(plan, RunOptions(suites=("core",), priorities=("P0",)))


def test_a_loop_without_suites_is_not_refused_for_that(plan: Plan) -> None:
    bare = a_plan([a_service()], [], Path("/project"))
    assert select(bare, RunOptions()) == bare


def test_bounds_of_the_options_go_before_those_of_the_plan(plan: Plan) -> None:
    bounded = select(plan, RunOptions(max_cycles=1, deadline_s=9.0, remediate="off"))
    assert (bounded.limits.max_cycles, bounded.limits.deadline_s) == (1, 9.0)
    assert bounded.remediation.mode is RemediationMode.OFF
    assert bounded.limits.jobs == plan.limits.jobs


@pytest.mark.parametrize("deadline_s", [0.0, -1.0, float("nan")])
@pytest.mark.parametrize("max_cycles", [0, -1])
def test_bounds_that_leave_nothing_are_refused_and_never_ignored(
    plan: Plan, deadline_s: float, max_cycles: int
) -> None:
    with pytest.raises(UsageError) as raised:
        check_options(plan, RunOptions(max_cycles=max_cycles, deadline_s=deadline_s))
    assert [p.where for p in raised.value.problems] == ["--max-cycles", "--deadline"]
    assert raised.value.exit_code is ExitCode.USAGE


@pytest.mark.parametrize("asked", ["off", "propose", "auto"])
@pytest.mark.parametrize("ceiling", [None, *RemediationMode])
def test_a_mode_is_only_lowered_where_the_loop_file_names_one(
    plan: Plan, ceiling: RemediationMode | None, asked: Literal["off", "propose", "auto"]
) -> None:
    mode = ceiling or RemediationMode.PROPOSE
    named = replace(plan, remediation=Remediation(mode=mode, ceiling=ceiling))
    order = ["off", "propose", "auto"]
    if ceiling is not None and order.index(asked) > order.index(ceiling):
        with pytest.raises(UsageError, match="at most"):
            check_options(named, RunOptions(remediate=asked))
    else:
        check_options(named, RunOptions(remediate=asked))
        assert select(named, RunOptions(remediate=asked)).remediation.mode == asked
