"""Where an engine is said to be, why none answers there, and what would change that."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from loopctl.inert import one_line

if TYPE_CHECKING:
    from loopctl.engine.connection import Engine

DEFAULT_ADDRESS: Final = "unix:///var/run/docker.sock"
UNIX: Final = "unix://"
_SPOKEN: Final = frozenset({"unix", "tcp", "http", "https"})
_CERTIFICATES: Final = ("ca.pem", "cert.pem", "key.pem")
_LIMIT_S: Final = 2.0
_GET_ONE: Final = (
    "install one and start it (Debian: `apt-get install docker.io`, then `systemctl start docker`; "
    "in loopctl's repository `make engines`), or name yours: DOCKER_HOST=unix:///… "
    "(`docker context inspect` prints where it listens)"
)
_OWN_LOG: Final = "its own log says why: `journalctl -u docker`; `systemctl restart docker`"


def address_of(environ: Mapping[str, str]) -> str:
    """As `DOCKER_HOST` has it, or the default."""
    return environ.get("DOCKER_HOST") or DEFAULT_ADDRESS


def is_secured(environ: Mapping[str, str]) -> bool:
    """Whether the engine is spoken to by TLS; a unix socket never is."""
    return bool(environ.get("DOCKER_TLS_VERIFY")) and not address_of(environ).startswith(UNIX)


def unusable(environ: Mapping[str, str]) -> tuple[str, str] | None:
    """Why an engine cannot even be asked by what `environ` says, and what to do; None if it can."""
    address = address_of(environ)
    scheme, parted, _ = address.partition("://")
    if not parted or scheme not in _SPOKEN:
        what = "loopctl speaks to an engine by unix:// and tcp:// only"
        hint = f"unset DOCKER_HOST to use the engine at {DEFAULT_ADDRESS}"
        if scheme == "ssh":
            return what, f"run loopctl on the engine's own machine, or {hint}"
        return what, f"{hint}, or set it to unix:///… or tcp://HOST:PORT"
    return _without_certificates(environ) if is_secured(environ) else None


def _without_certificates(environ: Mapping[str, str]) -> tuple[str, str] | None:
    folder = environ.get("DOCKER_CERT_PATH")
    plain = "unset DOCKER_TLS_VERIFY for an engine without TLS"
    if folder is None:
        what = "DOCKER_TLS_VERIFY is set and DOCKER_CERT_PATH is not"
        return what, f"set DOCKER_CERT_PATH to the folder of {', '.join(_CERTIFICATES)}, or {plain}"
    absent = [name for name in _CERTIFICATES if not Path(folder, name).is_file()]
    if not absent:
        return None
    what = f"DOCKER_TLS_VERIFY is set and there is no {one_line(folder)}/{absent[0]}"
    return what, f"put it there, or mend DOCKER_CERT_PATH, or {plain}"


def socket_trouble(engine: Engine, environ: Mapping[str, str]) -> tuple[str, str] | None:
    """Why no connection to its unix socket can be made, and what to do.

    None where one can, or where its address is of another kind.
    """
    return _trouble(engine.address, environ) if engine.address.startswith(UNIX) else None


def way_out(address: str) -> str:
    """What to do about an engine at `address` that does not answer, as far as can be seen."""
    if not address.startswith(UNIX):
        return f"start it, or unset DOCKER_HOST to use the engine at {DEFAULT_ADDRESS}"
    trouble = _trouble(address, os.environ)
    return _OWN_LOG if trouble is None else trouble[1]


def _trouble(address: str, environ: Mapping[str, str]) -> tuple[str, str] | None:
    path = address.removeprefix(UNIX)
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
        case errno.EAGAIN:
            return f"the engine at {path} takes no connections: it hangs", _OWN_LOG
        case errno.ENOENT | errno.ENOTDIR:
            return f"there is no socket {path}: no engine runs there", _other(environ) or _GET_ONE
        case number:
            return f"{path} cannot be used: {os.strerror(number)}", "see what DOCKER_HOST names"


def _other(environ: Mapping[str, str]) -> str | None:
    """An engine that listens where one does that runs without root."""
    folder = environ.get("XDG_RUNTIME_DIR")
    other = Path(folder or "/nonexistent") / "docker.sock"
    if not other.is_socket():
        return None
    return f"an engine of yours listens elsewhere: export DOCKER_HOST={UNIX}{other}"


def _tried(path: str) -> int:
    """The error number of a connection; 0 where it was made."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(_LIMIT_S)
        try:
            probe.connect(path)
        except OSError as error:
            # A path that is too long comes without a number.
            return error.errno or errno.EINVAL
    return 0
