"""The URLs of services and of their tags, and where the requests at each go."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from emulator.front_exchange import Exchange
from emulator.http_peer import HttpPeer
from emulator.listener import Listener
from emulator.run_messages import ServicePb
from emulator.run_names import short
from emulator.run_traffic import Routing, routing

Taken = Callable[["Door", Exchange], None]


@dataclass(slots=True)
class Door:
    """A URL of a service by its full name; `tag` is empty at the service's own."""

    service: str
    tag: str
    listener: Listener | None = None

    @property
    def url(self) -> str:
        assert self.listener is not None
        return f"http://127.0.0.1:{self.listener.port}"


@dataclass(slots=True)
class FrontDoors:
    """A port for each service and each tag, kept for as long as the emulator lives.

    `take` answers one request; a door of which no routing is known is answered too.
    """

    take: Taken
    _doors: dict[tuple[str, str], Door] = field(default_factory=dict)
    _routes: dict[str, Routing] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _random: random.Random = field(default_factory=lambda: random.Random(0))

    def url(self, service: str, tag: str = "") -> str:
        """The URL; it is the same whenever it is asked for."""
        with self._lock:
            if (service, tag) not in self._doors:
                self._doors[service, tag] = self._open(service, tag)
            return self._doors[service, tag].url

    def route(self, service: ServicePb) -> None:
        """From now on requests go as the service's traffic says."""
        with self._lock:
            self._routes[service.name] = routing(service)

    def forget(self, service: str) -> None:
        """Nothing answers at the service's URLs but Google's 404."""
        with self._lock:
            self._routes.pop(service, None)

    def revision(self, door: Door) -> str | None:
        """The full name of the revision that takes the next request at a door."""
        with self._lock:
            found = self._routes.get(door.service)
            if found is None:
                return None
            if door.tag:
                return found.revision_of(door.tag)
            names = [share.revision for share in found.shares]
            return self._random.choices(names, [share.percent for share in found.shares])[0]

    def close(self) -> None:
        with self._lock:
            doors = list(self._doors.values())
        for door in doors:
            assert door.listener is not None
            door.listener.close()

    def _open(self, service: str, tag: str) -> Door:
        door = Door(service, tag)

        def serve(connection: object) -> None:
            assert door.listener is not None
            peer = HttpPeer(connection)  # type: ignore[arg-type]
            for request in peer.requests():
                self.take(door, Exchange(peer, request, door.listener))

        # The listener's threads look at the door: none of them runs before it is complete.
        name = "-".join(filter(None, ("emulator", tag, short(service))))
        door.listener = Listener(serve, name)
        return door
