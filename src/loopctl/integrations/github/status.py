"""The status of the commit that a run is about: pending, then how it ended.

Only of what exactly that commit holds: nothing of changes that no commit has, and nothing of a
partial run, which must never look like green.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from loopctl.integrations.github.client import Repository
from loopctl.integrations.github.wording import beginning, description
from loopctl.model.state import Verdict
from loopctl.ports.announcer import Announcement, Beginning
from loopctl.process import Stop

State = Literal["pending", "success", "failure", "error"]

_COMMIT: Final = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_LINK: Final = re.compile(r"https?://[^\s\x00-\x1f\x7f]{1,500}")
#: `failure`: it was shown not to be green. `error`: loopctl came to no judgement.
_STATES: Final[Mapping[Verdict, State]] = {
    Verdict.GREEN: "success",
    Verdict.RED: "failure",
    Verdict.UNPROVEN: "failure",
    Verdict.UNDELIVERED: "failure",
    Verdict.PREFLIGHT: "error",
    Verdict.LOCKED: "error",
    Verdict.INTERNAL: "error",
    Verdict.INTERRUPTED: "error",
}
#: What a run has for telling, and some seconds by which clocks differ.
_TELLING: Final = timedelta(minutes=1)
_CHANGED: Final = "the source was changed while the run went on: no commit holds what was tested"


class CommitStatus:
    """Sets the status `loopctl/<loop>/<environment>` of a run's commit. For one thread."""

    name = "a commit status on GitHub"

    def __init__(self, repository: Repository) -> None:
        self._repository = repository

    def begin(self, run: Beginning, stop: Stop) -> Sequence[str]:
        """`pending`; see `Herald`."""
        if run.partial or run.dirty or not _is_commit(run.commit):
            return ()
        url = run.job.url if run.job else None
        said = beginning(run.run_id)
        return self._set(run.commit, run.loop, run.environment, "pending", said, url, stop)

    def announce(self, run: Announcement, stop: Stop) -> Sequence[str]:
        """How it ended; see `Announcer`."""
        if run.partial or not _is_commit(run.commit):
            return ()
        state, said = _STATES[run.verdict], description(run)
        if run.dirty:
            if not self._is_pending(run, stop):
                return ()
            state, said = "error", _CHANGED
        elif run.asked and self._is_of_later(run, stop):
            return (f"the status of {(run.commit or '')[:12]} is of a later run",)
        url = run.job.url if run.job else None
        return self._set(run.commit, run.loop, run.environment, state, said, url, stop)

    def preview(self, run: Announcement) -> str:
        """The status that would be set, or why none would be."""
        if run.partial or run.dirty or not _is_commit(run.commit):
            return "nothing: not of a whole run of what a commit holds"
        what = f"loopctl/{run.loop}/{run.environment} of {run.commit}"
        return f"{what}: {_STATES[run.verdict]}, {description(run)}"

    def _is_pending(self, run: Announcement, stop: Stop) -> bool:
        """Whether this very run has left the status pending, when the tree was clean still."""
        there = self._newest(run, stop)
        mine = there.get("description") == beginning(run.run_id)
        return mine and there.get("state") == "pending"

    def _is_of_later(self, run: Announcement, stop: Stop) -> bool:
        """Whether the status was set when this run had told its own already."""
        made = self._newest(run, stop).get("created_at")
        try:
            at = datetime.fromisoformat(made) if isinstance(made, str) else None
        except ValueError:
            return False
        return at is not None and at.tzinfo is not None and at > run.ended_at + _TELLING

    def _newest(self, run: Announcement, stop: Stop) -> Mapping[str, Any]:
        """The status that is there, empty for none; GitHub lists the newest first."""
        asked = self._repository.get(f"commits/{run.commit}/statuses", stop, per_page=100)
        mine = f"loopctl/{run.loop}/{run.environment}".lower()
        for told in asked.document if isinstance(asked.document, list) else []:
            if isinstance(told, dict) and str(told.get("context")).lower() == mine:
                return told
        return {}

    def _set(
        self,
        commit: str | None,
        loop: str,
        environment: str,
        state: State,
        said: str,
        url: str | None,
        stop: Stop,
    ) -> Sequence[str]:
        document = {
            "state": state,
            "context": f"loopctl/{loop}/{environment}",
            "description": said,
            **({"target_url": url} if url and _LINK.fullmatch(url) else {}),
        }
        self._repository.set(f"statuses/{commit}", document, stop)
        return (f"set the status of {(commit or '')[:12]} to {state}",)


def _is_commit(commit: str | None) -> bool:
    return commit is not None and _COMMIT.fullmatch(commit) is not None
