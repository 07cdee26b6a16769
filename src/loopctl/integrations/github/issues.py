"""One issue for each cause: found again by its mark, told of each run once, never closed.

Every step can be the last before a kill, and everything may be told again. So a run is told by a
comment first, which carries its mark, and then by a row in the issue's table: a row means that all
is done, a comment without one that only the row is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from loopctl.errors import Stopped
from loopctl.integrations.github.answers import (
    Answer,
    ForbiddenError,
    GoneError,
    LaterError,
    TokenError,
    UnsureError,
)
from loopctl.integrations.github.authors import Authors
from loopctl.integrations.github.client import Repository
from loopctl.integrations.github.marks import cause_id, causes_in, has_line, run_mark
from loopctl.integrations.github.seen import Seen, Sightings
from loopctl.integrations.github.wording import issue_body, issue_title, sighting, twin_body
from loopctl.model.state import Verdict
from loopctl.ports.announcer import AnnouncedCause, AnnounceError, Announcement
from loopctl.process import Stop

LABEL: Final = "loopctl"
"""By which issues are found again."""

MOST: Final = 5
"""How many causes of one run are told, the worst."""

_PAGES: Final = 10
_TOLD: Final = frozenset({Verdict.RED, Verdict.UNPROVEN, Verdict.UNDELIVERED})
#: After these no other cause can be told either.
_FOR_ALL: Final = (TokenError, ForbiddenError, GoneError, LaterError)
#: Whose clock is right, GitHub's or ours, nobody needs to know.
_CLOCKS: Final = timedelta(days=1)
_SUM: Final = " more kinds of failure"


@dataclass(frozen=True, slots=True)
class Issue:
    """An issue as the list of them has it."""

    number: int
    body: str
    closed: bool
    labelled: bool

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Issue | None:
        """None for a pull request, which the list has too, and for what is none."""
        number, body = told.get("number"), told.get("body")
        if not isinstance(number, int) or "pull_request" in told:
            return None
        labels = told.get("labels")
        names = {_label(each) for each in labels} if isinstance(labels, list) else set()
        text = body if isinstance(body, str) else ""
        return cls(number, text, told.get("state") == "closed", LABEL in names)


class Issues:
    """Tells the causes of a run. For one thread; `labels` are put on new issues."""

    name = "an issue on GitHub"

    def __init__(self, repository: Repository, labels: Sequence[str] = ()) -> None:
        self._repository = repository
        self._labels = [LABEL, *(label for label in labels if label.lower() != LABEL)]
        self._authors = Authors(repository)

    def announce(self, run: Announcement, stop: Stop) -> Sequence[str]:
        """Tell its worst causes; see `Announcer`."""
        causes = told_causes(run)
        if not causes:
            return ()
        found = self._found({cause_id(cause.fingerprint) for cause in causes}, stop)
        told: list[str] = []
        failed: list[str] = []
        for number, cause in enumerate(causes):
            try:
                issue = found.get(cause_id(cause.fingerprint))
                told.append(self._tell(run, cause, issue, stop))
            except _FOR_ALL as error:
                raise AnnounceError(_so_far(error.what, number, causes)) from error
            except AnnounceError as error:
                failed.append(error.what)
            except Stopped as stopped:
                if not number:
                    raise
                raise AnnounceError(_so_far("the time is up", number, causes)) from stopped
        if failed:
            raise AnnounceError(f"{len(failed)} of {len(causes)} causes: {'; '.join(failed)}")
        rest = len(run.causes) - len(causes)
        return [*told, *([f"{rest} more without an issue of their own"] if rest else [])]

    def preview(self, run: Announcement) -> str:
        """The issues as they would be made, where none of the same cause is there yet."""
        told = [
            f"{issue_title(cause)}\n{issue_body(cause, Sightings().plus(Seen.of(run, cause)))}"
            for cause in told_causes(run)
        ]
        return "\n\n".join(told) or "nothing: it has shown no cause"

    def _tell(
        self, run: Announcement, cause: AnnouncedCause, issue: Issue | None, stop: Stop
    ) -> str:
        if issue is not None:
            return self._seen_again(run, cause, issue, stop)
        made = self._made(run, cause, stop)
        twin = self._first({cause_id(cause.fingerprint)}, 1, stop).get(
            cause_id(cause.fingerprint), made
        )
        if twin.number < made.number:
            # Another run made one at the same moment: the older is kept up from now on.
            body = twin_body(made.body, twin.number)
            self._repository.change(f"issues/{made.number}", {"body": body}, stop)
            return self._seen_again(run, cause, twin, stop)
        if not made.labelled:
            raise AnnounceError(
                f"issue #{made.number} is without the label {LABEL}, by which it is found again: "
                "the token may not set labels"
            )
        return f"opened issue #{made.number}"

    def _found(self, wanted: set[str], stop: Stop) -> dict[str, Issue]:
        """The issues of these causes, of several the oldest.

        By the label. Where that is missing, as where somebody took it away, by a look at the
        newest hundred of all issues: of those that outsiders did not write.
        """
        found = self._first(wanted, _PAGES, stop)
        if missing := wanted - found.keys():
            asked = self._repository.pages("issues", 1, stop, state="all", sort="updated")
            for told in _dicts(asked):
                issue = Issue.of(told)
                ids = set(causes_in(issue.body)) & missing if issue else set()
                if issue and ids and self._authors.may_be_ours(told, stop):
                    _keep_older(found, ids, issue)
        return found

    def _first(self, wanted: set[str], pages: int, stop: Stop) -> dict[str, Issue]:
        found: dict[str, Issue] = {}
        query = {"labels": LABEL, "state": "all", "sort": "updated", "direction": "desc"}
        for page in self._repository.pages("issues", pages, stop, **query):
            for told in _dicts([page]):
                issue = Issue.of(told)
                if issue:
                    _keep_older(found, set(causes_in(issue.body)) & wanted, issue)
            if found.keys() == wanted:
                break
        return found

    def _made(self, run: Announcement, cause: AnnouncedCause, stop: Stop) -> Issue:
        """A new issue, that of this very run where nobody could tell whether it was made."""
        body = issue_body(cause, Sightings().plus(Seen.of(run, cause)))
        document = {"title": issue_title(cause), "body": body, "labels": self._labels}
        wanted = cause_id(cause.fingerprint)
        try:
            answer = self._repository.make("issues", document, stop)
        except UnsureError:
            made = self._first({wanted}, 1, stop).get(wanted)
            if made is not None:
                return made
            answer = self._repository.make("issues", document, stop)
        return _issue_of(answer)

    def _seen_again(
        self, run: Announcement, cause: AnnouncedCause, issue: Issue, stop: Stop
    ) -> str:
        if Sightings.read(issue.body).has(run.run_id):
            return f"issue #{issue.number} tells of this run already"
        if not self._is_told(run, issue.number, stop):
            self._comment(run, cause, issue, stop)
        # Read again, so that what somebody wrote meanwhile stays.
        fresh = _issue_of(self._repository.get(f"issues/{issue.number}", stop))
        seen = Sightings.read(fresh.body).plus(Seen.of(run, cause))
        body = issue_body(cause, seen, fresh.body)
        if body is None:
            raise AnnounceError(f"issue #{issue.number} is too long for a table of its runs")
        if body != fresh.body:
            self._repository.change(f"issues/{issue.number}", {"body": body}, stop)
        return f"told it on issue #{issue.number}{', which is closed' if fresh.closed else ''}"

    def _comment(self, run: Announcement, cause: AnnouncedCause, issue: Issue, stop: Stop) -> None:
        path = f"issues/{issue.number}/comments"
        document = {"body": sighting(run, cause, closed=issue.closed)}
        try:
            self._repository.make(path, document, stop)
        except UnsureError:
            if not self._is_told(run, issue.number, stop):
                self._repository.make(path, document, stop)

    def _is_told(self, run: Announcement, number: int, stop: Stop) -> bool:
        """Whether a comment has the run's mark."""
        since = f"{run.started_at - _CLOCKS:%Y-%m-%dT%H:%M:%SZ}"
        asked = self._repository.pages(f"issues/{number}/comments", _PAGES, stop, since=since)
        bodies = (told.get("body") for told in _dicts(asked))
        return any(has_line(each, run_mark(run.run_id)) for each in bodies if isinstance(each, str))


def told_causes(run: Announcement) -> tuple[AnnouncedCause, ...]:
    """The causes that are worth an issue: the known ones, and failures with a line that shows them.

    None of a run that was stopped or kept out: it has shown nothing. Not the sum of those that are
    too many to be told apart, which is another in each run. The worst come first.
    """
    if run.verdict not in _TOLD:
        return ()
    mattering = [
        cause
        for cause in run.causes
        if cause.signature is not None
        or (cause.quote is not None and not cause.fingerprint.endswith(_SUM))
    ]
    return tuple(mattering[:MOST])


def _so_far(why: str, number: int, causes: Sequence[AnnouncedCause]) -> str:
    return f"{why} ({number} of {len(causes)} causes told)" if number else why


def _issue_of(answer: Answer) -> Issue:
    issue = Issue.of(answer.object)
    if issue is None:
        raise AnnounceError("GitHub answers without the issue that was asked for")
    return issue


def _keep_older(found: dict[str, Issue], ids: Iterable[str], issue: Issue) -> None:
    for each in ids:
        if each not in found or issue.number < found[each].number:
            found[each] = issue


def _dicts(pages: Iterable[Sequence[Any]]) -> Iterable[Mapping[str, Any]]:
    return (told for page in pages for told in page if isinstance(told, dict))


def _label(told: object) -> str:
    name = told.get("name") if isinstance(told, dict) else told
    return name.lower() if isinstance(name, str) else ""
