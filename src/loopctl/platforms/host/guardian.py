"""A second, tiny process of the host that ends the services should the host be killed.

The wish to die with the parent reaches a service's first process only; what that has started in
turn would live on. The guardian holds the host's lock too, so that no new host starts before the
old one's services are gone. Containers are no children of anybody here: nothing else ends them.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field

from loopctl.platforms.host import process_tree


class Guardian:
    """The host's end of the pipe to its guardian."""

    def __init__(self, pipe: int, pid: int) -> None:
        self.pid = pid
        self._pipe = pipe
        #: The sessions of all services that have not been seen to end.
        self.sessions: set[int] = set()

    def watch(self, session: int, revision: str, port: int) -> None:
        """From now on kill this service when the host is gone."""
        self.sessions.add(session)
        self._tell(f"+ {session} {revision} {port}\n")

    def forget(self, session: int) -> None:
        """The service has ended."""
        self.sessions.discard(session)
        self._tell(f"- {session}\n")

    def watch_container(self, name: str, engine: Mapping[str, str]) -> None:
        """From now on remove this container when the host is gone; the engine by its variables."""
        self._tell(f"@ {name} {json.dumps(dict(engine))}\n")

    def forget_container(self, name: str) -> None:
        """The container is removed."""
        self._tell(f"~ {name}\n")

    def _tell(self, line: str) -> None:
        # Shorter than PIPE_BUF, so it arrives whole. Without its guardian, should somebody have
        # killed it, the host goes on: the services' first processes still die with it.
        with contextlib.suppress(BrokenPipeError):
            os.write(self._pipe, line.encode("ascii"))


def start_guardian(closing: int) -> Guardian:
    """Fork the guardian; call before there is any thread or event loop.

    `closing` is a descriptor that it must not keep open.
    """
    reader, writer = os.pipe()
    if pid := os.fork():
        os.close(reader)
        return Guardian(writer, pid)
    os.close(writer)
    os.close(closing)
    try:
        _guard(reader)
    finally:
        os._exit(0)


def _guard(pipe: int) -> None:
    os.setsid()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    watched = _Watched()
    with os.fdopen(pipe, encoding="ascii") as lines:
        for line in lines:
            watched.hear(line)
    watched.end()


@dataclass(slots=True)
class _Watched:
    """What must be ended: services by session, containers by name with their engine."""

    services: dict[int, tuple[str, int]] = field(default_factory=dict)
    containers: dict[str, str] = field(default_factory=dict)

    def hear(self, line: str) -> None:
        sign, what, *rest = line.rstrip("\n").split(" ", 2)
        match sign:
            case "+":
                revision, port = rest[0].split()
                self.services[int(what)] = (revision, int(port))
            case "-":
                self.services.pop(int(what), None)
            case "@":
                self.containers[what] = rest[0]
            case _:
                self.containers.pop(what, None)

    def end(self) -> None:
        for group, (revision, port) in self.services.items():
            process_tree.kill_service(group, revision, port)
        by_engine: dict[str, list[str]] = {}
        for name, engine in self.containers.items():
            by_engine.setdefault(engine, []).append(name)
        if by_engine:
            # Imported for this alone: a guardian without containers stays tiny.
            from loopctl.platforms.host.leftovers import remove_containers  # noqa: PLC0415

            for engine, names in by_engine.items():
                remove_containers(json.loads(engine), names)
