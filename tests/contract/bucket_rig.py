"""What drives the adapters on a bucket: the real client against the emulator of its server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from platform_rig import environment

from emulator.storage_server import StorageServer, storage_server
from loopctl.model.plan import BucketPlace
from loopctl.platforms.cloud_run.bucket_client import BucketClient

PLACE = BucketPlace("ours", "loopctl/team")


@contextmanager
def a_bucket() -> Iterator[StorageServer]:
    """A server with the bucket `ours`, which Google's client finds by the environment."""
    with storage_server(PLACE.bucket) as server, environment(STORAGE_EMULATOR_HOST=server.url):
        yield server


def a_client(place: BucketPlace = PLACE) -> BucketClient:
    return BucketClient(place)
