"""Revisions as containers of the Docker engine of this machine."""

from __future__ import annotations

import contextlib
import re
import threading
from typing import Any, Final

import docker
import docker.errors
from docker.utils.socket import STDERR, frames_iter

from emulator.run_docker_orphans import OWNER, owner, remove_orphans
from emulator.run_runtime import GRACE_S, End, ExecFailed, ImageTrouble, InstanceSpec, Output

#: Every container of the emulator has it; its value is the revision.
LABEL: Final = "loopctl.emulator"
_MIB: Final = 2**20
_NO_PROGRAM: Final = re.compile(r'exec: "(?P<program>[^"]+)"')
_DENIED: Final = ("denied", "unauthorized", "no basic auth")
_KILLED: Final = 137
_SIGNALLED: Final = 128


class DockerRuntime:
    """Pulls images by the reference of the template, from their registry or from the engine."""

    def __init__(self) -> None:
        self._docker = docker.from_env()
        remove_orphans(self._docker)

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
        container: Any = self._create(spec)
        try:
            return DockerInstance(container, spec, output)
        except docker.errors.APIError as error:
            container.remove(force=True)
            program = _NO_PROGRAM.search(str(error))
            raise ExecFailed(program["program"] if program else str(error)) from error

    def close(self) -> None:
        self._docker.close()

    def _create(self, spec: InstanceSpec) -> Any:
        return self._docker.containers.create(
            spec.image,
            [*spec.args] or None,
            entrypoint=[*spec.command] or None,
            environment=dict(spec.env),
            mem_limit=spec.memory,
            memswap_limit=spec.memory,
            labels={LABEL: spec.revision, OWNER: owner()},
        )

    def _image(self, image: str) -> Any:
        """The image: from its registry, or as the engine has it where that knows none."""
        if "@" in image:  # it can be no other one
            with contextlib.suppress(docker.errors.ImageNotFound):
                return self._docker.images.get(image)
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
        streams = container.attach_socket(params={"stdout": 1, "stderr": 1, "stream": 1})
        try:
            container.start()
            self.address = (_address(container), spec.port)
        except docker.errors.APIError:
            _close(streams)
            raise
        self._waiter = threading.Thread(
            target=self._wait, args=(streams, output), name="emulator-container"
        )
        self._waiter.start()

    def stop(self, grace_s: float = GRACE_S) -> None:
        # The engine answers once the container has ended, which takes as long as it takes.
        for number, patience_s in (("SIGTERM", grace_s), ("SIGKILL", GRACE_S)):
            with contextlib.suppress(docker.errors.APIError):
                self._container.kill(number)
            if self.ended.wait(patience_s):
                break
        self._waiter.join()

    def _wait(self, streams: Any, output: Output) -> None:
        with contextlib.suppress(OSError):
            _tell_lines(streams, output)
        _close(streams)
        code = int(self._container.wait()["StatusCode"])
        self._container.reload()
        killed = self._container.attrs["State"].get("OOMKilled") and code == _KILLED
        used = self._spec.memory // _MIB + 1 if killed else None
        self._container.remove(force=True, v=True)
        # The engine tells of a signal as a shell does.
        self.end = End(_SIGNALLED - code if code > _SIGNALLED else code, used)
        self.ended.set()


def _address(container: Any) -> str:
    container.reload()
    networks = container.attrs["NetworkSettings"]["Networks"]
    return next((net["IPAddress"] for net in networks.values() if net["IPAddress"]), "127.0.0.1")


def _tell_lines(streams: Any, output: Output) -> None:
    """Lines out of the frames that an engine hands over; until both streams are over."""
    rest = {"stdout": b"", "stderr": b""}
    for number, chunk in frames_iter(streams, tty=False):
        name = "stderr" if number == STDERR else "stdout"
        *lines, rest[name] = (rest[name] + chunk).split(b"\n")
        for line in lines:
            output(name, line.rstrip(b"\r"))
    for name, last in rest.items():
        if last:
            output(name, last)
        output(name, None)


def _close(streams: Any) -> None:
    """The SDK keeps the answer that a socket is of with it, and closes neither."""
    streams._response.close()
    streams.close()
