"""Revisions as containers of the Docker engine of this machine."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterator
from typing import Any, Final

import docker
import docker.errors
import requests.exceptions

from emulator.run_runtime import GRACE_S, End, ExecFailed, ImageTrouble, InstanceSpec, Output

#: Every container of the emulator has it, so that people find what a killed one left.
LABEL: Final = "loopctl.emulator"
_MIB: Final = 2**20
_NO_PROGRAM: Final = re.compile(r'exec: "(?P<program>[^"]+)"')
_DENIED: Final = ("denied", "unauthorized", "no basic auth")
_KILLED: Final = 137


class DockerRuntime:
    """Pulls images by the reference of the template, from their registry or from the engine."""

    def __init__(self) -> None:
        self._docker = docker.from_env()

    def resolve(self, image: str) -> str:
        found = self._image(image)
        if "@" in image:
            return image
        digests: list[str] = found.attrs.get("RepoDigests") or []
        name = image.rpartition(":")[0] if ":" in image.rpartition("/")[2] else image
        for digest in digests:
            if digest.partition("@")[0] == name:
                return digest
        return image

    def start(self, spec: InstanceSpec, output: Output) -> DockerInstance:
        self._image(spec.image)
        container: Any = self._docker.containers.create(
            spec.image,
            [*spec.args] or None,
            entrypoint=[*spec.command] or None,
            environment=dict(spec.env),
            mem_limit=spec.memory,
            memswap_limit=spec.memory,
            labels={LABEL: spec.revision},
        )
        try:
            return DockerInstance(container, spec, output)
        except docker.errors.APIError as error:
            container.remove(force=True)
            program = _NO_PROGRAM.search(str(error))
            raise ExecFailed(program["program"] if program else str(error)) from error

    def close(self) -> None:
        self._docker.close()

    def _image(self, image: str) -> Any:
        """The image: from its registry, or as the engine has it where that knows none."""
        try:
            return self._docker.images.pull(image, all_tags=False)
        except docker.errors.APIError as error:
            with contextlib.suppress(docker.errors.APIError):
                return self._docker.images.get(image)
            denied = any(word in str(error).lower() for word in _DENIED)
            missing = "repository does not exist" in str(error).lower()
            raise ImageTrouble(image, denied=denied and not missing) from error


class DockerInstance:
    """A container, reached at its own address; it is removed when it has ended."""

    def __init__(self, container: Any, spec: InstanceSpec, output: Output) -> None:
        self._container = container
        self._spec = spec
        self.ended = threading.Event()
        self.end: End | None = None
        chunks = container.attach(stream=True, stdout=True, stderr=True, demux=True)
        container.start()
        self.address = (_address(container), spec.port)
        self._waiter = threading.Thread(
            target=self._wait, args=(chunks, output), name="emulator-container"
        )
        self._waiter.start()

    def stop(self) -> None:
        with contextlib.suppress(docker.errors.NotFound):
            self._container.stop(timeout=int(GRACE_S))
        self._waiter.join()

    def _wait(self, chunks: Iterator[tuple[bytes | None, bytes | None]], output: Output) -> None:
        _tell_lines(chunks, output)
        code = int(self._container.wait()["StatusCode"])
        self._container.reload()
        killed = self._container.attrs["State"].get("OOMKilled") and code == _KILLED
        used = self._spec.memory // _MIB + 1 if killed else None
        self._container.remove(force=True, v=True)
        self.end = End(code, used)
        self.ended.set()


def _address(container: Any) -> str:
    container.reload()
    networks = container.attrs["NetworkSettings"]["Networks"]
    return next((net["IPAddress"] for net in networks.values() if net["IPAddress"]), "127.0.0.1")


def _tell_lines(chunks: Iterator[tuple[bytes | None, bytes | None]], output: Output) -> None:
    """Lines out of the chunks that an engine hands over; until both streams are over."""
    rest = {"stdout": b"", "stderr": b""}
    with contextlib.suppress(requests.exceptions.RequestException, OSError):
        for pair in chunks:
            for name, chunk in zip(rest, pair, strict=True):
                *lines, rest[name] = (rest[name] + (chunk or b"")).split(b"\n")
                for line in lines:
                    output(name, line.rstrip(b"\r"))
    for name, last in rest.items():
        if last:
            output(name, last)
        output(name, None)
