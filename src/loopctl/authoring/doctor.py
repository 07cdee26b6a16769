"""Whether a machine has what loopctl needs; each check says how to mend what it misses."""

from __future__ import annotations

import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from loopctl.errors import LoopctlError
from loopctl.files import ensure_private_dir
from loopctl.found import Found


@dataclass(frozen=True, slots=True)
class Check:
    """One check; `said` is what was found. `known` False: it cannot be told, and counts as ok."""

    name: str
    ok: bool
    said: str
    hint: str | None = None
    known: bool = True

    @classmethod
    def of(cls, found: Found) -> Check:
        """What a look at the environment found."""
        return cls(found.name, found.ok, found.said, found.hint, found.known)


def machine_checks(runs_dir: Path) -> Sequence[Check]:
    """What every run needs of the machine."""
    return [_python(), _git(), _proc(), _runs(runs_dir), _unix_sockets(), _loopback()]


def _python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    good = sys.version_info >= (3, 11)
    return Check("python", good, f"{version} at {sys.executable}", "use Python 3.11 or newer")


def _git() -> Check:
    found = shutil.which("git")
    said = found or "not on PATH; without it every file counts as source"
    return Check("git", found is not None, said, "install git")


def _proc() -> Check:
    good = Path("/proc/self/stat").is_file()
    said = "readable" if good else "missing: dead processes and wrong ports cannot be told"
    return Check("/proc", good, said, "loopctl's local platform needs Linux")


def _runs(runs_dir: Path) -> Check:
    # Nothing is made here: the nearest folder that exists must take a file.
    nearest = next(p for p in (runs_dir, *runs_dir.parents) if p.exists())

    def write() -> str:
        with tempfile.TemporaryFile(dir=nearest) as probe:
            probe.write(b"loopctl")
        free = shutil.disk_usage(nearest).free // (1 << 20)
        return f"{runs_dir} can be written, {free} MiB free"

    return _tried("runs folder", write, "choose another with --runs-dir")


def _unix_sockets() -> Check:
    def bind() -> str:
        with tempfile.TemporaryDirectory() as folder:
            ensure_private_dir(Path(folder))
            with socket.socket(socket.AF_UNIX) as probe:
                probe.bind(str(Path(folder) / "s"))
        return "work"

    return _tried(
        "unix sockets", bind, f"point TMPDIR at a short path (now {tempfile.gettempdir()})"
    )


def _loopback() -> Check:
    def listen() -> str:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        return f"listens on 127.0.0.1 (tried port {port})"

    return _tried("loopback", listen, "allow this user to listen on 127.0.0.1")


def _tried(name: str, attempt: Callable[[], str], hint: str) -> Check:
    try:
        return Check(name, ok=True, said=attempt())
    except LoopctlError as error:
        return Check(name, ok=False, said=error.what, hint=hint)
    except OSError as error:
        return Check(name, ok=False, said=os.strerror(error.errno or 0), hint=hint)
