"""Objects in a bucket: read, written and removed on condition that nobody else has done so.

Google's client keeps its hands off retries here, because its pauses cannot be ended: every call
has a deadline and every pause waits on the `Stop`. Whatever is called may be repeated safely: reads
change nothing, and writes name the generation that they replace.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeVar

from loopctl.model.plan import BucketPlace
from loopctl.platforms.cloud_run.bucket_clock import ServerClock
from loopctl.platforms.cloud_run.bucket_objects import BucketError, Content, Page, Stored
from loopctl.process import Stop

if TYPE_CHECKING:
    from google.auth.credentials import Credentials

    from loopctl.platforms.cloud_run.bucket_calls import Calls

    Who = Callable[[], Credentials]
    """Gives the credentials when they are first needed; raises `PlatformError`."""

_CALL_S: Final = 5.0
_PAUSES_S: Final = (0.3, 1.0, 2.5, None)
"""After each try. One object takes one change a second, and answers 429 above that."""

_T = TypeVar("_T")


class BucketClient:
    """The objects below one place's prefix, by their names there. Safe to share by threads.

    `who` asks; without it Application Default Credentials do, and nobody at an emulator, which
    `STORAGE_EMULATOR_HOST` names. All verbs raise `BucketError` and `Stopped`.
    """

    def __init__(self, place: BucketPlace, who: Who | None = None) -> None:
        self.place = place
        self.clock = ServerClock()
        self._who = who
        self._making = threading.Lock()
        self._made: Calls | None = None

    def where(self, name: str) -> str:
        """An object's URL, for people."""
        return f"{self.place}/{name}"

    def read(self, name: str, at_most: int, stop: Stop) -> Content | None:
        """An object with its state; None where there is none. Larger ones come without data."""
        doing = f"read {name}"
        while True:
            seen = self._tried(doing, name, lambda calls, s: calls.look(name, s), stop)
            if seen is None:
                return None
            stored, size = seen
            if size > at_most:
                return Content(stored, None)
            data = self.content(name, stop, stored.generation)
            if data is not None:
                return Content(stored, data)
            # It was replaced between the two calls.

    def content(self, name: str, stop: Stop, generation: int | None = None) -> bytes | None:
        """What an object holds, in that generation or now; None where there is none."""
        doing = f"read {name}"
        return self._tried(doing, name, lambda calls, s: calls.fetch(name, generation, s), stop)

    def write(self, name: str, data: bytes, generation: int, stop: Stop) -> Stored | None:
        """Replace that generation, `ABSENT` for none; None where another one stands there.

        That one may be our own, whose answer was lost: see what it holds.
        """
        doing = f"write {name}"
        return self._tried(doing, name, lambda calls, s: calls.put(name, data, generation, s), stop)

    def remove(self, name: str, generation: int, stop: Stop) -> bool:
        """Remove that generation; false where another one stands there, true where none does."""
        doing = f"remove {name}"
        return self._tried(doing, name, lambda calls, s: calls.drop(name, generation, s), stop)

    def page(self, folder: str, start: str, token: str | None, stop: Stop) -> Page:
        """The objects right below `folder/`, from the name `start` on; the rest by `token`."""
        doing = f"list {folder}"
        return self._tried(
            doing, folder, lambda calls, s: calls.page(folder, start, token, s), stop
        )

    def close(self) -> None:
        """End its connections; the next call opens new ones."""
        with self._making:
            made, self._made = self._made, None
        if made is not None:
            made.close()

    def _tried(self, doing: str, name: str, call: Callable[[Calls, float], _T], stop: Stop) -> _T:
        from loopctl.platforms.cloud_run.bucket_errors import translated  # noqa: PLC0415 - slow

        for pause in _PAUSES_S:
            try:
                with translated(doing, self.place.bucket, self.where(name)):
                    return call(self._calls(), stop.remaining(_CALL_S))
            except BucketError as error:
                if pause is None or not error.passing:
                    raise
                # Spread, so that those who met each other do not meet again.
                stop.wait(pause * random.SystemRandom().uniform(0.5, 1.0))
        raise AssertionError("the last try returns or raises")

    def _calls(self) -> Calls:
        from loopctl.platforms.cloud_run.bucket_calls import Calls  # noqa: PLC0415 - slow

        with self._making:
            if self._made is None:
                self._made = Calls(self.place, self._who, self.clock.note)
            return self._made
