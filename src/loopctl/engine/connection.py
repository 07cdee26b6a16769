"""Where the engine is, and one conversation with it at a time."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import docker
from docker.tls import TLSConfig

from loopctl.engine.errors import EngineGoneError, translated
from loopctl.process import Stop

# Every engine that docker-py still speaks with knows it; only its version is asked with it.
_ANY_VERSION: Final = "1.24"
DEFAULT_ADDRESS: Final = "unix:///var/run/docker.sock"
#: What `docker` itself goes by; a host process is given these and no other word about engines.
VARIABLES: Final = (
    *("DOCKER_HOST", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH", "DOCKER_CONFIG"),
    "DOCKER_BUILDKIT",  # 0: images are built by the engine's old builder
)


@dataclass(frozen=True, slots=True)
class About:
    """What an engine says of itself. `id` stays the same for as long as its data does."""

    id: str
    version: str
    api: str
    memory: int
    cpus: int
    kernel: str = ""


class Engine:
    """The engine that `environ` names, as the `docker` command would understand it.

    Safe to share by threads: each conversation has connections of its own, which end with it.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = {name: environ[name] for name in VARIABLES if environ.get(name)}
        self._api_version: str | None = None
        self._negotiating = threading.Lock()

    @property
    def address(self) -> str:
        """As `DOCKER_HOST` has it."""
        return self.environ.get("DOCKER_HOST", DEFAULT_ADDRESS)

    @property
    def is_local(self) -> bool:
        """Whether it runs on this machine: its ports and processes can be seen only then."""
        return self.address.startswith(("unix://", "tcp://127.", "tcp://localhost"))

    @contextlib.contextmanager
    def api(self, stop: Stop, at_most: float = 10.0) -> Iterator[docker.APIClient]:
        """The SDK's client; each of its requests may take `at_most` seconds.

        For this room alone. Raises `EngineError`, `Stopped`.
        """
        limit = stop.remaining(at_most)
        with translated(self.address):
            self._knock(limit)
            with contextlib.closing(self._client(self._negotiated(limit), limit)) as client:
                yield client

    def about(self, stop: Stop) -> About:
        """What it says of itself. Raises `EngineError`."""
        with self.api(stop) as api:
            info = api.info()
            return About(
                id=str(info.get("ID", "")),
                version=str(info.get("ServerVersion", "")),
                api=str(api.api_version),
                memory=int(info.get("MemTotal", 0)),
                cpus=int(info.get("NCPU", 0)),
                kernel=str(info.get("KernelVersion", "")),
            )

    def _negotiated(self, limit: float) -> str:
        """The API's version, asked for once."""
        with self._negotiating:
            if self._api_version is None:
                # Not `version="auto"`: a client that cannot be made leaves its socket open.
                with contextlib.closing(self._client(_ANY_VERSION, limit)) as asking:
                    told = asking.version(api_version=False)
                    self._api_version = str(told["ApiVersion"])
            return self._api_version

    def _client(self, version: str, limit: float) -> docker.APIClient:
        return docker.APIClient(
            self.address,
            version=version,
            timeout=limit,  # type: ignore[arg-type] # the SDK hands a float on to requests
            tls=self._tls() or False,
        )

    def _knock(self, limit: float) -> None:
        """Where nobody answers the SDK leaves a socket open. Raises `OSError`."""
        if self.address.startswith("unix://"):
            with socket.socket(socket.AF_UNIX) as probe:
                probe.settimeout(limit)
                probe.connect(self.address.removeprefix("unix://"))

    def _tls(self) -> TLSConfig | None:
        if not self.environ.get("DOCKER_TLS_VERIFY"):
            return None
        folder = self.environ.get("DOCKER_CERT_PATH")
        if folder is None:
            raise EngineGoneError(
                "DOCKER_TLS_VERIFY is set and DOCKER_CERT_PATH is not", where=self.address
            )
        return TLSConfig(
            client_cert=(f"{folder}/cert.pem", f"{folder}/key.pem"),
            ca_cert=f"{folder}/ca.pem",
            verify=True,
        )
