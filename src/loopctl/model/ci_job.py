"""The CI job that a run is made in, as its variables tell of it. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

_PULL: Final = re.compile(r"refs/pull/(\d{1,10})/(?:merge|head)")
_REPOSITORY: Final = re.compile(r"[\w.-]{1,100}/[\w.-]{1,100}")


class CiSystem(StrEnum):
    """The CI systems whose logs loopctl knows how to fold and to mark."""

    GITHUB = "github"
    GITLAB = "gitlab"


@dataclass(frozen=True, slots=True)
class CiJob:
    """Where a run is made, when that is a CI system.

    `url` is the page of the job, `repository` `owner/name` on GitHub and the path of the project
    on GitLab, `commit` what the job was begun for, `pull_request` its number, None outside of one.
    `api` is the root of GitHub's API there, which of an enterprise is another.
    """

    system: CiSystem
    url: str | None = None
    repository: str | None = None
    commit: str | None = None
    pull_request: int | None = None
    api: str | None = None


def ci_job(variables: Mapping[str, str], system: CiSystem | None = None) -> CiJob | None:
    """The job that these variables of the environment tell of, None outside of CI.

    `system` is what it is taken for whatever they say, as in a container that was not given all.
    Names: GitHub's "Variables reference" of Actions, GitLab's "Predefined CI/CD variables".
    """
    match system or _system(variables):
        case CiSystem.GITHUB:
            return _github(variables)
        case CiSystem.GITLAB:
            return _gitlab(variables)
        case None:
            return None


def _system(variables: Mapping[str, str]) -> CiSystem | None:
    if variables.get("GITHUB_ACTIONS") == "true":
        return CiSystem.GITHUB
    return CiSystem.GITLAB if variables.get("GITLAB_CI") == "true" else None


def _github(variables: Mapping[str, str]) -> CiJob:
    repository = variables.get("GITHUB_REPOSITORY", "")
    server, run = variables.get("GITHUB_SERVER_URL"), variables.get("GITHUB_RUN_ID")
    known = repository if _REPOSITORY.fullmatch(repository) else None
    pull = _PULL.fullmatch(variables.get("GITHUB_REF", ""))
    return CiJob(
        CiSystem.GITHUB,
        url=f"{server}/{known}/actions/runs/{run}" if known and server and run else None,
        repository=known,
        commit=variables.get("GITHUB_SHA") or None,
        pull_request=int(pull.group(1)) if pull else None,
        api=variables.get("GITHUB_API_URL") or None,
    )


def _gitlab(variables: Mapping[str, str]) -> CiJob:
    number = variables.get("CI_MERGE_REQUEST_IID", "")
    return CiJob(
        CiSystem.GITLAB,
        url=variables.get("CI_JOB_URL") or None,
        repository=variables.get("CI_PROJECT_PATH") or None,
        commit=variables.get("CI_COMMIT_SHA") or None,
        pull_request=int(number) if number.isascii() and number.isdigit() else None,
    )
