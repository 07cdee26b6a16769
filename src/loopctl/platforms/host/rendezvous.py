"""Where the host of one environment is met: its socket, its lock and its state.

There is one host for each (real project root, environment), whatever runs folder is used, so
socket, lock and leases stand in the user's runtime folder; logs and revisions in the runs folder.
"""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from loopctl.model.artifact import Target
from loopctl.ports.platform import PlatformError

#: One host serves an environment, whatever its services are; so whoever writes to it, from a loop
#: file that says `local` or one that says `docker`, has to hold the same lease.
_PLATFORM: Final = "local"
# A unix socket's path has room for 108 bytes; some tools stop earlier.
_LONGEST_SOCKET_PATH = 100


@dataclass(frozen=True, slots=True)
class Rendezvous:
    """The paths that clients and host of one environment share.

    `key` is 16 hex digits of SHA-256 over real root and environment; `runtime` is 0700 and ours;
    `state` keeps `logs/`, `requests/`, `revisions/`, `registry.json` and `host.log`.
    """

    root: Path
    environment: str
    key: str
    runtime: Path
    state: Path

    @staticmethod
    def of(root: Path, environment: str, runs_dir: Path) -> Rendezvous:
        """The rendezvous of an environment; touches nothing but links on the way to `root`."""
        real = root.resolve()
        key = hashlib.sha256(f"{real}\0{environment}".encode()).hexdigest()[:16]
        state = runs_dir.absolute() / "hosts" / environment
        return Rendezvous(real, environment, key, _runtime_base() / key, state)

    @property
    def socket(self) -> Path:
        """The control socket."""
        return self.runtime / "host.sock"

    @property
    def lock(self) -> Path:
        """Locked for as long as a host, or a process of its services, lives."""
        return self.runtime / "host.lock"

    @property
    def leases(self) -> Path:
        """The folder of the lease records."""
        return self.runtime / "leases"

    @property
    def log(self) -> Path:
        """What the host itself has to say."""
        return self.state / "host.log"

    def target(self, service: str) -> Target:
        """What is locked for a service."""
        return Target(_PLATFORM, f"{self.root}#{self.environment}", service)

    def prepare(self) -> None:
        """Make the runtime folder. Raises `PlatformError` when it cannot be trusted."""
        for folder in (self.runtime.parent, self.runtime, self.leases):
            _make_private(folder)
        if len(os.fsencode(self.socket)) >= _LONGEST_SOCKET_PATH:
            raise PlatformError(
                "the path of the host's socket is too long for a unix socket",
                where=str(self.socket),
                hint="set LOOPCTL_RUNTIME_DIR to a folder with a shorter path",
            )


def _runtime_base() -> Path:
    # One place for every session of a user: a cron job and a login must meet at the same lease, so
    # XDG_RUNTIME_DIR, which differs between them and goes with the last login, will not do.
    given = os.environ.get("LOOPCTL_RUNTIME_DIR", "")
    if given and Path(given).is_dir():
        return Path(given) / "loopctl"
    return Path(f"/tmp/loopctl-{os.geteuid()}")  # noqa: S108 - checked by `_make_private`


def _make_private(folder: Path) -> None:
    """Make a folder that nobody else can enter, or see that it is one.

    In /tmp somebody else may have been there first, with a link or a folder of his own.
    """
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise PlatformError(
            f"cannot make the runtime folder: {error.strerror}",
            where=str(folder),
            hint="set LOOPCTL_RUNTIME_DIR to a folder of yours that can be written to",
        ) from None
    ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
    if not ours or found.st_mode & 0o077:
        raise PlatformError(
            "the runtime folder belongs to somebody else or is open to others",
            where=str(folder),
            hint="remove it, or set LOOPCTL_RUNTIME_DIR to a folder of yours with mode 0700",
        )
