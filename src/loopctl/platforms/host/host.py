"""The verbs of a host: what each of them does to the environment's services."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from loopctl import process_table
from loopctl.platforms.host import process_tree
from loopctl.platforms.host.control import Document, Fields, ProtocolError
from loopctl.platforms.host.deployment import Deployment, deploy
from loopctl.platforms.host.folders import forget_old_logs, remove_folder
from loopctl.platforms.host.guardian import Guardian
from loopctl.platforms.host.lease_record import lease_file, read_lease
from loopctl.platforms.host.names import checked_service
from loopctl.platforms.host.registry import Registry
from loopctl.platforms.host.rendezvous import Rendezvous
from loopctl.platforms.host.request_file import RequestFile
from loopctl.platforms.host.runnable import Surroundings
from loopctl.platforms.host.service import Service
from loopctl.ports.leases import LeaseLost
from loopctl.ports.platform import PlatformError

Verb = Callable[[Fields], Awaitable[Document]]

_log = logging.getLogger("loopctl.host")


class Host:
    """One environment's services. Must be used within one event loop."""

    def __init__(self, place: Rendezvous, guardian: Guardian) -> None:
        """Take over the state folder. Raises `OSError`."""
        self.over: Final = asyncio.Event()
        #: Whether services stay up though nobody holds a lease.
        self.keep = False
        self._place = place
        self._guardian = guardian
        self._surroundings = Surroundings(place, guardian)
        self._registry = Registry(place.state / "registry.json")
        self._services: dict[str, Service] = {}
        self._deploying: list[tuple[str, str]] = []
        self._opening = asyncio.Lock()
        self._verbs: Mapping[str, Verb] = {
            "hello": self._hello,
            "observe": self._observe,
            "find": self._find,
            "deploy": self._deploy,
            "status": self._status,
            "route": self._route,
            "discard": self._discard,
            "down": self._down,
            "close": self._close,
        }
        for folder in ("logs", "requests", "revisions"):
            (place.state / folder).mkdir(mode=0o700, exist_ok=True)
        forget_old_logs(place.state / "logs")
        for left in (place.state / "revisions").iterdir():
            # No host can start them again: their environment went with the one that had it.
            remove_folder(left)

    async def answer(self, verb: str, args: Fields) -> Document:
        """Do what is asked. Raises `PlatformError`, `LeaseLost`, `ProtocolError`."""
        if verb not in self._verbs:
            raise ProtocolError(f"the host knows no verb {verb!r}")
        return await self._verbs[verb](args)

    def holds_lease(self) -> bool:
        """Whether any run holds a lease on this environment."""
        leases = (read_lease(file) for file in self._place.leases.glob("*.json"))
        return any(lease is not None and lease.is_live() for lease in leases)

    def reap(self) -> None:
        """Collect orphans that have ended."""
        process_tree.reap(self._guardian.sessions)

    async def end(self) -> None:
        """End every service, and every process that came of one."""
        ends = [self._end_service(each) for each in list(self._services)]
        for end in await asyncio.gather(*ends, return_exceptions=True):
            if isinstance(end, BaseException):
                # The guardian, and the next host, try again.
                _log.warning("%s", end)
        # The guardian ends by itself, once it has removed the containers that could not be.
        kept = (os.getpid(), self._guardian.pid)
        left = [pid for pid in process_table.descendants(os.getpid()) if pid not in kept]
        process_tree.kill_all(left)

    async def _hello(self, _args: Fields) -> Document:
        return {"pid": os.getpid(), "state": str(self._place.state)}

    async def _observe(self, args: Fields) -> Document:
        service = self._services.get(args.text("service"))
        return {"service": None if service is None else service.state()}

    async def _find(self, args: Fields) -> Document:
        key = args.text("key")
        service = self._services.get(args.text("service"))
        found = None if service is None else service.by_key(key)
        revision = None if found is None else found.label.document()
        return {"revision": revision, "deploying": any(key == each for _, each in self._deploying)}

    async def _deploy(self, args: Fields) -> Document:
        name = checked_service(args.text("service"))
        wanted = Deployment.of(args)
        self._deploying.append((name, wanted.key))
        try:
            hosts = await wanted.runnable.prepare(self._surroundings)
            service = await self._open_service(name, hosts)
            async with service.lock:
                if self._services.get(name) is not service:
                    raise PlatformError("the service was taken down meanwhile", where=name)
                revision = service.by_key(wanted.key)
                if revision is None:
                    self._check_lease(name, args)
                    number = self._registry.next_number(name)
                    revision = await deploy(wanted, service, number, self._surroundings)
        finally:
            self._deploying.remove((name, wanted.key))
            await self._forget_if_empty(name)
        return {"revision": revision.label.document()}

    async def _status(self, args: Fields) -> Document:
        service = self._services.get(args.text("service"))
        revision = None if service is None else service.revisions.get(args.text("revision"))
        if revision is None:
            return {"state": "unknown"}
        await revision.settled()
        return revision.status()

    async def _route(self, args: Fields) -> Document:
        service = self._services.get(args.text("service"))
        if service is None:
            raise PlatformError(
                "the service is not up, so there is no traffic to route",
                where=args.text("service"),
                hint="deploy it again",
            )
        async with service.lock:
            self._check_lease(service.name, args)
            await service.route(args.wholes("traffic"))
        return {"service": service.state()}

    async def _discard(self, args: Fields) -> Document:
        service = self._services.get(args.text("service"))
        if service is not None:
            async with service.lock:
                self._check_lease(service.name, args)
                await service.discard(args.text("revision"))
        return {}

    async def _down(self, args: Fields) -> Document:
        name = args.text("service")
        try:
            if name in self._services:
                async with self._services[name].lock:
                    self._check_lease(name, args)
                    await self._end_service(name)
        finally:
            if not self._services and not self._deploying:
                self.over.set()
        return {}

    async def _close(self, args: Fields) -> Document:
        self.keep = args.flag("keep")
        return {}

    async def _open_service(self, name: str, hosts: Sequence[str]) -> Service:
        async with self._opening:
            if name not in self._services:
                service = Service(name, self._registry, self._open_requests(name))
                await service.open(hosts)
                self._services[name] = service
        return self._services[name]

    def _open_requests(self, name: str) -> RequestFile:
        path = self._place.state / "requests" / f"{name}.jsonl"
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            return RequestFile(path)
        except OSError as error:
            raise PlatformError(
                f"the request log cannot be written: {error.strerror}",
                where=str(path),
                hint="make room or mend the folder's permissions",
            ) from None

    async def _forget_if_empty(self, name: str) -> None:
        """After a first deployment that failed there is nothing to keep a front door for."""
        service = self._services.get(name)
        awaited = any(name == each for each, _ in self._deploying)
        if service is not None and not service.revisions and not awaited:
            await self._end_service(name)

    async def _end_service(self, name: str) -> None:
        service = self._services.pop(name, None)
        if service is not None:
            try:
                await service.down()
            finally:
                self._registry.wrote(name)

    def _check_lease(self, service: str, args: Fields) -> None:
        """Raises `LeaseLost` unless the service's lease still has the client's fence."""
        record = read_lease(lease_file(self._place.leases, self._place.target(service)))
        if record is not None and record.fence == args.text("fence"):
            return
        whose = "nobody" if record is None else f"run {record.run_id} ({record.holder})"
        raise LeaseLost(
            f"the lease on {service} is not this run's any more: {whose} holds it",
            hint="nothing was changed; see what that run did, then run again",
        )
