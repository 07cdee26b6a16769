"""The history of runs in a bucket: `<prefix>/<loop>/<environment>/<run_id>.json`.

One object a run, so that many machines may write at once. Nothing is removed: a bucket has rules
for that (`gcloud storage buckets update --lifecycle-file`).
"""

from __future__ import annotations

import contextlib
import functools
import secrets
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Final

from loopctl.journal.history_codec import (
    KEY,
    KEY_BYTES,
    LARGEST,
    decoded,
    encoded,
    is_place,
    is_record,
    name_of,
)
from loopctl.platforms.cloud_run.bucket_client import BucketClient
from loopctl.platforms.cloud_run.bucket_objects import ABSENT, BucketError, Listed
from loopctl.ports.history import History, HistoryError, RunRecord
from loopctl.process import Stop, in_parallel, utc_now

_SPANS_D: Final = (30, 365)
_TRIES: Final = 4
_AT_ONCE: Final = 8


class BucketHistory(History):
    """Records of all who share the bucket."""

    def __init__(self, client: BucketClient) -> None:
        self._client = client

    def recent(self, loop: str, environment: str, limit: int, stop: Stop) -> Sequence[RunRecord]:
        """See `History`. An object that is no record of that run is passed over."""
        if not is_place(loop, environment) or limit < 1:
            return []
        found: list[RunRecord] = []
        folder = f"{loop}/{environment}"
        with _told():
            newest = self._newest(folder, limit, stop)[: limit * 2]
            names = [f"{folder}/{each.name}" for each in newest]
            while names and len(found) < limit:
                # Those that cannot be understood are made up for by older ones.
                wanted = limit - len(found)
                found += self._records(names[:wanted], stop)
                names = names[wanted:]
        return found

    def named(
        self, loop: str, environment: str, run_ids: Sequence[str], stop: Stop
    ) -> Sequence[RunRecord]:
        """See `History`."""
        if not is_place(loop, environment):
            return []
        names = [f"{run_id}.json" for run_id in run_ids]
        with _told():
            kept = [f"{loop}/{environment}/{name}" for name in names if is_record(name)]
            return self._records(kept, stop)

    def put(self, record: RunRecord, stop: Stop) -> None:
        """See `History`."""
        name = name_of(record)
        data = encoded(record, self._client.where(name))
        generation = ABSENT
        with _told():
            for _ in range(_TRIES):
                if self._client.write(name, data, generation, stop) is not None:
                    return
                stands = self._client.read(name, LARGEST, stop)
                if stands is not None and stands.data == data:
                    return  # by a write whose answer was lost
                generation = ABSENT if stands is None else stands.stored.generation
        what = "others write the record of this run at the same time"
        raise HistoryError(what, where=self._client.where(name), hint="see who goes on with it")

    def key(self, stop: Stop) -> bytes:
        """See `History`."""
        with _told():
            known = self._client.content(KEY, stop)
            if known is None:
                self._client.write(KEY, secrets.token_bytes(KEY_BYTES), ABSENT, stop)
                # Whoever was first: another machine may have made it, or a try before this one.
                known = self._client.content(KEY, stop)
        if known is None or len(known) < KEY_BYTES:
            what = f"the key of the history has less than {KEY_BYTES} bytes"
            hint = "remove it: another one is made"
            raise HistoryError(what, where=self._client.where(KEY), hint=hint)
        return known

    def _newest(self, folder: str, limit: int, stop: Stop) -> list[Listed]:
        """The newest records' objects, the newest first."""
        page = self._client.page(folder, "", None, stop)
        if page.token is None:
            return _records(page.objects)
        # Names list in ascending order alone: of a long history, its end is asked for.
        now = self._client.clock.now() or utc_now()
        for days in _SPANS_D:
            start = f"{now - timedelta(days=days):%Y%m%d}"
            records = _records(self._from(folder, start, stop))
            if len(records) >= limit:
                return records
        return _records(self._from(folder, "", stop))

    def _from(self, folder: str, start: str, stop: Stop) -> Iterator[Listed]:
        token = None
        while True:
            page = self._client.page(folder, start, token, stop)
            yield from page.objects
            token = page.token
            if token is None:
                return

    def _records(self, names: Sequence[str], stop: Stop) -> Sequence[RunRecord]:
        """Those of these names that can be understood, some read side by side."""
        tasks = {name: functools.partial(self._client.content, name) for name in names}
        read = in_parallel(stop, _AT_ONCE, tasks)
        found = (decoded(data, name) for name, data in read.items() if data is not None)
        return [record for record in found if record is not None]


def _records(objects: Iterable[Listed]) -> list[Listed]:
    kept = [each for each in objects if is_record(each.name) and each.size <= LARGEST]
    return sorted(kept, key=lambda each: each.name, reverse=True)


@contextlib.contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except BucketError as error:
        raise HistoryError(error.what, where=error.where, hint=error.hint) from None
