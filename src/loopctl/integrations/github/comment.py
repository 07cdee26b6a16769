"""The one comment of a loop on a pull request, written anew by each run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from loopctl.integrations.github.answers import UnsureError
from loopctl.integrations.github.authors import Authors
from loopctl.integrations.github.client import Repository
from loopctl.integrations.github.marks import comment_mark, has_line, runs_in
from loopctl.integrations.github.wording import pull_comment
from loopctl.model.state import Verdict
from loopctl.ports.announcer import AnnounceError, Announcement
from loopctl.process import Stop

_PAGES: Final = 10


class PullComment:
    """Tells a run on the pull request that its job is of. For one thread."""

    name = "a comment on the pull request"

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._authors = Authors(repository)

    def announce(self, run: Announcement, stop: Stop) -> Sequence[str]:
        """Write it; see `Announcer`. Nothing of a run that another one kept out."""
        number = run.job.pull_request if run.job else None
        if number is None or run.verdict is Verdict.LOCKED:
            return ()
        there = self._there(run, number, stop)
        if there is None:
            self._make(run, number, stop)
            return (f"commented on #{number}",)
        newer = [other for other in runs_in(there["body"]) if other > run.run_id]
        if newer:
            return (f"the comment on #{number} is of a newer run",)
        body = pull_comment(run)
        if there["body"] != body:
            self._repository.change(f"issues/comments/{there['id']}", {"body": body}, stop)
        return (f"wrote the comment on #{number} anew",)

    def preview(self, run: Announcement) -> str:
        """The comment as it would be."""
        return pull_comment(run)

    def _make(self, run: Announcement, number: int, stop: Stop) -> None:
        path, document = f"issues/{number}/comments", {"body": pull_comment(run)}
        try:
            self._repository.make(path, document, stop)
        except UnsureError:
            if self._there(run, number, stop) is None:
                self._repository.make(path, document, stop)

    def _there(self, run: Announcement, number: int, stop: Stop) -> dict[str, Any] | None:
        """The comment that is there, the oldest of several; GitHub lists them so."""
        mark, path, seen = comment_mark(run.loop, run.environment), f"issues/{number}/comments", 0
        for page in self._repository.pages(path, _PAGES, stop):
            seen += len(page)
            for told in page:
                marked = _is_comment(told) and has_line(told["body"], mark)
                if marked and self._authors.may_be_ours(told, stop):
                    return dict(told)
        if seen >= _PAGES * 100:
            raise AnnounceError(f"#{number} has so many comments that ours was not found")
        return None


def _is_comment(told: Any) -> bool:
    if not isinstance(told, dict):
        return False
    return isinstance(told.get("id"), int) and isinstance(told.get("body"), str)
