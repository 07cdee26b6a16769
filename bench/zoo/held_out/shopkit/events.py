"""Server-sent events, read line by line."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Event:
    """One event."""

    name: str = "message"
    data: str = ""
    id: str | None = None
    fields: dict[str, str] = field(default_factory=dict)

    def json(self) -> Any:
        """Its data."""
        return json.loads(self.data)


class _Reader:
    def __init__(self) -> None:
        self._event = Event()

    def feed(self, line: str) -> Event | None:
        """The event that this line ends, if it ends one."""
        if not line:
            ended, self._event = self._event, Event()
            return ended if ended.data else None
        key, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if key == "event":
            self._event.name = value
        elif key == "data":
            self._event.data += value
        elif key == "id":
            self._event.id = value
        return None


def parse(lines: Iterator[str]) -> Iterator[Event]:
    """Events out of lines."""
    reader = _Reader()
    for line in lines:
        if (event := reader.feed(line)) is not None:
            yield event


async def parse_async(lines: AsyncIterator[str]) -> AsyncIterator[Event]:
    """The same of an asynchronous client's lines."""
    reader = _Reader()
    async for line in lines:
        if (event := reader.feed(line)) is not None:
            yield event
