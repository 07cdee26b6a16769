"""One service: its revisions, who of them gets its traffic, and what becomes of the others."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from loopctl.platforms.host.control import Document
from loopctl.platforms.host.front_door import FrontDoor
from loopctl.platforms.host.registry import Registry
from loopctl.platforms.host.request_file import RequestFile
from loopctl.platforms.host.revision import ON_LOOPBACK, LiveRevision, open_door
from loopctl.ports.platform import PlatformError

#: Seconds that requests in flight have to end on a revision that lost its traffic.
DRAIN_S: Final = 10.0
#: Revisions of which all is kept, so that traffic can go back to them.
KEPT_REVISIONS: Final = 5
#: Addresses of forgotten revisions that still lead to what serves.
KEPT_ADDRESSES: Final = 50

_log = logging.getLogger("loopctl.host")


@dataclass(frozen=True, slots=True)
class Traffic:
    """Percent by revision, now and before the last switch; the latter's go on running."""

    now: Mapping[str, int]
    before: frozenset[str] = frozenset()

    def keeps(self, revision: str) -> bool:
        """Whether a revision must go on running."""
        return revision in self.before or self.now.get(revision, 0) > 0


class Service:
    """Must be used within the host's event loop; writers hold `lock`."""

    def __init__(self, name: str, registry: Registry, requests: RequestFile) -> None:
        self.name = name
        self.lock = asyncio.Lock()
        self.revisions: dict[str, LiveRevision] = {}
        self._registry = registry
        self._requests = requests
        self._door = self.new_door()
        self._hosts: Sequence[str] = ON_LOOPBACK
        self._traffic = Traffic({})
        self._forgotten: list[FrontDoor] = []
        self._background: set[asyncio.Task[None]] = set()

    def new_door(self) -> FrontDoor:
        """A front door, not yet open, that writes to this service's request log."""
        return FrontDoor(self.name, self._requests.write)

    async def open(self, hosts: Sequence[str]) -> None:
        """Open the stable front door, where it was before if that is free.

        It listens at all `hosts`, and so do those of the revisions.
        """
        self._hosts = hosts
        port = await open_door(self._door, self._registry.of(self.name).port, hosts)
        self._registry.keep_port(self.name, port)

    def state(self) -> Document:
        """Who serves, as it goes over the socket."""
        return {
            "service": self.name,
            "url": self._door.url,
            "ws_url": self._door.ws_url,
            "traffic": dict(self._traffic.now),
            "generation": str(self._registry.of(self.name).generation),
            "revisions": [each.label.document() for each in self.revisions.values()],
        }

    def by_key(self, key: str) -> LiveRevision | None:
        """The revision that a deployment made."""
        return next((each for each in self.revisions.values() if each.label.key == key), None)

    async def add(self, revision: LiveRevision, takes_all: bool) -> None:
        """Start a new revision. Raises `PlatformError`, and then there is none."""
        self._hide_secrets_of(revision)
        await revision.start(self.new_door(), self._hosts)
        self.revisions[revision.label.name] = revision
        revision.workload.ended.add_done_callback(self._apply_routes_after)
        self._registry.wrote(self.name)
        if takes_all:
            self._switch({revision.label.name: 100})
        self._later(self._prune())

    async def route(self, want: Mapping[str, int]) -> None:
        """Send the traffic there. Raises `PlatformError`, and then nothing has changed."""
        wanted = {name: percent for name, percent in want.items() if percent}
        if sum(wanted.values()) != 100 or min(wanted.values()) < 0:
            raise PlatformError(f"traffic adds up to {sum(wanted.values())} percent, not 100")
        for name in wanted:
            revision = self.revisions.get(name)
            if revision is None:
                raise PlatformError(
                    f"revision {name} is not there any more",
                    where=self.name,
                    hint="deploy it again; its host has ended or it was pruned",
                )
            if not revision.serves:
                self._hide_secrets_of(revision)
                await revision.ensure_serving()
                revision.workload.ended.add_done_callback(self._apply_routes_after)
        if wanted == dict(self._traffic.now):
            self._apply_routes()
            return
        self._registry.wrote(self.name)
        self._switch(wanted)

    def _hide_secrets_of(self, starting: LiveRevision) -> None:
        """Keep its secrets and those of what runs out of the request log."""
        running = [each for each in self.revisions.values() if each.serves]
        self._requests.hide([each.redactor for each in (starting, *running)])

    async def discard(self, name: str) -> None:
        """Remove a revision; nothing if it is gone. Raises `PlatformError` if it has traffic."""
        if self._traffic.now.get(name, 0):
            raise PlatformError(
                f"revision {name} still takes {self._traffic.now[name]} percent of the traffic",
                where=self.name,
                hint="route the traffic elsewhere first",
            )
        revision = self.revisions.get(name)
        if revision is not None:
            self._registry.wrote(self.name)
            await self._remove(revision)

    async def down(self) -> None:
        """End everything; the logs stay. Raises `PlatformError` if something is left behind."""
        for task in list(self._background):
            task.cancel()
        self._traffic = Traffic({})
        for door in (self._door, *self._forgotten):
            await door.close()
        removals = [self._remove(each) for each in list(self.revisions.values())]
        ends = await asyncio.gather(*removals, return_exceptions=True)
        self._requests.close()
        for end in ends:
            if isinstance(end, BaseException):
                raise end

    def _switch(self, traffic: Mapping[str, int]) -> None:
        self._traffic = Traffic(dict(traffic), frozenset(self._traffic.now))
        self._apply_routes()
        newest = max(self.revisions[name].label.number for name in traffic)
        for revision in self.revisions.values():
            # A younger one is a candidate that waits for its turn.
            if not self._traffic.keeps(revision.label.name) and revision.label.number < newest:
                self._later(self._retire(revision))

    def _apply_routes(self) -> None:
        """Let the front door follow the traffic; with nobody alive to serve it answers 503.

        So do the own addresses of retired revisions: a service that was deployed beside one was
        told that address, and goes on calling it.
        """
        shares = [
            (self.revisions[name].upstream, percent) for name, percent in self._traffic.now.items()
        ]
        alive = any(self.revisions[name].workload.alive for name in self._traffic.now)
        retired = [each.door for each in self.revisions.values() if each.retired]
        for door in (self._door, *retired, *self._forgotten):
            door.set_routes(shares if alive else [])

    def _apply_routes_after(self, _ended: object) -> None:
        self._apply_routes()

    async def _retire(self, revision: LiveRevision) -> None:
        """Stop a revision that has no traffic, once its requests have ended."""
        name = revision.label.name
        revision.retired = True
        self._apply_routes()
        await asyncio.gather(
            self._door.drained(name, DRAIN_S), revision.door.drained(name, DRAIN_S)
        )
        if self._traffic.keeps(name):
            revision.retired = False
            revision.route_home()
            return
        await revision.stop()
        await self._prune()

    async def _prune(self) -> None:
        """Forget the oldest revisions that have ended; their addresses lead to what serves."""
        by_age = sorted(self.revisions.values(), key=lambda each: -each.label.number)
        for revision in by_age[KEPT_REVISIONS:]:
            if not revision.is_up and not self._traffic.keeps(revision.label.name):
                await self._forget(revision)

    async def _forget(self, revision: LiveRevision) -> None:
        if self.revisions.pop(revision.label.name, None) is None:
            return
        self._forgotten.append(revision.door)
        while len(self._forgotten) > KEPT_ADDRESSES:
            await self._forgotten.pop(0).close()
        self._apply_routes()
        try:
            await revision.end()
        except PlatformError as error:
            _log.warning("%s", error)

    async def _remove(self, revision: LiveRevision) -> None:
        if self.revisions.pop(revision.label.name, None) is not None:
            await revision.close()

    def _later(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
