"""Where the engine is, and one conversation with it at a time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import docker
from docker.tls import TLSConfig

from loopctl.engine.errors import gone, greeted, translated
from loopctl.engine.login import LoginSource, nobody
from loopctl.engine.stoppable import carry
from loopctl.engine.whereabouts import UNIX, address_of, is_secured, unusable
from loopctl.process import Stop

# Every engine that docker-py still speaks with knows it; only its version is asked with it.
_ANY_VERSION: Final = "1.24"
_HERE: Final = ("tcp://127.", "tcp://localhost", "http://127.", "http://localhost")
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

    `login` tells who one is to registries that docker's own configuration does not know. Safe to
    share by threads: each conversation has connections of its own, which end with it.
    """

    def __init__(self, environ: Mapping[str, str], login: LoginSource = nobody) -> None:
        self.login = login
        self.environ = {name: environ[name] for name in VARIABLES if environ.get(name)}
        self._api_version: str | None = None

    @property
    def address(self) -> str:
        """As `DOCKER_HOST` has it."""
        return address_of(self.environ)

    @property
    def is_local(self) -> bool:
        """Whether it runs on this machine: its ports and processes can be seen only then."""
        return self.address.startswith((UNIX, *_HERE))

    @property
    def is_secured(self) -> bool:
        """Whether it is spoken to by TLS."""
        return is_secured(self.environ)

    @contextlib.contextmanager
    def api(self, stop: Stop, at_most: float = 10.0) -> Iterator[docker.APIClient]:
        """The SDK's client; each of its requests may take `at_most` seconds.

        For this room alone. Raises `EngineError`; `Stopped` at once when somebody stops, while an
        engine that has not answered by the deadline of `stop` is an `EngineSilentError`.
        """
        limit = stop.remaining(at_most)
        if (told := unusable(self.environ)) is not None:
            raise gone(self.address, *told)
        with translated(self.address):
            version = self._negotiated(stop, limit)
            with contextlib.closing(self._client(version, stop, limit)) as client:
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

    def _negotiated(self, stop: Stop, limit: float) -> str:
        """The API's version, which is asked for until it is known.

        Without a lock: of threads that begin together each may ask, and none waits for another.
        """
        if self._api_version is None:
            # Not `version="auto"`: a client that cannot be made leaves its socket open.
            asking = self._client(_ANY_VERSION, stop, limit)
            with contextlib.closing(asking), greeted(self.address):
                self._api_version = str(asking.version(api_version=False)["ApiVersion"])
        return self._api_version

    def _client(self, version: str, stop: Stop, limit: float) -> docker.APIClient:
        client = docker.APIClient(
            self.address,
            version=version,
            timeout=limit,  # type: ignore[arg-type] # the SDK hands a float on to requests
            tls=self._tls() or False,
        )
        is_unix = self.address.startswith(UNIX)
        carry(client, self.address if is_unix else str(client.base_url), stop)
        return client

    def _tls(self) -> TLSConfig | None:
        if not self.is_secured:
            return None
        folder = self.environ["DOCKER_CERT_PATH"]
        return TLSConfig(
            client_cert=(f"{folder}/cert.pem", f"{folder}/key.pem"),
            ca_cert=f"{folder}/ca.pem",
            verify=True,
        )
