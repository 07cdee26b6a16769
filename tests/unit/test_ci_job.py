from __future__ import annotations

from loopctl.model.ci_job import CiJob, CiSystem, ci_job

_GITHUB = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_SERVER_URL": "https://github.com",
    "GITHUB_REPOSITORY": "acme/chat",
    "GITHUB_RUN_ID": "77",
    "GITHUB_SHA": "0" * 40,
}


def test_outside_of_ci_there_is_no_job() -> None:
    assert ci_job({"CI": "true", "GITHUB_SHA": "0" * 40}) is None


def test_a_job_of_github_tells_its_page_its_commit_and_its_pull_request() -> None:
    found = ci_job({**_GITHUB, "GITHUB_REF": "refs/pull/12/merge"})
    page = "https://github.com/acme/chat/actions/runs/77"
    assert found == CiJob(CiSystem.GITHUB, page, "acme/chat", "0" * 40, 12)


def test_a_repository_that_is_no_name_is_not_believed() -> None:
    found = ci_job({**_GITHUB, "GITHUB_REPOSITORY": "../../x y"})
    assert found == CiJob(CiSystem.GITHUB, commit="0" * 40)


def test_a_job_of_gitlab_tells_the_same() -> None:
    variables = {
        "GITLAB_CI": "true",
        "CI_JOB_URL": "https://gitlab.test/a/b/-/jobs/1",
        "CI_PROJECT_PATH": "a/b",
        "CI_COMMIT_SHA": "f" * 40,
        "CI_MERGE_REQUEST_IID": "3",
    }
    page = "https://gitlab.test/a/b/-/jobs/1"
    assert ci_job(variables) == CiJob(CiSystem.GITLAB, page, "a/b", "f" * 40, 3)


def test_a_system_that_is_named_is_believed_where_its_variables_say_nothing() -> None:
    assert ci_job({}, CiSystem.GITLAB) == CiJob(CiSystem.GITLAB)
    assert ci_job({"GITLAB_CI": "true"}, CiSystem.GITHUB) == CiJob(CiSystem.GITHUB)
