"""One lease as its object in a bucket has it, for loopctls on many machines.

The object tells no time of day: it lasts `ttl_s` from when the server wrote it.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from loopctl.model.artifact import Target
from loopctl.platforms.host.control import Fields, ProtocolError
from loopctl.platforms.host.lease_record import boot_id, my_identity
from loopctl.ports.leases import Held
from loopctl.process import ProcessId, is_alive

VERSION: Final = 1
LARGEST: Final = 64 << 10
_MARGIN_S: Final = 2.0
"""What the clocks of one server's parts may differ by: a `Date` is told in whole seconds."""


@dataclass(frozen=True, slots=True)
class BucketLease:
    """A lease. `since` is None where it was not renewed yet: it was taken when it was written.

    `realm` names the machine's boot and its numbering of processes: only within one can a process
    be seen to have died. A host's name is no such thing, because many containers have the same.
    """

    target: str
    run_id: str
    host: str
    pid: int
    started: int
    realm: str
    since: datetime | None
    ttl_s: float
    fence: str

    @classmethod
    def of_this_process(cls, run_id: str, ttl_s: float) -> BucketLease:
        """A new taking; its target is still to be named."""
        me = my_identity()
        host = socket.gethostname()
        fence = secrets.token_hex(8)
        return cls("", run_id, host, me.pid, me.started, realm(), None, ttl_s, fence)

    @property
    def process(self) -> ProcessId:
        """The process that holds it; it means something only in its realm."""
        return ProcessId(self.pid, self.started)

    def ends(self, written: datetime) -> datetime:
        """When it runs out, by the server's time."""
        return written + timedelta(seconds=self.ttl_s)

    def is_live(self, written: datetime, now: datetime | None) -> bool:
        """Whether it has not run out, and its holder still runs as far as can be seen from here.

        Both times are the server's; a server that tells no time leaves it live.
        """
        if self.realm == realm() and not is_alive(self.process):
            return False
        return now is None or now <= self.ends(written) + timedelta(seconds=_MARGIN_S)

    def is_of(self, run_id: str) -> bool:
        """Whether it is that run's own, of a process that cannot be going on with it any more."""
        if self.run_id != run_id:
            return False
        return self.realm != realm() or self.process == my_identity()

    def held(self, targets: tuple[Target, ...], written: datetime) -> Held:
        """The lease as the port has it."""
        since = self.since or written
        holder = f"process {self.pid} on {self.host}"
        return Held(targets, self.run_id, since, self.ends(written), self.fence, holder)

    def encoded(self) -> bytes:
        """As it is kept."""
        document: Mapping[str, object] = {
            "v": VERSION,
            "target": self.target,
            "run_id": self.run_id,
            "host": self.host,
            "pid": self.pid,
            "started": self.started,
            "realm": self.realm,
            "since": self.since.isoformat() if self.since else None,
            "ttl_s": self.ttl_s,
            "fence": self.fence,
        }
        return json.dumps(document, indent=1).encode()


class LaterLease(Exception):
    """A lease that a later loopctl has written: it must not be taken for none."""


def decoded(data: bytes) -> BucketLease | None:
    """The lease that an object holds; None if no loopctl has written it. Raises `LaterLease`."""
    try:
        fields = Fields(json.loads(data))
        if fields.whole("v") > VERSION:
            raise LaterLease
        since = fields.text_or_none("since")
        return BucketLease(
            target=fields.text("target"),
            run_id=fields.text("run_id"),
            host=fields.text("host"),
            pid=fields.whole("pid"),
            started=fields.whole("started"),
            realm=fields.text("realm"),
            since=datetime.fromisoformat(since) if since else None,
            ttl_s=fields.number("ttl_s"),
            fence=fields.text("fence"),
        )
    except (ProtocolError, ValueError, RecursionError):
        return None


def realm() -> str:
    """This boot of this machine, and the namespace in which its processes are numbered."""
    try:
        namespace = os.readlink("/proc/self/ns/pid")  # noqa: PTH115
    except OSError:
        namespace = f"host {socket.gethostname()}"
    return f"{boot_id()} {namespace}"
