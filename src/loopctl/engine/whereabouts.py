"""Why no engine answers where it should, and what would change that."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from loopctl.engine.connection import DEFAULT_ADDRESS, Engine

_UNIX: Final = "unix://"
_LIMIT_S: Final = 2.0
_GET_ONE: Final = (
    "install one and start it (Debian: `apt-get install docker.io`, then `systemctl start docker`; "
    "in loopctl's repository `make engines`), or name yours: DOCKER_HOST=unix:///… "
    "(`docker context inspect` prints where it listens)"
)


def socket_trouble(engine: Engine, environ: Mapping[str, str]) -> tuple[str, str] | None:
    """Why no connection to its unix socket can be made, and what to do.

    None where one can, or where its address is of another kind.
    """
    if not engine.address.startswith(_UNIX):
        return None
    path = engine.address.removeprefix(_UNIX)
    match _tried(path):
        case 0:
            return None
        case errno.EACCES | errno.EPERM:
            what = f"this user may not use the engine's socket {path}"
            return what, (
                "add yourself to the group docker (`sudo usermod -aG docker $USER`), log in "
                "again; or run loopctl as root"
            )
        case errno.ECONNREFUSED:
            what = f"nobody listens at {path}: the engine has ended"
            return (
                what,
                "start it: `systemctl start docker`, or `make engines` in loopctl's repository",
            )
        case errno.ENOENT | errno.ENOTDIR:
            return f"there is no socket {path}: no engine runs there", _other(environ) or _GET_ONE
        case number:
            return f"{path} cannot be used: {os.strerror(number)}", "see what DOCKER_HOST names"


def elsewhere(engine: Engine) -> tuple[str, str]:
    """The same, for an address that is no unix socket."""
    what = f"no engine answers at {engine.address}"
    return what, f"start it, or unset DOCKER_HOST to use the engine at {DEFAULT_ADDRESS}"


def _other(environ: Mapping[str, str]) -> str | None:
    """An engine that listens where one does that runs without root."""
    folder = environ.get("XDG_RUNTIME_DIR")
    other = Path(folder or "/nonexistent") / "docker.sock"
    if not other.is_socket():
        return None
    return f"an engine of yours listens elsewhere: export DOCKER_HOST={_UNIX}{other}"


def _tried(path: str) -> int:
    """The error number of a connection; 0 where it was made."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(_LIMIT_S)
        try:
            probe.connect(path)
        except OSError as error:
            # A path that is too long, and a queue that is full, come without a number.
            return error.errno or errno.EINVAL
    return 0
