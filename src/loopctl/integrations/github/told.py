"""Who tells what on GitHub, for one run: as the loop file has it, and as the CI job is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NoReturn

from loopctl.errors import Stopped
from loopctl.found import Found
from loopctl.integrations.github.answers import Answer
from loopctl.integrations.github.client import DEFAULT_API, Repository
from loopctl.integrations.github.comment import PullComment
from loopctl.integrations.github.issues import LABEL, MOST, Issues
from loopctl.integrations.github.status import CommitStatus
from loopctl.model.addresses import keeps_secrets
from loopctl.model.ci_job import CiJob, CiSystem
from loopctl.model.plan import GithubRules
from loopctl.ports.announcer import AnnounceError, Announcement, Announcer, Herald
from loopctl.process import Stop

_CHECK_S: Final = 8.0
_NOTHING_TO_SHOW: Final = "github.token is empty here: nothing is sent"
_NO_REPOSITORY: Final = "github.repository names none, and this is no job of GitHub Actions"
_TAKE_AWAY: Final = "give it, or take `github` out of the loop file"


class NotTold:
    """Stands for all that cannot be sent, so that it is said once. No call reaches anybody."""

    name = "what is told on GitHub"

    def __init__(self, why: str) -> None:
        self._why = why

    def announce(self, run: Announcement, stop: Stop) -> NoReturn:
        """Raises `AnnounceError` with the reason."""
        raise AnnounceError(self._why)

    def preview(self, run: Announcement) -> str:
        """The reason."""
        return f"nothing: {self._why}"


def announcers(rules: GithubRules, job: CiJob | None) -> tuple[Announcer, ...]:
    """Everyone who tells something of a run that has ended."""
    if rules.silent or not (rules.issues or rules.comment or rules.status):
        return ()
    repository = _repository(rules, job)
    if isinstance(repository, str):
        return (NotTold(repository),)
    return (
        *([Issues(repository, rules.labels)] if rules.issues else []),
        *([PullComment(repository)] if rules.comment and _pull_of(repository, job) else []),
        *([CommitStatus(repository)] if rules.status and _has_source(repository, job) else []),
    )


def heralds(rules: GithubRules, job: CiJob | None) -> tuple[Herald, ...]:
    """Everyone who tells that a run begins; what cannot be told is said when it has ended."""
    if rules.silent or not rules.status:
        return ()
    repository = _repository(rules, job)
    if isinstance(repository, str) or not _has_source(repository, job):
        return ()
    return (CommitStatus(repository),)


def outlook(rules: GithubRules, job: CiJob | None, context: str) -> Sequence[str]:
    """What a run would tell to whom, each in words; `context` is `<loop>/<environment>`."""
    if rules.silent:
        return ("nothing on GitHub: neither a CI job nor named by github.environments",)
    if not announcers(rules, job):
        return ()
    repository = _repository(rules, job)
    if isinstance(repository, str):
        return (f"nothing on GitHub: {repository}",)
    labels = ", ".join([LABEL, *rules.labels])
    said = []
    if rules.issues:
        said.append(f"{repository.name}: an issue for each cause, at most {MOST}, as {labels}")
    if rules.comment and (number := _pull_of(repository, job)):
        said.append(f"{repository.name}: a comment on #{number}")
    if rules.status and _has_source(repository, job):
        said.append(f"{repository.name}: the status loopctl/{context} of a commit")
    return tuple(said)


def checkup(rules: GithubRules, job: CiJob | None, stop: Stop) -> Sequence[Found]:
    """Whether the token sees the repository; what it may write there is not told by GitHub."""
    if rules.silent or not (rules.issues or rules.comment or rules.status):
        return ()
    repository = _repository(rules, job)
    if isinstance(repository, str):
        return (Found("GitHub", ok=False, said=repository, hint=_TAKE_AWAY),)
    try:
        with stop.child(_CHECK_S) as limited:
            return (_judged(repository.get("", limited), rules, repository.name),)
    except AnnounceError as error:
        return (Found("GitHub", ok=False, said=error.what, hint=error.hint),)
    except Stopped:
        stop.remaining(0)
        return (Found.unknown("GitHub", f"no answer within {_CHECK_S:g} s"),)


def _judged(answer: Answer, rules: GithubRules, name: str) -> Found:
    if answer.object.get("archived") is True:
        said = f"{name} is archived: nothing can be written there"
        return Found("GitHub", ok=False, said=said, hint=_TAKE_AWAY)
    if rules.issues and answer.object.get("has_issues") is False:
        hint = "switch them on in its settings, or set github.issues to false"
        return Found("GitHub", ok=False, said=f"{name} has no issues", hint=hint)
    now = answer.object.get("full_name")
    if isinstance(now, str) and now.lower() != name.lower():
        hint = "give the new name as github.repository: nothing is written by way of a redirect"
        return Found("GitHub", ok=False, said=f"{name} has another name now", hint=hint)
    wanted = [
        *(["issues: write"] if rules.issues else []),
        *(["pull-requests: write"] if rules.comment else []),
        *(["statuses: write"] if rules.status else []),
    ]
    return Found("GitHub", ok=True, said=f"{name} is seen; to tell it takes {', '.join(wanted)}")


def _has_source(repository: Repository, job: CiJob | None) -> bool:
    """Whether what is tested is that repository's: not where a job names another for its issues."""
    known = job.repository if job is not None and job.system is CiSystem.GITHUB else None
    return known is None or known.lower() == repository.name.lower()


def _pull_of(repository: Repository, job: CiJob | None) -> int | None:
    """The number of the job's pull request, None where it has none in that repository."""
    if job is None or job.system is not CiSystem.GITHUB or not _has_source(repository, job):
        return None
    return job.pull_request


def _repository(rules: GithubRules, job: CiJob | None) -> Repository | str:
    """The repository, or why there is none."""
    on_github = job if job is not None and job.system is CiSystem.GITHUB else None
    name = rules.repository or (on_github.repository if on_github else None)
    if rules.token is None:
        return _NOTHING_TO_SHOW
    if name is None:
        return _NO_REPOSITORY
    api = rules.api or (on_github.api if on_github else None) or DEFAULT_API
    if not keeps_secrets(api):
        return "the API of this CI job has no TLS: the token is not sent there"
    return Repository(api, name, rules.token)
