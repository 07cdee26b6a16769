"""The keys of `remediate`: what goes with which, and what holds where nothing is said."""

from __future__ import annotations

from pathlib import Path

import pytest
from loopfile_project import MINIMAL, only, plan_of, problems_of, project


def test_bounds_and_branches_are_read(tmp_path: Path) -> None:
    text = MINIMAL + (
        "remediate:\n  per_day: 7\n  max_memory: 1Gi\n  rules:\n"
        "    - {when: {verdict: red}, do: run, command: [./fix.sh], branch: true, per_day: 3}\n"
        "    - {when: {stage: health}, do: raise-memory}\n"
        "    - {when: {stage: deploy}, do: wait}\n"
    )
    remediation = plan_of(project(tmp_path, text)).remediation
    assert (remediation.per_day, remediation.max_memory) == (7, 1 << 30)
    run, memory, wait = remediation.rules
    assert (run.branch, run.per_day) == (True, 3)
    assert (memory.do, memory.branch, memory.per_day) == ("raise-memory", False, None)
    assert wait.do == "wait"


def test_where_nothing_is_said_a_day_and_the_memory_are_bounded_all_the_same(
    tmp_path: Path,
) -> None:
    remediation = plan_of(project(tmp_path, MINIMAL)).remediation
    assert (remediation.per_day, remediation.max_memory) == (50, 2 << 30)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("{when: {verdict: red}, do: rebuild, branch: true}", '"branch" goes with `do: run` only'),
        ("{when: {verdict: red}, do: rebuild, per_day: 0}", "per_day"),
        ("{when: {verdict: red}, do: promote}", "do"),
        ("{when: {verdict: red}, do: delete-revisions}", "do"),
    ],
)
def test_what_does_not_go_together_is_told(tmp_path: Path, rule: str, said: str) -> None:
    text = f"{MINIMAL}remediate: {{rules: [{rule}]}}\n"
    problem = only(problems_of(project(tmp_path, text)))
    assert said in f"{problem.message} {problem.where}" or said in str(problem)


def test_migrations_are_globs_from_the_file_and_below_the_source(tmp_path: Path) -> None:
    text = MINIMAL.replace("source:", "migrations: [db/*.sql]\n    source:")
    (service,) = plan_of(project(tmp_path, text)).services
    assert "loops/db/*.sql" in service.migrations
    assert any(glob.endswith("/db/*.sql") and "loops" not in glob for glob in service.migrations)
