"""What a host must know of its services' past, after its own end too.

Never an environment or a command: the file holds no secret because it holds nothing of them. That
is also why revisions do not outlive their host: it could not start them again.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from pathlib import Path

from loopctl.errors import StorageError
from loopctl.files import ensure_private_dir
from loopctl.platforms.host.control import ProtocolError
from loopctl.platforms.host.durable import read_json, write_json
from loopctl.ports.platform import PlatformError


@dataclass(frozen=True, slots=True)
class Past:
    """A service's last revision number, number of writes, and the port of its front door."""

    number: int = 0
    generation: int = 0
    port: int = 0


class Registry:
    """The past of each service, written at every change."""

    def __init__(self, file: Path) -> None:
        """Read it. A file that cannot be understood counts as none. Raises `OSError`."""
        self._file = file
        self._past: dict[str, Past] = {}
        fields = read_json(file)
        if fields is None:
            return
        try:
            for service in fields.part("services").names():
                past = fields.part("services").part(service)
                self._past[service] = Past(
                    past.whole("number"), past.whole("generation"), past.whole("port")
                )
        except ProtocolError:
            self._past = {}

    def of(self, service: str) -> Past:
        """The past of a service; one that never was has an empty past."""
        return self._past.get(service, Past())

    def next_number(self, service: str) -> int:
        """Take the number of the next revision."""
        past = self.of(service)
        self._put(service, replace(past, number=past.number + 1))
        return past.number + 1

    def wrote(self, service: str) -> None:
        """Count a write to the service."""
        past = self.of(service)
        counted = replace(past, generation=past.generation + 1)
        # A full disk must not keep traffic from being put back, and the count is only compared
        # within the life of one host: no revision outlives it.
        with contextlib.suppress(PlatformError):
            self._put(service, counted)
        self._past[service] = counted

    def keep_port(self, service: str, port: int) -> None:
        """Remember the port of the service's front door."""
        self._put(service, replace(self.of(service), port=port))

    def _put(self, service: str, past: Past) -> None:
        services = {
            name: {"number": each.number, "generation": each.generation, "port": each.port}
            for name, each in {**self._past, service: past}.items()
        }
        try:
            # Whoever cleans up by hand deletes the folder: the services must still be stoppable.
            ensure_private_dir(self._file.parent)
            write_json(self._file, {"v": 1, "services": services})
        except StorageError as error:
            raise PlatformError(error.what, where=error.where, hint=error.hint) from None
        self._past[service] = past
