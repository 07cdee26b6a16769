"""What drives the adapters on a bucket: the real client against the emulator of its server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from platform_rig import environment

from emulator.storage_server import StorageServer, storage_server
from loopctl.model.plan import BucketPlace
from loopctl.platforms.cloud_run.bucket_client import BucketClient

PLACE = BucketPlace("ours", "loopctl/team")


class BucketRig:
    """A server with the bucket `ours`, and clients that find it by the environment."""

    def __init__(self, server: StorageServer) -> None:
        self.server = server
        self.clients: list[BucketClient] = []

    def client(self, place: BucketPlace = PLACE) -> BucketClient:
        self.clients.append(BucketClient(place))
        return self.clients[-1]

    def names(self) -> list[str]:
        """The names of all objects, below the prefix."""
        found = self.server.buckets.names(PLACE.bucket)
        return [name.removeprefix(f"{PLACE.prefix}/") for name in found]

    def write(self, name: str, content: str) -> None:
        """Write an object by another hand."""
        full = f"{PLACE.prefix}/{name}"
        self.server.buckets.put(PLACE.bucket, full, content.encode(), {}, {})

    def content(self, name: str) -> str:
        full = f"{PLACE.prefix}/{name}"
        return self.server.buckets.get(PLACE.bucket, full, {}).data.decode()


@contextmanager
def a_bucket() -> Iterator[BucketRig]:
    with storage_server(PLACE.bucket) as server, environment(STORAGE_EMULATOR_HOST=server.url):
        rig = BucketRig(server)
        try:
            yield rig
        finally:
            # Left to the collector, their ends would come in the middle of another test.
            for client in rig.clients:
                client.close()
