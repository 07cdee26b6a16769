"""A server that speaks Cloud Storage and was written by others, as a process of its own."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from bucket_rig import PLACE
from platform_rig import environment, wait_for

from loopctl.platforms.cloud_run.bucket_client import BucketClient


class GcsRig:
    """`gcp-storage-emulator` with the bucket `ours`, in memory."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.clients: list[BucketClient] = []

    def client(self) -> BucketClient:
        self.clients.append(BucketClient(PLACE))
        return self.clients[-1]

    def names(self) -> list[str]:
        """The names of all objects, below the prefix."""
        told = json.loads(self._asked(f"/storage/v1/b/{PLACE.bucket}/o"))
        names = (each["name"] for each in told.get("items", ()))
        return sorted(name.removeprefix(f"{PLACE.prefix}/") for name in names)

    def write(self, name: str, content: str) -> None:
        """Write an object by another hand."""
        asked = urllib.parse.urlencode({"uploadType": "media", "name": f"{PLACE.prefix}/{name}"})
        # That server hangs up on an object with nothing in it.
        data = content.encode() or b" "
        self._asked(f"/upload/storage/v1/b/{PLACE.bucket}/o?{asked}", data)

    def _asked(self, path: str, data: bytes | None = None) -> bytes:
        request = urllib.request.Request(self.url + path, data)
        with urllib.request.urlopen(request, timeout=5) as answer:
            return bytes(answer.read())


@contextmanager
def a_gcs() -> Iterator[GcsRig]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ("start", "--host", "127.0.0.1", "--port", str(port), "--in-memory", "--quiet")
    command = [sys.executable, "-m", "gcp_storage_emulator", *words, "--default-bucket", "ours"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    rig = GcsRig(url)
    try:
        wait_for(lambda: _answers(url))
        with environment(STORAGE_EMULATOR_HOST=url):
            yield rig
    finally:
        for client in rig.clients:
            client.close()
        server.terminate()
        server.wait(5)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1):
            return True
    except OSError:
        return False
