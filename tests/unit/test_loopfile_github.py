"""The key `github`: of whose concern it is, and what is wrong with it, each at its place."""

from __future__ import annotations

from pathlib import Path

import pytest
from loopfile_project import MINIMAL, only, place, plan_of, problems_of, project

from loopctl.bootstrap import redactor_of
from loopctl.model.plan import GithubRules

TOKEN = "ghs_0123456789abcdefABCDEF"
CI = {"GITHUB_ACTIONS": "true", "GITHUB_TOKEN": TOKEN}
TWO = "environments:\n  local: {platform: local}\n  staging: {platform: local}\n"


def written(folder: Path, github: str, rest: str = "") -> Path:
    return project(folder, f"{MINIMAL}{rest}github: {github}\n")


def rules(path: Path, environment: str | None = None, **variables: str) -> GithubRules:
    found = plan_of(path, environment, variables).github
    assert found is not None
    return found


def test_a_run_by_hand_tells_nothing_and_needs_none_of_its_variables(tmp_path: Path) -> None:
    path = written(tmp_path, '{token: "${GITHUB_TOKEN}", repository: "${WHERE}"}')
    assert rules(path) == GithubRules(silent=True)
    assert "WHERE" in only(problems_of(path, variables=CI)).message


def test_a_job_tells_and_its_token_is_a_secret_everywhere(tmp_path: Path) -> None:
    path = written(tmp_path, '{token: "${GITHUB_TOKEN:-}", labels: [incident], status: false}')
    plan = plan_of(path, variables=CI)
    assert plan.github is not None
    assert (plan.github.labels, plan.github.status, plan.github.issues) == (
        ("incident",),
        False,
        True,
    )
    assert redactor_of(plan).text(f"Bearer {TOKEN}") == "Bearer [redacted:github.token]"
    assert TOKEN not in repr(plan)


def test_an_empty_token_is_none(tmp_path: Path) -> None:
    path = written(tmp_path, '{token: "${GITHUB_TOKEN:-}"}')
    assert rules(path, GITHUB_ACTIONS="true").token is None


def test_environments_that_are_named_are_told_from_anywhere_and_no_others(tmp_path: Path) -> None:
    path = written(tmp_path, '{token: "${T:-}", environments: [staging]}', TWO)
    assert not rules(path, "staging").silent
    assert rules(path, "local", **CI).silent


WRONG = [
    ("{}", (10, 9), '"token" is missing'),
    (f"{{token: {TOKEN}}}", (10, 17), '"token" is written out here'),
    ('{token: "${T:-}", api: "http://hub.example.test"}', (10, 32), "where there is no TLS"),
    ('{token: "${T:-}", repository: shop}', (10, 39), "must look like owner/name"),
    ('{token: "${T:-}", environments: [stagin]}', (10, 42), 'no environment "stagin"'),
    ('{token: "${T:-}", labels: ["a,b"]}', (10, 36), "must be a label"),
    ('{token: "${T:-}", issue: true}', (10, 27), 'unknown key "issue"'),
]


@pytest.mark.parametrize(("github", "at", "said"), WRONG)
def test_what_is_wrong_is_said_at_its_place_without_the_token(
    tmp_path: Path, github: str, at: tuple[int, int], said: str
) -> None:
    problem = only(problems_of(written(tmp_path, github)))
    assert said in problem.message
    assert place(problem) == at
    assert TOKEN not in str(problem)
