"""Images made by hand, and a registry that gives them: the real one, or one that lies."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import io
import json
import tarfile
import threading
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

OCI = "application/vnd.oci.image"
MANIFEST = f"{OCI}.manifest.v1+json"
INDEX = f"{OCI}.index.v1+json"


def sha(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def tar_of(files: Mapping[str, str | bytes | tuple[str, int]]) -> bytes:
    """Content by name; a text that begins with `-> ` is a link, a tuple has a mode."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, given in files.items():
            content, mode = given if isinstance(given, tuple) else (given, 0o644)
            info = tarfile.TarInfo(name)
            info.mode = mode
            if isinstance(content, str) and content.startswith("-> "):
                info.type, info.linkname = tarfile.SYMTYPE, content[3:]
                archive.addfile(info)
                continue
            data = content.encode() if isinstance(content, str) else content
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return made.getvalue()


@dataclass
class Made:
    """An image's documents by their digests; `digest` is what names it."""

    digest: str
    manifests: dict[str, bytes] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)

    def name(self, address: str, repository: str = "tests/made") -> str:
        return f"{address}/{repository}@{self.digest}"


def image_of(
    *layers: Mapping[str, str | bytes | tuple[str, int]] | bytes,
    labels: Mapping[str, str] | None = None,
    history: Sequence[str] = (),
    workdir: str = "",
    compress: bool = True,
    **manifest: Any,
) -> Made:
    """An image of layers, each a tar or the files of one."""
    tars = [each if isinstance(each, bytes) else tar_of(each) for each in layers]
    packed = [gzip.compress(each, mtime=0) if compress else each for each in tars]
    config = json.dumps(
        {
            "os": "linux",
            "architecture": "amd64",
            "config": {"Labels": dict(labels or {}), "WorkingDir": workdir},
            "rootfs": {"type": "layers", "diff_ids": [sha(each) for each in tars]},
            "history": [{"created_by": line} for line in history],
        }
    ).encode()
    kind = f"{OCI}.layer.v1.tar{'+gzip' if compress else ''}"
    body = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {
                "mediaType": f"{OCI}.config.v1+json",
                "digest": sha(config),
                "size": len(config),
            },
            "layers": [
                {"mediaType": kind, "digest": sha(each), "size": len(each)} for each in packed
            ],
            **manifest,
        }
    ).encode()
    blobs = {sha(each): each for each in (config, *packed)}
    return Made(sha(body), {sha(body): body}, blobs)


def index_of(images: Mapping[str, Made], **more: Any) -> Made:
    """An index of images by their platforms."""
    entries = [
        {
            "mediaType": MANIFEST,
            "digest": made.digest,
            "size": len(made.manifests[made.digest]),
            "platform": dict(zip(("os", "architecture"), platform.split("/"), strict=True)),
        }
        for platform, made in images.items()
    ]
    told = {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries, **more}
    body = json.dumps(told).encode()
    found = Made(sha(body), {sha(body): body})
    for made in images.values():
        found.manifests.update(made.manifests)
        found.blobs.update(made.blobs)
    return found


def upload(made: Made, address: str, repository: str = "tests/made") -> str:
    """Put an image into a real registry, by its API; the image's name there."""
    root = f"http://{address}/v2/{repository}"
    for digest, data in made.blobs.items():
        with _asked("POST", f"{root}/blobs/uploads/", b"") as answer:
            place = urllib.parse.urljoin(root, answer.headers["Location"])
        joined = "&" if "?" in place else "?"
        with _asked("PUT", f"{place}{joined}digest={digest}", data):
            pass
    # What an index names has to be there before it.
    for digest, body in sorted(made.manifests.items(), key=lambda each: each[0] == made.digest):
        kind = json.loads(body)["mediaType"]
        with _asked("PUT", f"{root}/manifests/{digest}", body, kind):
            pass
    return made.name(address, repository)


def _asked(method: str, url: str, data: bytes, kind: str = "application/octet-stream") -> Any:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    headers = {"Content-Type": kind}
    asked = urllib.request.Request(url, data=data, method=method, headers=headers)
    return direct.open(asked, timeout=10)


@dataclass
class Asked:
    """One request that a made-up registry was asked; `headers` by names as `Content-Type`."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""


Answer = Callable[[http.server.BaseHTTPRequestHandler, Asked], bool]
"""Answers a request itself, or says False to leave it to the registry."""


@dataclass
class Pretended:
    """A registry of a test's own making: what it was asked, and what it answers instead."""

    address: str
    made: Made
    asked: list[Asked] = field(default_factory=list)
    instead: Answer = lambda _handler, _asked: False

    @property
    def name(self) -> str:
        return self.made.name(self.address)


@contextmanager
def pretended(made: Made, instead: Answer | None = None) -> Iterator[Pretended]:
    """A registry of one image that answers truly, but where `instead` does."""
    lock = threading.Lock()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            headers = {name.title(): value for name, value in self.headers.items()}
            told = Asked(self.command, self.path, headers, self.rfile.read(length))
            with lock:
                registry.asked.append(told)
            if not registry.instead(self, told):
                found = _found(registry.made, self.path)
                answer(self, 404 if found is None else 200, found or b'{"errors": []}')

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            """Nothing is printed."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.block_on_close = False
        registry = Pretended(f"127.0.0.1:{server.server_port}", made)
        if instead is not None:
            registry.instead = instead
        thread = threading.Thread(target=server.serve_forever, args=[0.02], daemon=True)
        thread.start()
        try:
            yield registry
        finally:
            server.shutdown()
            thread.join(10)


def answer(
    handler: http.server.BaseHTTPRequestHandler, status: int, body: bytes = b"", **headers: str
) -> bool:
    """A whole answer; `_` in a header's name stands for `-`."""
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)
    return True


def _found(made: Made, path: str) -> bytes | None:
    kind, _, digest = path.partition("?")[0].rpartition("/")
    return (made.manifests if kind.endswith("manifests") else made.blobs).get(digest)
