"""The server's time of day: the only one that all who hold a lease in a bucket have in common."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any


class ServerClock:
    """What the answers' `Date` headers tell; kept going in between by a clock that nobody sets."""

    def __init__(self) -> None:
        self._noted: tuple[datetime, float] | None = None

    def note(self, response: Any, *_args: object, **_options: object) -> None:
        """A hook of `requests`: look at an answer. One without a readable date tells nothing."""
        try:
            at = parsedate_to_datetime(response.headers["Date"])
        except (KeyError, ValueError):
            return
        self._noted = (at if at.tzinfo else at.replace(tzinfo=UTC), time.monotonic())

    def now(self) -> datetime | None:
        """So late it is at least, seconds later at most. None while no answer had a date."""
        if self._noted is None:
            return None
        at, noted = self._noted
        return at + timedelta(seconds=time.monotonic() - noted)
