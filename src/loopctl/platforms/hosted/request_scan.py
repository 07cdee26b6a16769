"""Reading request logs again and again while they grow, each time from where it matters.

A suite of many thousand cases asks for its receipts a batch at a time: to read the whole log each
time would cost more with every batch.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from loopctl.model.logs import RequestEntry
from loopctl.platforms.hosted import captures
from loopctl.platforms.hosted.captures import Mark

#: Records between two places that are remembered.
_APART: Final = 200


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a log. No record before it is later than `latest`.

    `is_open`: whether a host had begun to write and not closed; None where none had come.
    """

    latest: datetime
    offset: int
    is_open: bool | None


@dataclass(slots=True)
class RequestScan:
    """Remembers places in the files that it has read. Safe to share by threads."""

    _places: dict[int, list[Place]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def items(self, file: Path, since: datetime) -> Iterator[RequestEntry | Mark]:
        """The records of a file, all that are not older than `since` among them.

        What is passed over stands as one mark: whether a host had it open then. Raises `OSError`.
        """
        number = file.stat().st_ino
        place = self._nearest(number, since) or Place(datetime.min.replace(tzinfo=UTC), 0, None)
        latest, is_open = place.latest, place.is_open
        if is_open is not None:
            yield Mark("opened" if is_open else "closed", latest)
        for count, (item, behind) in enumerate(captures.request_lines(file, place.offset), 1):
            latest = max(latest, item.at)
            if isinstance(item, Mark) and item.kind in ("opened", "closed"):
                is_open = item.kind == "opened"
            if count % _APART == 0:
                self._remember(number, Place(latest, behind, is_open))
            yield item

    def _nearest(self, number: int, since: datetime) -> Place | None:
        """The last place before which there is nothing that is not older."""
        with self._lock:
            places = self._places.get(number, [])
            found = bisect_left(places, since, key=lambda place: place.latest)
            return places[found - 1] if found else None

    def _remember(self, number: int, place: Place) -> None:
        with self._lock:
            places = self._places.setdefault(number, [])
            if not places or places[-1].offset < place.offset:
                places.append(place)
