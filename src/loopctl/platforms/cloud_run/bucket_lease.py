"""Leases as objects in a bucket: any two runs that share it see each other, on any machine.

`<prefix>/leases/<service>-<hash of the target>.json`, one for each target. An object is replaced
and removed only in the generation that was looked at, and no clock but the server's counts.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final

from loopctl.errors import Stopped
from loopctl.model.artifact import Target
from loopctl.platforms.cloud_run.bucket_client import BucketClient
from loopctl.platforms.cloud_run.bucket_lease_record import (
    LARGEST,
    BucketLease,
    LaterLease,
    decoded,
)
from loopctl.platforms.cloud_run.bucket_objects import ABSENT, BucketError, Stored
from loopctl.platforms.host.lease_record import lease_file
from loopctl.ports.leases import Held, HeldByOther, LeaseError, LeaseLost
from loopctl.process import Stop

FOLDER: Final = "leases"
_TRIES: Final = 5
_RELEASE_S: Final = 10.0
_BY_ITSELF: Final = "they run out by themselves; or once it answers again: loopctl unlock"


@dataclass(frozen=True, slots=True)
class _Seen:
    """What stands in a lease's place: None where there is nothing, or nothing of loopctl's."""

    lease: BucketLease | None
    stored: Stored | None

    @property
    def generation(self) -> int:
        return self.stored.generation if self.stored else ABSENT


class BucketLeases:
    """The leases of all who share the bucket. One whose holder has died or that ran out, and one
    that this run held on another machine, is taken over.
    """

    def __init__(self, client: BucketClient) -> None:
        self._client = client

    def acquire(self, targets: Sequence[Target], run_id: str, ttl: float, stop: Stop) -> Held:
        """Take all of them for `ttl` seconds, or none. Raises `HeldByOther`, `LeaseError`."""
        ordered = tuple(sorted(targets, key=str))
        mine = BucketLease.of_this_process(run_id, ttl)
        with _told():
            seen = [self._look(target, stop) for target in ordered]
            for target, each in zip(ordered, seen, strict=True):
                self._refuse(target, each, run_id)
            try:
                written = [
                    self._take(target, each, mine, stop)
                    for target, each in zip(ordered, seen, strict=True)
                ]
            except BaseException:
                self._let_go(ordered, mine.fence)
                raise
        return mine.held(ordered, min(written))

    def renew(self, held: Held, stop: Stop) -> Held:
        """Hold on for as long again. Raises `LeaseLost` if another has taken one, `LeaseError`."""
        with _told():
            # All are looked at before any is written: a lost one ends the run's hold on the rest.
            ours = [self._ours(target, held, stop) for target in held.targets]
            written = [
                self._rewrite(target, held, each, stop)
                for target, each in zip(held.targets, ours, strict=True)
            ]
        ends = min(lease.ends(at) for lease, at in written)
        return replace(held, until=ends)

    def release(self, held: Held) -> None:
        """Let go of those that are still ours. Raises `LeaseError`."""
        try:
            with _told():
                stop = Stop(_RELEASE_S)
                for target in held.targets:
                    self._remove(target, held.fence, stop)
        except Stopped:
            what = f"the leases could not be let go of within {_RELEASE_S:g} s"
            raise LeaseError(what, where=str(self._client.place), hint=_BY_ITSELF) from None

    def peek(self, target: Target, stop: Stop) -> Held | None:
        """Who holds it now; None when nobody does, or only somebody dead. Raises `LeaseError`."""
        with _told():
            seen = self._look(target, stop)
        if seen.lease is None or seen.stored is None or not self._is_live(seen):
            return None
        return seen.lease.held((target,), seen.stored.updated)

    def _take(self, target: Target, seen: _Seen, mine: BucketLease, stop: Stop) -> datetime:
        """Write ours in the place of what was seen; when the server wrote it."""
        data = replace(mine, target=str(target)).encoded()
        for _ in range(_TRIES):
            stored = self._client.write(_name(target), data, seen.generation, stop)
            if stored is not None:
                return stored.updated
            # Another was faster; or it was ourselves, by a write whose answer was lost.
            seen = self._look(target, stop)
            if seen.lease and seen.stored and seen.lease.fence == mine.fence:
                return seen.stored.updated
            self._refuse(target, seen, mine.run_id)
        raise self._unsettled(target)

    def _refuse(self, target: Target, seen: _Seen, run_id: str) -> None:
        """Raises `HeldByOther` where what was seen stands in the way of that run."""
        if seen.lease is None or seen.stored is None or seen.lease.is_of(run_id):
            return
        if self._is_live(seen):
            raise HeldByOther.of(seen.lease.held((target,), seen.stored.updated), target)

    def _ours(self, target: Target, held: Held, stop: Stop) -> _Seen:
        seen = self._look(target, stop)
        if seen.lease is not None and seen.lease.fence == held.fence:
            return seen
        taker = None
        if seen.lease is not None and seen.stored is not None:
            taker = seen.lease.held((target,), seen.stored.updated)
        raise LeaseLost.to(taker, target)

    def _rewrite(
        self, target: Target, held: Held, seen: _Seen, stop: Stop
    ) -> tuple[BucketLease, datetime]:
        for _ in range(_TRIES):
            assert seen.lease is not None
            lease = replace(seen.lease, since=held.since)
            stored = self._client.write(_name(target), lease.encoded(), seen.generation, stop)
            if stored is not None:
                return lease, stored.updated
            # Taken meanwhile, or written by ourselves with the answer lost: looking tells.
            seen = self._ours(target, held, stop)
        raise self._unsettled(target)

    def _remove(self, target: Target, fence: str, stop: Stop) -> None:
        for _ in range(_TRIES):
            seen = self._look(target, stop)
            if seen.lease is None or seen.lease.fence != fence:
                return
            if self._client.remove(_name(target), seen.generation, stop):
                return
        raise self._unsettled(target)

    def _let_go(self, targets: Sequence[Target], fence: str) -> None:
        """Take back a taking that did not come to its end; what stays behind runs out by itself."""
        stop = Stop(_RELEASE_S)
        for target in targets:
            with contextlib.suppress(BucketError, LeaseError, Stopped):
                self._remove(target, fence, stop)

    def _look(self, target: Target, stop: Stop) -> _Seen:
        found = self._client.read(_name(target), LARGEST, stop)
        if found is None:
            return _Seen(None, None)
        try:
            return _Seen(decoded(found.data) if found.data is not None else None, found.stored)
        except LaterLease:
            raise LeaseError(
                f"the lease on {target.service} was written by a later version of loopctl",
                where=self._client.where(_name(target)),
                hint="use that version; or, where nobody runs, remove the object",
            ) from None

    def _is_live(self, seen: _Seen) -> bool:
        assert seen.lease is not None
        assert seen.stored is not None
        return seen.lease.is_live(seen.stored.updated, self._client.clock.now())

    def _unsettled(self, target: Target) -> LeaseError:
        return LeaseError(
            f"the lease on {target.service} changes again and again",
            where=self._client.where(_name(target)),
            hint="see who writes it, then run again",
        )


def _name(target: Target) -> str:
    return lease_file(Path(FOLDER), target).as_posix()


@contextlib.contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except BucketError as error:
        what = f"the leases cannot be used: {error.what}"
        raise LeaseError(what, where=error.where, hint=error.hint) from None
