"""How far a revision is, by what its operation, itself and its service tell; asked for rarely."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from google.cloud.run_v2 import Revision as CloudRevision
from google.cloud.run_v2 import Service

from loopctl.model.artifact import Revision
from loopctl.model.finding import Fault, FaultKind
from loopctl.model.references import Endpoint
from loopctl.platforms.cloud_run import conditions, traffic
from loopctl.platforms.cloud_run.api import Api
from loopctl.platforms.cloud_run.conditions import Readiness, fault_of
from loopctl.platforms.cloud_run.crash import Autopsy
from loopctl.platforms.cloud_run.deployment import is_made_of
from loopctl.platforms.cloud_run.errors import ApiError, Code
from loopctl.platforms.cloud_run.names import short, tag_of
from loopctl.platforms.cloud_run.operations import Started
from loopctl.platforms.cloud_run.state import address_of
from loopctl.ports.platform import Dead, Ready, Starting
from loopctl.process import Stop

_LOOK_EVERY_S: Final = 1.0
"""Seconds between two looks at a revision: what it costs is counted against a quota."""

_FRESH_S: Final = 2.0
_STUCK_LOOK_S: Final = 5.0
_APPEARS_S: Final = 15.0
"""How long a revision may take to be told of, once it was accepted."""

_BELIEVED_S: Final = 5.0
"""How long a service's failure may still be that of an earlier change."""

_TRIES: Final = 4


@dataclass(slots=True)
class _Watched:
    """What is known of a revision that was asked about. Times are monotonic.

    `told` is the service as the operation's end, learnt of this moment, told it; `seen`: whoever
    asks for the revision is told of it.
    """

    started: Started | None = None
    again: Callable[[Stop], Started | None] | None = None
    tries: int = 0
    seen: bool = False
    told: Service | None = None
    looked: float = float("-inf")
    since: float = field(default_factory=time.monotonic)
    failing: float | None = None
    ready: Ready | None = None
    dead: Dead | None = None

    @property
    def is_over(self) -> bool:
        """Whether what was begun has ended."""
        return self.started is not None and self.started.done

    @property
    def error(self) -> ApiError | None:
        """What it has ended with."""
        return None if self.started is None else self.started.error

    def is_late(self, seconds: float) -> bool:
        """Whether it was begun longer ago than that."""
        return time.monotonic() - self.since > seconds


class RevisionWatch:
    """Knows of every revision what was begun for it and what was seen of it last."""

    def __init__(self, api: Api, autopsy: Autopsy) -> None:
        self._api = api
        self._autopsy = autopsy
        self._watched: dict[str, _Watched] = {}

    def begun(
        self, revision: str, started: Started | None, again: Callable[[Stop], Started | None]
    ) -> None:
        """A revision was asked for; `again` asks once more, where another write was quicker."""
        watched = self._watched[revision] = _Watched(started, again)
        if started is not None and not started.done:
            watched.looked = time.monotonic()

    def seen(self, revision: str) -> None:
        """It was there when it was asked for: what its operation tells of it can be built upon."""
        self._watched[revision].seen = True

    def doubt(self) -> None:
        """Somebody looks at the service anew: what was ready is looked at anew, too."""
        for watched in self._watched.values():
            watched.ready = None

    def status(self, revision: Revision, stop: Stop) -> Starting | Ready | Dead:
        """How far it is; takes up to five seconds while it is not ready."""
        watched = self._watched.setdefault(revision.name, _Watched())
        if watched.ready is not None and time.monotonic() - watched.looked < _FRESH_S:
            return watched.ready
        if watched.dead is not None:
            return watched.dead
        if not self._may_have_changed(watched, stop):
            return Starting()
        watched.looked = time.monotonic()
        found = self._looked(revision, watched, stop)
        watched.ready = found if isinstance(found, Ready) else None
        return found

    def _may_have_changed(self, watched: _Watched, stop: Stop) -> bool:
        """Wait for news of the revision; whether it is worth a look now."""
        started = watched.started
        if started is not None and not started.done:
            watched.started = self._api.operations.ended(started, _STUCK_LOOK_S, stop)
            watched.told = watched.started.service
            overdue = time.monotonic() - watched.looked >= _STUCK_LOOK_S
            return watched.started.done or overdue
        if watched.ready is None:
            stop.wait(max(0.0, watched.looked + _LOOK_EVERY_S - time.monotonic()))
        return True

    def _looked(self, revision: Revision, watched: _Watched, stop: Stop) -> Starting | Ready | Dead:
        told = watched.told
        if watched.seen and told and conditions.has_come_to_rest(told, revision.name):
            return self._reached(revision, watched, stop)
        found = self._api.revision(revision.service, revision.name, stop)
        if found is None:
            return self._not_there(revision, watched, stop)
        match conditions.readiness(found):
            case Readiness.FAILED:
                # A revision that never came up does not come up later.
                watched.dead = self._dead(revision, found, None, stop)
                return watched.dead
            case Readiness.WAITING:
                return self._waiting(revision, found, watched, stop)
            case Readiness.READY:
                return self._reached(revision, watched, stop)

    def _not_there(self, revision: Revision, watched: _Watched, stop: Stop) -> Starting | Dead:
        """It was taken and is not there yet, or will never be, or is there no more."""
        if self._begun_again(watched, stop):
            return Starting()
        service = self._api.service(revision.service, stop)
        if watched.error is not None:
            return self._dead(revision, None, service, stop, watched.error.text)
        if service is not None and is_made_of(service, revision.name, revision.key):
            return self._failed_with(revision, service, watched, stop) or Starting()
        if watched.started is not None and not watched.is_late(_APPEARS_S):
            return Starting()
        return Dead(self._fault(revision, f"{revision.name} is gone", "revision"))

    def _waiting(
        self, revision: Revision, found: CloudRevision, watched: _Watched, stop: Stop
    ) -> Starting | Ready | Dead:
        """It says nothing yet; but its operation or its service may know more."""
        if watched.error is not None:
            service = self._api.service(revision.service, stop)
            return self._dead(revision, found, service, stop, watched.error.text)
        if conditions.is_told(found) and not watched.is_over:
            return Starting()
        service = self._api.service(revision.service, stop)
        if service is None:
            return Starting()
        if not conditions.is_told(found) and conditions.is_newest_ready(service, revision.name):
            return self._reached(revision, watched, stop)
        if short(service.latest_created_revision) != revision.name:
            return Starting()
        return self._failed_with(revision, service, watched, stop) or Starting()

    def _reached(
        self, revision: Revision, watched: _Watched, stop: Stop
    ) -> Starting | Ready | Dead:
        """Ready, and met at an address of its own: its tag's, or the service's if it serves."""
        told, watched.told = watched.told, None
        url = None if told is None else _address(told, revision.name)
        if url is not None:
            return _ready(url)
        service = self._api.service(revision.service, stop)
        if service is None:
            return Dead(self._fault(revision, f"{revision.service} is gone", "service"))
        url = _address(service, revision.name)
        if url is not None:
            return _ready(url)
        return self._failed_with(revision, service, watched, stop) or Starting()

    def _failed_with(
        self, revision: Revision, service: Service, watched: _Watched, stop: Stop
    ) -> Dead | None:
        """Dead where its service has failed; for a while that may be an earlier change's failure,
        unless its own operation says so.
        """
        if not conditions.has_failed(service):
            watched.failing = None
            return None
        watched.failing = watched.failing or time.monotonic()
        patient = time.monotonic() - watched.failing < _BELIEVED_S
        if watched.error is None and patient:
            return None
        return self._dead(revision, None, service, stop)

    def _begun_again(self, watched: _Watched, stop: Stop) -> bool:
        """Whether another write had come between, and it was sent once more."""
        overtaken = watched.error is not None and watched.error.code is Code.ABORTED
        if not overtaken or watched.again is None or watched.tries >= _TRIES:
            return False
        watched.tries += 1
        watched.started = watched.again(stop)
        return True

    def _dead(
        self,
        revision: Revision,
        found: CloudRevision | None,
        service: Service | None,
        stop: Stop,
        text: str = "",
    ) -> Dead:
        told, condition = conditions.why_failed(found, service)
        fault = self._fault(revision, told or text, condition)
        if fault.kind is FaultKind.NEVER_READY:
            fault = self._autopsy(revision, fault, stop)
        return Dead(fault)

    def _fault(self, revision: Revision, text: str, condition: str) -> Fault:
        names = self._api.names
        return fault_of(text, condition, revision.service, revision.name, names)


def _ready(url: str) -> Ready:
    endpoint = Endpoint.of(url)
    return Ready(endpoint.url, endpoint.ws_url)


def _address(service: Service, revision: str) -> str | None:
    """Where that revision alone answers; None where nothing leads to it alone."""
    for tag in (tag_of(revision), *traffic.tags_of(service, revision)):
        found = traffic.tagged(service, tag)
        if found is not None and found[0] == revision:
            return found[1]
    if traffic.serving(service) == {revision: 100} and not service.reconciling:
        return address_of(service) or None
    return None
