"""Cloud Storage's JSON API over plain HTTP, as far as objects go, with troubles on demand."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

from emulator.storage_objects import Buckets, Refused, StoredObject

PAGE = 1000


@dataclass
class Trouble:
    """What goes wrong with the next `times` calls of that verb whose path holds `path`, once
    `after` of them have gone well.

    `refuse` answers with `status`; the others cut the connection: `lost` before anything is done,
    `unheard` when it is done, `halved` in the middle of the answer. `hang` never answers.
    """

    kind: Literal["refuse", "lost", "unheard", "halved", "hang"]
    verb: str = ""
    path: str = ""
    times: int = 1
    after: int = 0
    status: int = 503
    reason: str = "backendError"
    message: str = "We encountered an internal error. Please try again."


class StorageServer:
    """A running server. `calls` are `VERB path` of everything asked, `headers` of the last call."""

    def __init__(self) -> None:
        self.buckets = Buckets()
        self.troubles: list[Trouble] = []
        self.calls: list[str] = []
        self.headers: Mapping[str, str] = {}
        self.page = PAGE
        self.dated = True
        self.ended = threading.Event()
        self._lock = threading.Lock()
        server = self

        class Handler(_Handler):
            storage = server

        self._http = _Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        """Its root: what `STORAGE_EMULATOR_HOST` is set to."""
        return f"http://127.0.0.1:{self._http.server_port}"

    def trouble(self, verb: str, path: str) -> Trouble | None:
        """The trouble that this call meets."""
        with self._lock:
            self.calls.append(f"{verb} {path}")
            for each in self.troubles:
                if each.times <= 0 or each.verb not in ("", verb) or each.path not in path:
                    continue
                if each.after == 0:
                    each.times -= 1
                    return each
                each.after -= 1
        return None

    def close(self) -> None:
        """End it."""
        self.ended.set()
        self._http.shutdown()
        self._http.server_close()


@contextmanager
def storage_server(*buckets: str) -> Iterator[StorageServer]:
    """A server with these buckets, for a while."""
    server = StorageServer()
    for bucket in buckets:
        server.buckets.make(bucket)
    try:
        yield server
    finally:
        server.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # a client that went away is no news


class _Handler(BaseHTTPRequestHandler):
    storage: StorageServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def handle_any(self) -> None:
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.storage.headers = {k.lower(): v for k, v in self.headers.items()}
        trouble = self.storage.trouble(self.command, unquote(parts.path))
        kind = trouble.kind if trouble else ""
        if trouble is not None and kind == "refuse":
            self._refuse(Refused(trouble.status, trouble.reason, trouble.message))
            return
        if kind == "hang":
            self.storage.ended.wait()
        if kind in ("lost", "hang"):
            self._cut()
            return
        try:
            answer = self._answer(parts.path, query, body)
        except Refused as refused:
            self._refuse(refused)
            return
        if kind == "unheard":
            self._cut()
            return
        self._send(answer, halved=kind == "halved")

    do_GET = do_POST = do_DELETE = handle_any  # noqa: N815

    def _answer(self, path: str, query: Mapping[str, str], body: bytes) -> _Answer:
        # The name is one segment, its slashes escaped: it is unquoted only when cut out.
        match [part for part in path.split("/") if part]:
            case ["storage", "v1", "b", bucket, "o"] if self.command == "GET":
                return _json(self._listed(unquote(bucket), query))
            case ["storage", "v1", "b", bucket, "o", name] if self.command == "DELETE":
                self.storage.buckets.drop(unquote(bucket), unquote(name), query)
                return _Answer(204, {}, b"")
            case ["storage", "v1", "b", bucket, "o", name] if query.get("alt") != "media":
                found = self.storage.buckets.get(unquote(bucket), unquote(name), query)
                return _json(self._resource(bucket, found))
            case ["storage" | "download", *_, bucket, "o", name] if self.command == "GET":
                return _media(self.storage.buckets.get(unquote(bucket), unquote(name), query))
            case ["upload", "storage", "v1", "b", bucket, "o"] if self.command == "POST":
                return _json(self._resource(bucket, self._uploaded(unquote(bucket), query, body)))
            case _:
                raise Refused(404, "notFound", "Not Found")

    def _uploaded(self, bucket: str, query: Mapping[str, str], body: bytes) -> StoredObject:
        properties: dict[str, Any] = {}
        kind = self.headers.get("Content-Type") or "application/octet-stream"
        match query.get("uploadType"):
            case "media":
                properties["contentType"] = kind
                name = query.get("name")
            case "multipart":
                properties, body = _parts(kind, body)
                name = properties.get("name") or query.get("name")
            case _:
                raise Refused(400, "invalid", "this emulator knows media and multipart uploads")
        if not name:
            raise Refused(400, "required", "Required parameter: name")
        return self.storage.buckets.put(bucket, name, body, query, properties)

    def _listed(self, bucket: str, query: Mapping[str, str]) -> Mapping[str, Any]:
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        after, end = query.get("pageToken", ""), query.get("endOffset")
        items: list[StoredObject] = []
        prefixes: list[str] = []
        room = min(int(query.get("maxResults") or PAGE), self.storage.page)
        last = ""
        for name in self.storage.buckets.names(bucket):
            if not name.startswith(prefix) or name < query.get("startOffset", ""):
                continue
            if end is not None and name >= end:
                break
            head, found, _ = name[len(prefix) :].partition(delimiter or "\0")
            folded = prefix + head + delimiter if found else name
            if folded <= after or folded in prefixes:
                continue
            if len(items) + len(prefixes) == room:
                return self._page(bucket, items, prefixes, last)
            last = folded
            if found:
                prefixes.append(folded)
            else:
                items.append(self.storage.buckets.get(bucket, name, {}))
        return self._page(bucket, items, prefixes, None)

    def _page(
        self, bucket: str, items: list[StoredObject], prefixes: list[str], token: str | None
    ) -> Mapping[str, Any]:
        page: dict[str, Any] = {"kind": "storage#objects"}
        if items:
            page["items"] = [self._resource(bucket, each) for each in items]
        if prefixes:
            page["prefixes"] = prefixes
        if token is not None:
            page["nextPageToken"] = token
        return page

    def _resource(self, bucket: str, found: StoredObject) -> Mapping[str, Any]:
        written = found.updated.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return {
            **found.properties,
            **found.hashes(),
            "kind": "storage#object",
            "id": f"{bucket}/{found.name}/{found.generation}",
            "name": found.name,
            "bucket": bucket,
            "generation": str(found.generation),
            "metageneration": "1",
            "size": str(len(found.data)),
            "timeCreated": written,
            "updated": written,
        }

    def _refuse(self, refused: Refused) -> None:
        if refused.status == 304:
            self._send(_Answer(304, {}, b""))
            return
        one = {"message": refused.message, "domain": "global", "reason": refused.reason}
        error = {"code": refused.status, "message": refused.message, "errors": [one]}
        plain = "/download/" in self.path
        body = refused.message.encode() if plain else json.dumps({"error": error}).encode()
        kind = "text/html; charset=UTF-8" if plain else "application/json; charset=UTF-8"
        self._send(_Answer(refused.status, {"Content-Type": kind}, body))

    def _send(self, answer: _Answer, *, halved: bool = False) -> None:
        self.send_response_only(answer.status)
        if self.storage.dated:
            self.send_header("Date", format_datetime(self.storage.buckets.now(), usegmt=True))
        self.send_header("Server", "UploadServer")
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.status not in (204, 304):
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body[: len(answer.body) // 2] if halved else answer.body)
        if halved:
            self._cut()

    def _cut(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *args: object) -> None:
        pass


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


def _json(document: Mapping[str, Any]) -> _Answer:
    kind = "application/json; charset=UTF-8"
    return _Answer(200, {"Content-Type": kind}, json.dumps(document).encode())


def _media(found: StoredObject) -> _Answer:
    hashes = found.hashes()
    headers = {
        "Content-Type": found.properties.get("contentType", "application/octet-stream"),
        "X-Goog-Generation": str(found.generation),
        "X-Goog-Metageneration": "1",
        "X-Goog-Hash": f"crc32c={hashes['crc32c']},md5={hashes['md5Hash']}",
        "Last-Modified": format_datetime(found.updated, usegmt=True),
    }
    return _Answer(200, headers, found.data)


def _parts(kind: str, body: bytes) -> tuple[dict[str, Any], bytes]:
    """The metadata and the content of a `multipart/related` body."""
    boundary = kind.partition("boundary=")[2].strip('"').encode()
    pieces = body.split(b"--" + boundary)
    if not boundary or len(pieces) != 4:
        raise Refused(400, "badRequest", "Malformed multipart body.")
    (_, about), (head, content) = (_piece(piece) for piece in pieces[1:3])
    properties = json.loads(about)
    properties.setdefault("contentType", head.partition(b":")[2].strip().decode())
    return properties, content


def _piece(piece: bytes) -> tuple[bytes, bytes]:
    """Head and content of one part; the line ends around it belong to the boundary."""
    head, _, content = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
    return head, content.removesuffix(b"\r\n")
