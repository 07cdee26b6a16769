"""Leases as annotations of the services themselves, taken by etag.

A service that does not exist yet has nowhere to keep one: making it is what only one run can do.
Every write is an operation, an audit entry and a new etag, so a lease lasts long, is prolonged by
the run's own writes, and by itself only when half of it is over.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final

from google.cloud.run_v2 import Service

from loopctl.errors import Problem, Stopped
from loopctl.model.artifact import Target
from loopctl.platforms.cloud_run.api import Api, Paths
from loopctl.platforms.cloud_run.errors import ApiError, Code
from loopctl.platforms.cloud_run.lease_mark import (
    LeaseMark,
    mark_of,
    new_mark,
    prolonged,
    put,
    require_held,
)
from loopctl.platforms.cloud_run.operations import Started
from loopctl.platforms.cloud_run.server_clock import AskedClock
from loopctl.ports.leases import Held, HeldByOther, LeaseError, LeaseLost
from loopctl.ports.platform import PlatformError
from loopctl.process import Stop

TTL_S: Final = 900.0
"""How long a run that died on another machine keeps others out."""

RENEW_EVERY_S: Final = 60.0
_RELEASE_S: Final = 15.0
_SETTLE_S: Final = 10.0
_MISSING: Final = (Code.PERMISSION_DENIED, Code.UNAUTHENTICATED, Code.UNIMPLEMENTED)


class AnnotationLeases:
    """The leases of one place. Expiry is judged by the server's clock."""

    def __init__(self, api: Api, clock: AskedClock) -> None:
        self._api = api
        self._clock = clock
        self._problems: list[Problem] = []

    def problems(self) -> Sequence[Problem]:
        """Why the lease could not be written, where this account may not: PREFLIGHT tells it
        together with everything else that is missing, and no write is possible without it.
        """
        return tuple(self._problems)

    def acquire(self, targets: Sequence[Target], run_id: str, ttl: float, stop: Stop) -> Held:
        """Take all of them for `ttl` seconds, or none. Raises `HeldByOther`, `LeaseError`."""
        ordered = tuple(sorted(targets, key=str))
        self._problems.clear()
        mark = new_mark(run_id, secrets.token_hex(8), self._clock.now(stop), ttl)
        taken: list[Target] = []
        try:
            for target in ordered:
                self._take(target, mark, stop)
                taken.append(target)
        except HeldByOther:
            self.release(mark.held(tuple(taken)))
            raise
        except PlatformError as error:
            self.release(mark.held(tuple(taken)))
            if not _is_missing(error):
                raise _lease_error(error) from None
            self._problems.append(Problem(error.what, where=error.where, hint=error.hint))
        return mark.held(ordered)

    def renew(self, held: Held, stop: Stop) -> Held:
        """Look whether they are still ours, and prolong those that are half over.

        Raises `LeaseLost`, `LeaseError`.
        """
        if self._problems:
            return held
        until = [self._renewed(target, held, stop) for target in held.targets]
        known = [each for each in until if each is not None]
        return replace(held, until=min(each.until for each in known)) if known else held

    def release(self, held: Held) -> None:
        """Let go of those that are still ours; one that cannot be reached runs out by itself."""
        stop = Stop(_RELEASE_S)

        def let_go(found: Service) -> Paths | None:
            mark = mark_of(found)
            if mark is None or mark.fence != held.fence:
                return None
            put(found, None)
            return ["annotations"]

        problem: PlatformError | None = None
        for target in held.targets:
            try:
                if self._api.service(target.service, stop) is not None:
                    started = self._api.change(target.service, let_go, "release the lease", stop)
                    self._settled(started, stop)
            except PlatformError as error:
                problem = error
        if problem is not None:
            raise _lease_error(problem)

    def peek(self, target: Target, stop: Stop) -> Held | None:
        """Who holds it now; None when nobody does, or one whose time is up. Raises `LeaseError`."""
        try:
            found = self._api.service(target.service, stop)
        except PlatformError as error:
            raise _lease_error(error) from None
        mark = None if found is None else mark_of(found)
        if mark is None or not mark.is_live(self._clock.now(stop)):
            return None
        return mark.held((target,))

    def fence(self, service: Service, held: Held, stop: Stop) -> Paths:
        """Part of every write of a run: it must be allowed, and makes the lease last longer."""
        mark = require_held(service, held, service.name.rpartition("/")[2])
        put(service, prolonged(mark, self._clock.now(stop), TTL_S))
        return ["annotations"]

    def new_service(self, service: Service, held: Held, stop: Stop) -> None:
        """Put the lease into a service that is about to be made."""
        mark = new_mark(held.run_id, held.fence, self._clock.now(stop), TTL_S)
        put(service, replace(mark, since=held.since))

    def _take(self, target: Target, mark: LeaseMark, stop: Stop) -> None:
        def take(found: Service) -> Paths | None:
            other = mark_of(found)
            if other is not None and other.fence == mark.fence:
                return None
            strangers = other is not None and other.run_id != mark.run_id
            if other is not None and strangers and other.is_live(self._clock.now(stop)):
                raise HeldByOther.of(other.held((target,)), target)
            put(found, mark)
            return ["annotations"]

        if self._api.service(target.service, stop) is not None:
            self._settled(self._api.change(target.service, take, "take the lease", stop), stop)

    def _renewed(self, target: Target, held: Held, stop: Stop) -> LeaseMark | None:
        try:
            found = self._api.service(target.service, stop)
            if found is None:
                return None
            mark = require_held(found, held, target.service)
            left = mark.until - self._clock.now(stop)
            if left > timedelta(seconds=TTL_S / 2):
                return mark

            def prolong(again: Service) -> Paths | None:
                return self.fence(again, held, stop)

            self._api.change(target.service, prolong, "renew the lease", stop)
        except LeaseLost:
            raise
        except PlatformError as error:
            raise _lease_error(error) from None
        return prolonged(mark, self._clock.now(stop), TTL_S)

    def _settled(self, started: Started | None, stop: Stop) -> None:
        """Wait until the write is over, so that the next one does not meet it half done."""
        if started is None:
            return
        try:
            with stop.child(_SETTLE_S) as limited:
                while not started.done:
                    started = self._api.operations.ended(started, 1.0, limited)
        except Stopped:
            stop.remaining(0)


def _is_missing(error: PlatformError) -> bool:
    """Whether this account may not, nobody is logged in, or the region has no Cloud Run: that is
    PREFLIGHT's to tell.
    """
    return not isinstance(error, ApiError) or error.code in _MISSING


def _lease_error(error: PlatformError) -> LeaseError:
    return LeaseError(error.what, where=error.where, hint=error.hint)
