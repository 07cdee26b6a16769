"""Speaking with an engine over its HTTP API, and with a registry over HTTP."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from engines.asked import Asked
from engines.trouble import CannotError


class _UnixConnection(http.client.HTTPConnection):
    """HTTP through a unix socket."""

    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path
        self._limit = timeout

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self._limit)
        self.sock.connect(str(self._path))


class EngineClient:
    """One engine, found as `docker` itself would find it."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked

    def answers(self) -> bool:
        """Whether an engine is there; raises `CannotError` where this user may not ask it."""
        try:
            return self._ask("GET", "/_ping", timeout=5)[0] == 200
        except PermissionError:
            raise CannotError(
                f"an engine's socket is at {self._asked.engine}, and this user may not use it",
                "add yourself to its group (sudo usermod -aG docker $USER), then log in again",
            ) from None
        except (OSError, http.client.HTTPException):
            return False

    def version(self) -> str:
        """Its own version."""
        return str(self._told("GET", "/version")["Version"])

    def image_id(self, name: str) -> str | None:
        """The image of that name, None where it has none."""
        status, body = self._ask("GET", f"/images/{name}/json")
        return str(json.loads(body)["Id"]) if status == 200 else None

    def import_image(self, query: str, archive: BinaryIO) -> str:
        """Make an image of a root file system's tar; its id."""
        told = self._told("POST", f"/images/create?fromSrc=-&{query}", archive, 120)
        return str(told["status"])

    def bridges(self, data: Path) -> list[str]:
        """The interfaces of the networks that the engine which keeps its things in `data` has made.

        Empty when another one answers, or none. A network that was given no interface of that name
        has one named after it (docs.docker.com/engine/network/drivers/bridge).
        """
        try:
            if self._told("GET", "/info").get("DockerRootDir") != str(data):
                return []
            found = json.loads(self._ask("GET", "/networks")[1])
        except (OSError, http.client.HTTPException, ValueError, CannotError):
            return []
        return [
            (each["Options"] or {}).get("com.docker.network.bridge.name") or f"br-{each['Id'][:12]}"
            for each in found
            if each["Driver"] == "bridge"
        ]

    def remove_image(self, name: str) -> str | None:
        """Take its name away, and it, if it has no other; None, or why not."""
        status, body = self._ask("DELETE", f"/images/{name}")
        return None if status in {200, 404} else _message(body)

    def _told(
        self, method: str, path: str, body: BinaryIO | None = None, timeout: float = 20
    ) -> dict[str, Any]:
        """The last JSON line of its answer."""
        status, answer = self._ask(method, path, body, timeout)
        last: dict[str, Any] = {}
        if status == 200:
            last = json.loads(answer.splitlines()[-1])
        if status != 200 or "error" in last:
            raise CannotError(f"the engine at {self._asked.engine} refused: {_message(answer)}")
        return last

    def _ask(
        self, method: str, path: str, body: BinaryIO | None = None, timeout: float = 20
    ) -> tuple[int, bytes]:
        connection = self._connection(timeout)
        try:
            headers = {"Content-Type": "application/x-tar"} if body else {}
            connection.request(method, path, body, headers, encode_chunked=bool(body))
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def _connection(self, timeout: float) -> http.client.HTTPConnection:
        if self._asked.socket is not None:
            return _UnixConnection(self._asked.socket, timeout)
        place = urlsplit(self._asked.engine)
        if place.scheme != "tcp" or not place.hostname:
            raise CannotError(
                f"DOCKER_HOST={self._asked.engine} is neither unix://… nor tcp://…", "unset it"
            )
        if not self._asked.environ.get("DOCKER_TLS_VERIFY"):
            return http.client.HTTPConnection(place.hostname, place.port or 2375, timeout=timeout)
        folder = self._asked.environ.get("DOCKER_CERT_PATH", "")
        context = ssl.create_default_context(cafile=f"{folder}/ca.pem")
        context.load_cert_chain(f"{folder}/cert.pem", f"{folder}/key.pem")
        return http.client.HTTPSConnection(
            place.hostname, place.port or 2376, timeout=timeout, context=context
        )


def registry_answers(address: str) -> bool:
    """Whether a registry is there; one that wants a login first (401) is one too."""
    connection = http.client.HTTPConnection(address, timeout=5)
    try:
        connection.request("GET", "/v2/")
        answer = connection.getresponse()
        known = answer.headers.get("Docker-Distribution-Api-Version", "")
        return answer.status in {200, 401} and known.startswith("registry/2")
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _message(body: bytes) -> str:
    for line in reversed(body.splitlines()):
        try:
            told = json.loads(line)
        except ValueError:
            continue
        if isinstance(told, dict):
            return str(told.get("error") or told.get("message") or told)
    return body.decode(errors="replace")[:300]
