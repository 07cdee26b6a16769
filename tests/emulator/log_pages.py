"""Pages of a listing: where the next one begins, and when one comes short or empty."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count

from emulator.log_index import Place
from emulator.log_names import invalid

DEFAULT_PAGE = 50
LARGEST_PAGE = 1000
_TOKEN_LIFE_NS = 24 * 3600 * 1_000_000_000


@dataclass
class Paging:
    """When a page holds less than was asked for though more follow.

    Every `short_every`th call that has more to tell stops half-way, every `empty_every`th tells
    nothing; 0 is never. No call looks at more than `most_scanned` entries.
    """

    short_every: int = 5
    empty_every: int = 7
    most_scanned: int = 50_000
    _calls: Iterator[int] = field(default_factory=lambda: count(1), repr=False)

    @classmethod
    def full(cls) -> Paging:
        """No page comes short."""
        return cls(short_every=0, empty_every=0)

    def size(self, asked: int) -> int:
        """How many entries this call may tell at most."""
        call = next(self._calls)
        if self.empty_every and call % self.empty_every == 0:
            return 0
        if self.short_every and call % self.short_every == 0:
            return asked // 2
        return asked


def page_size(asked: int) -> int:
    """The size of a page in entries. Raises RpcFault for one that may not be."""
    if not 0 <= asked <= LARGEST_PAGE:
        raise invalid("page_size", f"page_size must be from 0 to {LARGEST_PAGE}, got {asked}")
    return asked or DEFAULT_PAGE


def token(place: Place | None, parameters: object, now: int) -> str:
    """Where the next page goes on, for calls with these other parameters alone."""
    told = json.dumps([place, _bound(parameters), now + _TOKEN_LIFE_NS])
    return base64.urlsafe_b64encode(told.encode()).decode().rstrip("=")


def place_of(text: str, parameters: object, now: int) -> Place | None:
    """Where a token goes on. Raises RpcFault for one of another call, an old or a broken one."""
    try:
        padded = text + "=" * (-len(text) % 4)
        place, bound, ends = json.loads(base64.urlsafe_b64decode(padded))
        known = None if place is None else (int(place[0]), str(place[1]), int(place[2]))
    except (ValueError, TypeError, IndexError, binascii.Error):
        raise invalid("page_token", "page_token is invalid") from None
    if bound != _bound(parameters):
        raise invalid("page_token", "page_token doesn't match arguments from the request")
    if ends < now:
        raise invalid("page_token", "page_token has expired")
    return known


def _bound(parameters: object) -> str:
    return hashlib.sha256(repr(parameters).encode()).hexdigest()[:16]
