"""Leases as files in the user's runtime folder: any two runs on one machine see each other."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Final

from loopctl.errors import StorageError
from loopctl.model.artifact import Target
from loopctl.platforms.host.durable import write_json
from loopctl.platforms.host.lease_record import (
    LeaseRecord,
    boot_clock,
    boot_id,
    lease_file,
    my_identity,
    read_lease,
)
from loopctl.platforms.host.rendezvous import Rendezvous
from loopctl.ports.leases import Held, HeldByOther, LeaseError, LeaseLost
from loopctl.ports.platform import PlatformError
from loopctl.process import Stop, utc_now

_GUARD_LIMIT_S: Final = 5.0


class FileLeases:
    """The leases of one environment. One whose holder has died or that ran out is taken over.

    How long a lease lasts is measured on the boot time clock, which nobody sets.
    """

    def __init__(self, place: Rendezvous) -> None:
        self._place = place

    def acquire(self, targets: Sequence[Target], run_id: str, ttl: float, stop: Stop) -> Held:
        """Take all of them for `ttl` seconds, or none. Raises `HeldByOther`, `LeaseError`."""
        ordered = tuple(sorted(targets, key=str))
        with self._guarded(stop):
            for target in ordered:
                holder = self._read(target)
                if holder is not None and holder.is_live():
                    raise HeldByOther.of(_as_held((target,), holder), target)
            record = _taken(run_id, ttl)
            for target in ordered:
                self._write(target, record)
        return _as_held(ordered, record)

    def renew(self, held: Held, stop: Stop) -> Held:
        """Hold on for as long again. Raises `LeaseLost` if another has taken one of them."""
        with self._guarded(stop):
            # All are looked at before any is written: a lost one ends the run's hold on the rest.
            records = [self._ours(target, held) for target in held.targets]
            renewed = _prolonged(records[0])
            for target in held.targets:
                self._write(target, renewed)
        return _as_held(held.targets, renewed)

    def release(self, held: Held) -> None:
        """Let go of those that are still ours. Raises `LeaseError`."""
        with self._guarded(Stop()):
            for target in held.targets:
                record = self._read(target)
                if record is not None and record.fence == held.fence:
                    self._file(target).unlink(missing_ok=True)

    def peek(self, target: Target, stop: Stop) -> Held | None:
        """Who holds it now; None when nobody does, or only somebody dead. Raises `LeaseError`."""
        stop.remaining(0)
        record = self._read(target)
        return None if record is None or not record.is_live() else _as_held((target,), record)

    def _ours(self, target: Target, held: Held) -> LeaseRecord:
        record = self._read(target)
        if record is not None and record.fence == held.fence:
            return record
        taker = None if record is None else _as_held((target,), record)
        raise LeaseLost.to(taker, target)

    @contextlib.contextmanager
    def _guarded(self, stop: Stop) -> Iterator[None]:
        """One process at a time reads and writes the records. Raises `LeaseError`."""
        try:
            self._place.prepare()
            guard = os.open(self._place.leases / "guard", os.O_RDWR | os.O_CREAT, 0o600)
        except PlatformError as error:
            raise LeaseError(error.what, where=error.where, hint=error.hint) from None
        except OSError as error:
            raise _unusable(error.strerror or str(error), self._place.leases) from None
        try:
            _lock(guard, self._place.leases, stop)
            yield
        finally:
            os.close(guard)

    def _file(self, target: Target) -> Path:
        return lease_file(self._place.leases, target)

    def _read(self, target: Target) -> LeaseRecord | None:
        try:
            return read_lease(self._file(target))
        except OSError as error:
            raise _unusable(error.strerror or str(error), self._file(target)) from None

    def _write(self, target: Target, record: LeaseRecord) -> None:
        try:
            write_json(self._file(target), replace(record, target=str(target)).document())
        except StorageError as error:
            raise _unusable(error.what, self._file(target)) from None


def _lock(guard: int, folder: Path, stop: Stop) -> None:
    deadline = time.monotonic() + _GUARD_LIMIT_S
    while True:
        try:
            fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise _unusable("another process keeps them locked", folder) from None
            stop.wait(0.02)
        else:
            return


def _taken(run_id: str, ttl: float) -> LeaseRecord:
    me = my_identity()
    now = utc_now()
    return LeaseRecord(
        target="",
        run_id=run_id,
        host=socket.gethostname(),
        pid=me.pid,
        started=me.started,
        since=now,
        until=now + timedelta(seconds=ttl),
        until_clock=boot_clock() + ttl,
        boot=boot_id(),
        ttl_s=ttl,
        fence=secrets.token_hex(8),
    )


def _prolonged(record: LeaseRecord) -> LeaseRecord:
    return replace(
        record,
        until=utc_now() + timedelta(seconds=record.ttl_s),
        until_clock=boot_clock() + record.ttl_s,
        boot=boot_id(),
    )


def _as_held(targets: tuple[Target, ...], record: LeaseRecord) -> Held:
    return Held(targets, record.run_id, record.since, record.until, record.fence, record.holder)


def _unusable(reason: str, where: Path) -> LeaseError:
    return LeaseError(
        f"the leases cannot be used: {reason}",
        where=str(where),
        hint="see that the folder is yours and writable, or set LOOPCTL_RUNTIME_DIR to one that is",
    )
