"""Verified revisions as an annotation of their service: any machine knows where to go back to."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from google.cloud.run_v2 import Service, TrafficTarget

from loopctl.model.artifact import Revision, ServiceState
from loopctl.platforms.cloud_run import traffic
from loopctl.platforms.cloud_run.api import Api, Paths
from loopctl.platforms.cloud_run.changes import Changes
from loopctl.ports.leases import Held
from loopctl.process import Stop

VERIFIED: Final = "loopctl.dev/verified"
_KEPT: Final = 10


@dataclass(frozen=True, slots=True)
class _Entry:
    revision: str
    run: str


class AnnotatedVerified:
    """The verified revisions of a place; `state_of` reads a service as the platform does.

    `tidy` is called with the service and the verified names once a revision was noted.
    """

    def __init__(
        self,
        api: Api,
        changes: Changes,
        after_green: Literal["pin", "latest"],
        state_of: Callable[[Service, Stop], ServiceState],
        tidy: Callable[[Service, frozenset[str], Stop], None],
    ) -> None:
        self._api = api
        self._changes = changes
        self._after_green = after_green
        self._state_of = state_of
        self._tidy = tidy

    def recall(self, service: str, stop: Stop) -> Sequence[str]:
        """The names of the revisions that were verified, the newest first."""
        found = self._api.service(service, stop)
        return [] if found is None else [each.revision for each in entries_of(found)]

    def record(self, revision: Revision, run_id: str, held: Held, stop: Stop) -> ServiceState:
        """Note it, take the candidate's tag away, and let traffic follow the newest if asked to.

        Traffic follows the newest only while that is the very revision that was verified.
        """

        def note(found: Service) -> Paths | None:
            known = entries_of(found)
            new = _Entry(revision.name, run_id)
            rows = self._rows(found, revision)
            if known[:1] == [new] and traffic.same(found.traffic, rows):
                return None
            others = [each for each in known if each.revision != revision.name]
            _write(found, [new, *others][:_KEPT])
            found.traffic = rows
            return ["annotations", "traffic"]

        doing = f"record that {revision.name} is verified"
        want = {revision.name: 100}

        def is_there(found: Service) -> bool:
            noted = entries_of(found)[:1] == [_Entry(revision.name, run_id)]
            return noted and not found.reconciling and traffic.serving(found) == want

        done = self._changes.bring(revision.service, note, is_there, doing, held, stop)
        self._tidy(done, frozenset(each.revision for each in entries_of(done)), stop)
        return self._state_of(done, stop)

    def _rows(self, found: Service, revision: Revision) -> list[TrafficTarget]:
        newest = found.latest_ready_revision.rpartition("/")[2]
        if self._after_green == "latest" and newest == revision.name:
            return [*traffic.to_latest(), *traffic.kept_tags(found)]
        return [*traffic.targets({revision.name: 100}), *traffic.kept_tags(found)]


def entries_of(service: Service) -> list[_Entry]:
    """What the annotation tells, the newest first; nothing where it cannot be read."""
    try:
        told = json.loads(service.annotations.get(VERIFIED, ""))
        return [_Entry(str(each["revision"]), str(each["run"])) for each in told]
    except (ValueError, KeyError, TypeError):
        return []


def _write(service: Service, entries: Sequence[_Entry]) -> None:
    told = [{"revision": each.revision, "run": each.run} for each in entries]
    text = json.dumps(told, separators=(",", ":"))
    service.annotations = {**dict(service.annotations), VERIFIED: text}
