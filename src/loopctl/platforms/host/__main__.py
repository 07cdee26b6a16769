"""`python -m loopctl.platforms.host ROOT ENVIRONMENT RUNS_DIR`: become, or find, the host.

Returns once the host takes requests. The host itself is a daemon: a session of its own, no
terminal, what it has to say in a file. Exits with 1 and the reason on stderr when there is none.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import socket
import sys
import time
from pathlib import Path
from typing import Final

from loopctl.errors import LoopctlError
from loopctl.files import ensure_private_dir
from loopctl.platforms.host import process_tree
from loopctl.platforms.host.guardian import start_guardian
from loopctl.platforms.host.rendezvous import Rendezvous
from loopctl.platforms.host.server import serve

_READY: Final = b"ready"
_LOCK_LIMIT_S: Final = 5.0
_LARGEST_LOG: Final = 1024 * 1024


def main(root: str, environment: str, runs_dir: str) -> int:
    """See that there is a host; the exit code."""
    place = Rendezvous.of(Path(root), environment, Path(runs_dir))
    try:
        place.prepare()
        ensure_private_dir(place.state)
    except (LoopctlError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.close(reader)
        _daemon(place, writer)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        told = pipe.read()
    if told == _READY:
        return 0
    sys.stderr.write(told.decode("utf-8", "replace") or f"it ended at once, see {place.log}")
    return 1


def _daemon(place: Rendezvous, told: int) -> None:
    """The rest of the daemon's life; never returns."""
    code = 1
    try:
        os.setsid()
        os.chdir("/")
        os.umask(0o077)
        _redirect(place.log)
        if _become_host(place):
            _run(place, told)
        else:
            os.write(told, _READY)
        code = 0
    except (LoopctlError, OSError) as error:
        logging.getLogger("loopctl.host").exception("the host cannot start")
        os.write(told, str(error).encode())
    finally:
        os._exit(code)


def _run(place: Rendezvous, told: int) -> None:
    guardian = start_guardian(closing=told)
    process_tree.adopt_orphans()

    def ready() -> None:
        os.write(told, _READY)
        os.close(told)

    asyncio.run(serve(place, guardian, ready))


def _redirect(log: Path) -> None:
    """No terminal from here on: stdin is empty, stdout and stderr go to the host's log."""
    if log.exists() and log.stat().st_size > _LARGEST_LOG:
        log.replace(log.with_suffix(".log.1"))
    null = os.open(os.devnull, os.O_RDONLY)
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for number, fd in ((0, null), (1, file), (2, file)):
        os.dup2(fd, number)
    os.close(null)
    os.close(file)
    logging.Formatter.converter = time.gmtime
    logging.basicConfig(level=logging.INFO, format="%(asctime)sZ %(levelname)s %(message)s")


def _become_host(place: Rendezvous) -> bool:
    """Take the locks; False when another host is there and answers. Raises `OSError`.

    A host that has just been killed is followed: its guardian holds the lock until the services
    are gone.
    """
    lock = os.open(place.lock, os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + _LOCK_LIMIT_S
    while not _locked(lock):
        if _answers(place.socket):
            return False
        if time.monotonic() > deadline:
            raise OSError(f"{place.lock} is held by a host that does not answer")
        time.sleep(0.02)
    # The same runs folder may be used for two projects; their registries must not be mixed.
    if not _locked(os.open(place.state / "host.lock", os.O_RDWR | os.O_CREAT, 0o600)):
        raise OSError(
            f"{place.state} is used by the host of another project: choose another --runs-dir"
        )
    return True


def _locked(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
