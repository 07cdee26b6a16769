"""What a bucket holds, with the generations and the times of a server whose clock can be set."""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import google_crc32c


class Refused(Exception):
    """What is answered instead: an HTTP status, a reason and its text."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One generation of an object."""

    name: str
    data: bytes
    generation: int
    updated: datetime
    properties: Mapping[str, Any] = field(default_factory=dict)

    def hashes(self) -> Mapping[str, str]:
        """Its checksums as the API has them."""
        crc = google_crc32c.value(self.data).to_bytes(4, "big")
        md5 = hashlib.md5(self.data, usedforsecurity=False).digest()
        return {
            "crc32c": base64.b64encode(crc).decode(),
            "md5Hash": base64.b64encode(md5).decode(),
        }


class Buckets:
    """Buckets by name. Every verb is one step: nobody sees half of a change."""

    def __init__(self) -> None:
        self.offset = timedelta()
        """By how much the server's clock is ahead of this machine's."""
        self._held: dict[str, dict[str, StoredObject]] = {}
        self._last = 0
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """The server's time."""
        return datetime.now(UTC) + self.offset

    def make(self, bucket: str) -> None:
        """A new bucket, empty."""
        self._held[bucket] = {}

    def names(self, bucket: str) -> list[str]:
        """The names of its objects, sorted as the API sorts them: by their UTF-8 bytes."""
        with self._lock:
            return sorted(self._of(bucket), key=lambda name: name.encode())

    def get(self, bucket: str, name: str, query: Mapping[str, str]) -> StoredObject:
        """An object, of the generation that is asked for; raises `Refused`."""
        with self._lock:
            found = self._of(bucket).get(name)
            wanted = query.get("generation")
            if found is None or (wanted is not None and int(wanted) != found.generation):
                raise Refused(404, "notFound", f"No such object: {bucket}/{name}")
            _check(found, query, reading=True)
            return found

    def put(
        self,
        bucket: str,
        name: str,
        data: bytes,
        query: Mapping[str, str],
        properties: Mapping[str, Any],
    ) -> StoredObject:
        """Write an object whole, if it stands as the query has it."""
        with self._lock:
            held = self._of(bucket)
            _check(held.get(name), query, reading=False)
            now = self.now()
            # Microseconds since 1970, as Google's look; never the same twice.
            self._last = max(self._last + 1, int(now.timestamp() * 1_000_000))
            made = StoredObject(name, data, self._last, now, properties)
            claimed = properties.get("crc32c")
            if claimed is not None and claimed != made.hashes()["crc32c"]:
                raise Refused(400, "invalid", "Provided CRC32C does not match the content.")
            held[name] = made
            return made

    def drop(self, bucket: str, name: str, query: Mapping[str, str]) -> None:
        """Remove an object, if it stands as the query has it."""
        with self._lock:
            held = self._of(bucket)
            if name not in held:
                raise Refused(404, "notFound", f"No such object: {bucket}/{name}")
            _check(held[name], query, reading=False)
            del held[name]

    def _of(self, bucket: str) -> dict[str, StoredObject]:
        if bucket not in self._held:
            raise Refused(404, "notFound", "The specified bucket does not exist.")
        return self._held[bucket]


def _check(found: StoredObject | None, query: Mapping[str, str], *, reading: bool) -> None:
    """Preconditions: cloud.google.com/storage/docs/request-preconditions."""
    generation = found.generation if found else 0
    wanted = query.get("ifGenerationMatch")
    if wanted is not None and int(wanted) != generation:
        raise Refused(
            412, "conditionNotMet", "At least one of the pre-conditions you specified did not hold."
        )
    unwanted = query.get("ifGenerationNotMatch")
    if unwanted is not None and int(unwanted) == generation:
        status = 304 if reading else 412
        raise Refused(
            status,
            "conditionNotMet",
            "At least one of the pre-conditions you specified did not hold.",
        )
