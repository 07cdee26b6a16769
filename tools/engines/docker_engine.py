"""The engine: used where one runs, started where none does, and taken away again."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from engines import daemon, packages
from engines.asked import FOLDER, Asked
from engines.client import EngineClient
from engines.network import Network, free_network, remove_bridges
from engines.trouble import CannotError


@dataclass(frozen=True)
class _Files:
    """What an engine of ours keeps in the folder."""

    folder: Path

    @property
    def place(self) -> Path:
        return self.folder / "engine"

    @property
    def data(self) -> Path:
        return self.place / "data"

    @property
    def pid(self) -> Path:
        return self.place / "pid"

    @property
    def log(self) -> Path:
        return self.place / "log"

    @property
    def configuration(self) -> Path:
        return self.place / "daemon.json"

    @property
    def process(self) -> Path:
        return self.place / "process.json"

    @property
    def made(self) -> Path:
        return self.place / "made.json"


@dataclass(frozen=True)
class _Made:
    """Written before anything of it is made, so that all of it is found again."""

    socket: str
    block: str
    boot: str


def up(asked: Asked) -> str:
    """See that an engine answers; where it came from, in words."""
    client, files = EngineClient(asked), _Files(asked.folder)
    running = daemon.recall(files.process)
    ours = running is not None and running.runs
    made = _recall(files)
    if ours and made is not None and Path(made.socket) != asked.socket:
        raise CannotError(
            f"the engine of {asked.folder} listens at unix://{made.socket}, not {asked.engine}",
            f"DOCKER_HOST=unix://{made.socket}, or another folder: {FOLDER}",
        )
    if client.answers():
        return f"started earlier, keeps its data in {files.place}" if ours else "ran already"
    if asked.socket is None:
        raise CannotError(
            f"no engine answers at DOCKER_HOST={asked.engine}",
            "start it, or unset DOCKER_HOST to have one started here",
        )
    if running is not None and ours:
        daemon.wait_until_ready(running, client.answers, "dockerd", files.log)
        return "started earlier"
    if os.geteuid() != 0:
        raise CannotError(
            f"no Docker engine answers at {asked.engine}, and only root may start one",
            "run it as root, start Docker yourself, or name an engine by DOCKER_HOST",
        )
    packages.provide("engine")
    # Where systemd rules, Debian's package starts its own service.
    if client.answers():
        return "started by Debian's service docker"
    if made is not None:
        # One that has died is never started again to go on: see `Network.first_flags`.
        down(asked)
    made = _Made(str(asked.socket), free_network().block, _boot())
    files.place.mkdir(parents=True, exist_ok=True)
    files.made.write_text(json.dumps(asdict(made)))
    _start(asked, files, made, Network(made.block).first_flags)
    return f"started, keeps its data in {files.place}"


def down(asked: Asked) -> str | None:
    """End what `up` started, and remove what it made; None where that is nothing."""
    files = _Files(asked.folder)
    known, running = _recall(files), daemon.recall(files.process)
    if known is None:
        shutil.rmtree(files.place, ignore_errors=True)
        return None
    made = known
    bridges: list[str] = []
    if running is not None and not running.runs:
        # Not where it was: another engine may listen there by now.
        made = replace(made, socket=str(files.place / "sock"))
        running = _revived(asked, files, made)
    if running is not None:
        bridges = _at(asked, made).bridges(files.data)
        running.end()
    _unmount_all(files.place)
    # What was made before the machine started anew is gone, and its addresses may be another's.
    if made.boot == _boot():
        Network(made.block).remove()
        remove_bridges(bridges)
    shutil.rmtree(files.place)
    # Another engine may listen there by now.
    if not _at(asked, known).answers():
        Path(known.socket).unlink(missing_ok=True)
    return f"ended the engine at unix://{known.socket} and removed {files.place}"


def _start(
    asked: Asked, files: _Files, made: _Made, first_flags: Sequence[str] = ()
) -> daemon.Daemon:
    # What a machine's own engine is configured with, in /etc/docker, is not meant for this one.
    files.configuration.write_text("{}\n")
    network = Network(made.block)
    network.make()
    Path(made.socket).parent.mkdir(parents=True, exist_ok=True)
    # A dead engine's, whose pid the kernel may have given to another since.
    files.pid.unlink(missing_ok=True)
    started = daemon.launch([*_command(files, made), *first_flags], files.log)
    daemon.remember(files.process, started)
    try:
        daemon.wait_until_ready(started, _at(asked, made).answers, "dockerd", files.log)
    except CannotError:
        files.process.unlink()
        network.remove()
        raise
    return started


def _at(asked: Asked, made: _Made) -> EngineClient:
    return EngineClient(replace(asked, engine=f"unix://{made.socket}", environ={}))


def _revived(asked: Asked, files: _Files, made: _Made) -> daemon.Daemon | None:
    """An engine that was killed has left its containers going: only an engine can end them."""
    if made.boot != _boot():
        return None
    try:
        return _start(asked, files, made)
    except CannotError as error:
        raise CannotError(
            f"the engine was killed, and cannot be started again to end its containers: {error}",
            f"end what `ps ax | grep {files.place}` shows, then do this again",
        ) from None


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _command(files: _Files, made: _Made) -> list[str]:
    return [
        "dockerd",
        f"--host=unix://{made.socket}",
        f"--data-root={files.data}",
        f"--exec-root={files.place / 'exec'}",
        f"--pidfile={files.pid}",
        f"--config-file={files.configuration}",
        *Network(made.block).flags,
    ]


def _recall(files: _Files) -> _Made | None:
    try:
        return _Made(**json.loads(files.made.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _unmount_all(place: Path) -> None:
    """An engine leaves name spaces mounted, through which nothing must be deleted."""
    for _ in range(2):
        for mounted in reversed(_mounts(place)):
            subprocess.run(["umount", mounted], capture_output=True, check=False, timeout=30)
    if left := _mounts(place):
        raise CannotError(f"still mounted: {', '.join(left)}", "umount it, then do this again")


def _mounts(place: Path) -> list[str]:
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return [point for line in lines if (point := line.split()[4]).startswith(f"{place}/")]
