"""`python -m engines up|down`."""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from engines import base_image, docker_engine, registry
from engines.asked import Asked
from engines.client import EngineClient
from engines.trouble import CannotError

_MINE = {"engine", "registry", "base-image.json"}


def main(arguments: list[str]) -> int:
    """Do it and say what runs where; 1 when it could not be done."""
    # A shell of root's that was not a login has no word of where dockerd, ip and iptables are.
    os.environ["PATH"] = f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin"
    what = {"up": _up, "down": _down}
    if len(arguments) != 1 or arguments[0] not in what:
        return _say_no("usage: python -m engines up|down")
    try:
        asked = Asked.by(os.environ)
        with _alone(asked.folder):
            what[arguments[0]](asked)
    except CannotError as error:
        return _say_no(f"make engines: {error}")
    except (OSError, subprocess.SubprocessError) as error:
        return _say_no(f"make engines: {type(error).__name__}: {error}")
    except KeyboardInterrupt:
        return _say_no("make engines: stopped; `make engines-down` removes what was begun")
    return 0


def _up(asked: Asked) -> None:
    engine = docker_engine.up(asked)
    store = registry.up(asked)
    base = base_image.up(asked)
    _say("Docker engine", f"{asked.engine}, {EngineClient(asked).version()}", engine)
    _say("registry", asked.registry, store)
    _say("base image", base_image.NAME, base)
    if asked.folder.is_dir() and any(asked.folder.iterdir()):
        sys.stdout.write("`make engines-down` ends and removes what was started; nothing else\n")


def _down(asked: Asked) -> None:
    removed = [docker_engine.down(asked), registry.down(asked.folder), base_image.down(asked)]
    told = [each for each in removed if each]
    sys.stdout.writelines(f"{each}\n" for each in told or ["nothing was started here"])


def _say(what: str, where: str, how: str) -> None:
    sys.stdout.write(f"{what:<15}{where:<46}{how}\n")


def _say_no(text: str) -> int:
    sys.stderr.write(f"{text}\n")
    return 1


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder, so that two of these do not start two; it goes when nothing is in it."""
    try:
        held = _hold(folder)
    except PermissionError:
        # Whoever may write nothing there can still be told that all is running already.
        yield
        return
    try:
        strangers = sorted({path.name for path in folder.iterdir()} - _MINE)
        if strangers:
            raise CannotError(f"{folder} is no folder of engines: it has {strangers[0]} in it")
        yield
    finally:
        with contextlib.suppress(OSError):
            folder.rmdir()
        os.close(held)


def _hold(folder: Path) -> int:
    while True:
        folder.mkdir(mode=0o711, parents=True, exist_ok=True)
        held = os.open(folder, os.O_RDONLY)
        fcntl.flock(held, fcntl.LOCK_EX)
        # Whoever held it before may have removed it meanwhile.
        with contextlib.suppress(FileNotFoundError):
            if os.fstat(held).st_ino == folder.stat().st_ino:
                return held
        os.close(held)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
