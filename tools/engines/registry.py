"""The registry: used where one answers, started where none does, and taken away again."""

from __future__ import annotations

import contextlib
import shutil
import socket
from pathlib import Path

from engines import daemon, packages
from engines.asked import REGISTRY, Asked
from engines.client import registry_answers
from engines.trouble import CannotError

_CONFIGURATION = """\
version: 0.1
storage:
  filesystem: {{rootdirectory: "{data}"}}
  delete: {{enabled: true}}
http: {{addr: "{address}"}}
"""


def up(asked: Asked) -> str:
    """See that a registry answers; where it came from, in words."""
    place = asked.folder / "registry"
    process = place / "process.json"
    running = daemon.recall(process)
    if registry_answers(asked.registry):
        ours = running is not None and running.runs
        return f"started earlier, keeps its data in {place}" if ours else "ran already"
    if running is not None and running.runs:
        raise CannotError(
            f"the registry of {asked.folder} runs, and does not answer at {asked.registry}",
            f"name its own address by {REGISTRY}, or begin anew: make engines-down",
        )
    if _is_taken(asked.registry):
        raise CannotError(
            f"something listens at {asked.registry} that is no registry",
            f"choose another place for it: {REGISTRY}=127.0.0.1:PORT",
        )
    packages.provide("registry")
    place.mkdir(parents=True, exist_ok=True)
    configuration, log = place / "config.yml", place / "log"
    configuration.write_text(_CONFIGURATION.format(data=place / "data", address=asked.registry))
    started = daemon.launch(["docker-registry", "serve", str(configuration)], log)
    daemon.remember(process, started)
    daemon.wait_until_ready(
        started, lambda: registry_answers(asked.registry), "docker-registry", log
    )
    return f"started, keeps its data in {place}"


def down(folder: Path) -> str | None:
    """End what `up` started, and remove what it kept; None where that is nothing."""
    place = folder / "registry"
    running = daemon.recall(place / "process.json")
    if running is not None:
        running.end()
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(place)
    return None if running is None else f"ended the registry and removed {place}"


def _is_taken(address: str) -> bool:
    host, _, port = address.rpartition(":")
    with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=2):
        return True
    return False
