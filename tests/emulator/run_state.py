"""What exists: services, revisions, operations. Everything is read and changed under one lock."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, TypeVar

from google.protobuf.message import Message

from emulator.run_messages import Operation, OperationPb, RevisionPb, ServicePb
from emulator.run_names import Place, service_of, short

CREATOR: Final = "developer@example.com"
"""Whom every change is ascribed to: without TLS nobody says who they are."""

T = TypeVar("T", bound=Message)


@dataclass(slots=True)
class State:
    """By full names. `changed` is notified of every change; its lock is the one to hold."""

    place: Place
    services: dict[str, ServicePb] = field(default_factory=dict)
    revisions: dict[str, RevisionPb] = field(default_factory=dict)
    operations: dict[str, OperationPb] = field(default_factory=dict)
    invokers: dict[str, set[str]] = field(default_factory=dict)
    """Who may call a service, by its id; without a row, and with `allUsers`, anybody."""
    changed: threading.Condition = field(default_factory=threading.Condition)
    closing: bool = False
    _version: int = field(default_factory=lambda: time.time_ns() // 1000)

    def service(self, service_id: str) -> ServicePb:
        """A copy of a service. Raises `KeyError`."""
        with self.changed:
            return copied(self.services[self.place.service(service_id)])

    def revision(self, revision_id: str) -> RevisionPb:
        """A copy of a revision, by its short name. Raises `KeyError`."""
        with self.changed:
            for name, revision in self.revisions.items():
                if short(name) == revision_id:
                    return copied(revision)
        raise KeyError(revision_id)

    def revisions_of(self, service: str) -> Iterator[RevisionPb]:
        """Those of a service by its full name, the newest first."""
        found = [pb for name, pb in self.revisions.items() if service_of(name) == service]
        return iter(found[::-1])

    def touch(self, resource: ServicePb | RevisionPb) -> None:
        """Something of the resource is new: so is its etag."""
        self._version = max(self._version + 1, time.time_ns() // 1000)
        resource.etag = f'"{self._version}"'
        self.changed.notify_all()

    def begin(self, resource: Message) -> OperationPb:
        """A new operation about a resource."""
        operation = Operation(name=f"{self.place.parent}/operations/{uuid.uuid4()}")
        operation.metadata.Pack(resource)
        self.operations[operation.name] = operation
        return operation

    def finish(self, operation: str, resource: Message) -> None:
        """An operation came to a good end; the answer is what is now of the resource."""
        if (found := self.operations.get(operation)) is not None:
            found.metadata.Pack(resource)
            found.response.Pack(resource)
            found.done = True
            self.changed.notify_all()

    def fail(self, operation: str, resource: Message, code: int, message: str) -> None:
        """An operation came to a bad end; `code` is a `google.rpc.Code`."""
        if (found := self.operations.get(operation)) is not None:
            found.metadata.Pack(resource)
            found.error.code = code
            found.error.message = message
            found.done = True
            self.changed.notify_all()

    def wait_until(self, true: Callable[[], bool], timeout_s: float) -> bool:
        """Wait for a state; whether it came."""
        with self.changed:
            return self.changed.wait_for(true, timeout_s)


def copied(message: T) -> T:
    """A message that nobody else changes."""
    copy = type(message)()
    copy.CopyFrom(message)
    return copy
