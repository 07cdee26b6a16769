"""One lease as it stands in its file: written by the clients' leases, checked by the host."""

from __future__ import annotations

import hashlib
import os
import re
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from loopctl.model.artifact import Target
from loopctl.platforms.host.control import Fields, ProtocolError
from loopctl.platforms.host.durable import read_json
from loopctl.process import ProcessId, identify, is_alive


def boot_id() -> str:
    """Names this boot of the machine; a boot time clock means something only within one."""
    return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()


def boot_clock() -> float:
    """Seconds since boot, suspended ones included: nobody sets this clock."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass(frozen=True, slots=True)
class LeaseRecord:
    """A lease. `until_clock` is on the boot time clock of `boot`, `until` is for people.

    `fence` is new with every taking; `ttl_s` is what a renewal adds to now.
    """

    target: str
    run_id: str
    host: str
    pid: int
    started: int
    since: datetime
    until: datetime
    until_clock: float
    boot: str
    ttl_s: float
    fence: str

    def is_live(self) -> bool:
        """Whether it has not run out and its holder still runs, as far as can be seen from here."""
        if self.host != socket.gethostname():
            # Another machine or container: its processes cannot be seen, its clock is all there is.
            return self.until > datetime.now(self.until.tzinfo)
        if self.boot != boot_id() or boot_clock() >= self.until_clock:
            return False
        return is_alive(ProcessId(self.pid, self.started))

    @property
    def holder(self) -> str:
        """The holding process in words."""
        return f"process {self.pid} on {self.host}"

    def document(self) -> Mapping[str, object]:
        """The record as JSON has it."""
        return {
            "v": 1,
            "target": self.target,
            "run_id": self.run_id,
            "host": self.host,
            "pid": self.pid,
            "started": self.started,
            "since": self.since.isoformat(),
            "until": self.until.isoformat(),
            "until_clock": self.until_clock,
            "boot": self.boot,
            "ttl_s": self.ttl_s,
            "fence": self.fence,
        }


def lease_file(folder: Path, target: Target) -> Path:
    """The file of a target's lease: readable, and unique whatever the service is called."""
    slug = re.sub(r"[^A-Za-z0-9-]", "_", target.service)[:40]
    digest = hashlib.sha256(str(target).encode()).hexdigest()[:8]
    return folder / f"{slug}-{digest}.json"


def read_lease(file: Path) -> LeaseRecord | None:
    """The record in `file`, None when there is none that can be read as one.

    Records are replaced as a whole, so one that cannot be read was not written by a loopctl.
    Raises `OSError`.
    """
    fields = read_json(file)
    try:
        return None if fields is None else _record(fields)
    except (ProtocolError, ValueError):
        return None


def my_identity() -> ProcessId:
    """This process, told apart from a later one of the same number."""
    identity = identify(os.getpid())
    assert identity is not None, "a process that runs this is alive"
    return identity


def _record(fields: Fields) -> LeaseRecord:
    return LeaseRecord(
        target=fields.text("target"),
        run_id=fields.text("run_id"),
        host=fields.text("host"),
        pid=fields.whole("pid"),
        started=fields.whole("started"),
        since=datetime.fromisoformat(fields.text("since")),
        until=datetime.fromisoformat(fields.text("until")),
        until_clock=fields.number("until_clock"),
        boot=fields.text("boot"),
        ttl_s=fields.number("ttl_s"),
        fence=fields.text("fence"),
    )
