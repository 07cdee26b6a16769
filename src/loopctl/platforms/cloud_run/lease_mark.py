"""A lease as an annotation of the service that it is on. Pure but for a look at this machine."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from google.cloud.run_v2 import Service

from loopctl.model.artifact import Target
from loopctl.platforms.host.lease_record import boot_id, my_identity
from loopctl.ports.leases import Held, LeaseLost
from loopctl.process import ProcessId, is_alive

LEASE: Final = "loopctl.dev/lease"


@dataclass(frozen=True, slots=True)
class LeaseMark:
    """Who holds a service. `until` is by the server's clock; `fence` is new with every taking."""

    run_id: str
    fence: str
    host: str
    boot: str
    pid: int
    started: int
    since: datetime
    until: datetime

    @property
    def holder(self) -> str:
        """The holding process in words."""
        return f"process {self.pid} on {self.host}"

    def is_live(self, now: datetime) -> bool:
        """Whether it has not run out by `now`, the server's time, and nobody here sees it dead."""
        if now >= self.until:
            return False
        mine = self.host == socket.gethostname() and self.boot == boot_id()
        return is_alive(ProcessId(self.pid, self.started)) if mine else True

    def held(self, targets: tuple[Target, ...]) -> Held:
        """The lease as the port has it."""
        return Held(targets, self.run_id, self.since, self.until, self.fence, self.holder)

    def text(self) -> str:
        """The annotation's value."""
        return json.dumps(
            {
                "v": 1,
                "run": self.run_id,
                "fence": self.fence,
                "host": self.host,
                "boot": self.boot,
                "pid": self.pid,
                "started": self.started,
                "since": self.since.isoformat(),
                "until": self.until.isoformat(),
            },
            separators=(",", ":"),
        )


def new_mark(run_id: str, fence: str, now: datetime, ttl_s: float) -> LeaseMark:
    """A lease that this process takes."""
    me = my_identity()
    until = now + timedelta(seconds=ttl_s)
    return LeaseMark(run_id, fence, socket.gethostname(), boot_id(), me.pid, me.started, now, until)


def mark_of(service: Service) -> LeaseMark | None:
    """The lease on a service; None where there is none that can be read as one."""
    try:
        told = json.loads(service.annotations.get(LEASE, ""))
        return _mark(told) if isinstance(told, dict) else None
    except (ValueError, KeyError, TypeError):
        return None


def put(service: Service, mark: LeaseMark | None) -> None:
    """Write the lease into the service's annotations, or take it out."""
    kept = {name: value for name, value in service.annotations.items() if name != LEASE}
    service.annotations = kept if mark is None else {**kept, LEASE: mark.text()}


def require_held(service: Service, held: Held, name: str) -> LeaseMark:
    """The lease on the service, which must be that one. Raises `LeaseLost`."""
    mark = mark_of(service)
    if mark is not None and mark.fence == held.fence:
        return mark
    target = next(each for each in held.targets if each.service == name)
    raise LeaseLost.to(None if mark is None else mark.held((target,)), target)


def prolonged(mark: LeaseMark, now: datetime, ttl_s: float) -> LeaseMark:
    """The same lease for as long again from now; never for a shorter time than it had."""
    return replace(mark, until=max(mark.until, now + timedelta(seconds=ttl_s)))


def _mark(told: Mapping[str, object]) -> LeaseMark:
    since, until = (datetime.fromisoformat(str(told[name])) for name in ("since", "until"))
    if since.tzinfo is None or until.tzinfo is None:
        raise ValueError("no zone")
    return LeaseMark(
        run_id=str(told["run"]),
        fence=str(told["fence"]),
        host=str(told["host"]),
        boot=str(told["boot"]),
        pid=int(str(told["pid"])),
        started=int(str(told["started"])),
        since=since,
        until=until,
    )
