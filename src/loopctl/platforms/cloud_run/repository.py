"""Whether images can be pushed to the place's repository, as far as it can be told without one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from loopctl.engine.registry import registry_answers
from loopctl.found import Found
from loopctl.platforms.cloud_run.known import enable
from loopctl.platforms.cloud_run.other_apis import OtherApis, permissions_in
from loopctl.process import Stop

API: Final = "artifactregistry"
_TITLE: Final = "registry"
_GOOGLES: Final = re.compile(
    r"(?P<location>[a-z0-9-]+)-docker\.pkg\.dev/(?P<project>[^/]+)/(?P<name>[^/]+)(?:/.*)?"
)
_PUSH: Final = "artifactregistry.repositories.uploadArtifacts"
_PULL: Final = "artifactregistry.repositories.downloadArtifacts"


@dataclass(frozen=True, slots=True)
class _Repository:
    """A repository of Artifact Registry."""

    location: str
    project: str
    name: str

    @property
    def path(self) -> str:
        return f"v1/projects/{self.project}/locations/{self.location}/repositories/{self.name}"

    @property
    def options(self) -> str:
        return f"--location={self.location} --project={self.project}"


def repository_found(
    apis: OtherApis,
    prefix: str,
    stop: Stop,
    answers: Callable[[str, Stop], str | None] = registry_answers,
) -> Iterator[Found]:
    """Whether the registry of `host/path` answers, and what this account may do there.

    `answers` asks it: None, or why it does not seem to.
    """
    prefix = prefix.rstrip("/")
    why = answers(prefix, stop)
    if why is not None:
        said, hint = f"{prefix} does not answer: {why}", "mend `repository` of this environment"
        yield Found(_TITLE, ok=False, said=said, hint=hint, where=prefix)
        return
    parts = _GOOGLES.fullmatch(prefix)
    if parts is None or not apis.are_googles:
        yield Found(_TITLE, ok=True, said=f"{prefix} answers")
        yield Found.unknown("registry's push", "a registry tells it when one pushes")
        return
    yield _of_google(apis, _Repository(**parts.groupdict()), prefix, stop)


def _of_google(apis: OtherApis, repository: _Repository, prefix: str, stop: Stop) -> Found:
    there = apis.get(API, repository.path, stop)
    if there is not None and there.is_disabled:
        hint = enable(API, repository.project)
        return Found(_TITLE, ok=False, said=there.message, hint=hint, where=prefix)
    if there is not None and there.is_not_found:
        said = f"there is no repository {repository.name} in {repository.location}"
        hint = (
            f"gcloud artifacts repositories create {repository.name} --repository-format=docker "
            f"{repository.options}"
        )
        return Found(_TITLE, ok=False, said=said, hint=hint, where=prefix)
    asked = [_PUSH, _PULL]
    granted = permissions_in(apis.granted(API, repository.path, asked, stop))
    if granted is None:
        return Found.unknown(_TITLE, f"{prefix} answers, and does not say what one may do there")
    lacks = [each for each in asked if each not in granted]
    if not lacks:
        return Found(_TITLE, ok=True, said=f"{prefix} takes pushes of this account and gives pulls")
    hint = (
        f"gcloud artifacts repositories add-iam-policy-binding {repository.name} "
        f"{repository.options} --member=user:YOU --role=roles/artifactregistry.writer"
    )
    said = f"this account lacks {' and '.join(lacks)} on {prefix}"
    return Found(_TITLE, ok=False, said=said, hint=hint, where=prefix)
