"""Where engine and registry shall be, and where what is started keeps its things."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from engines.trouble import CannotError

FOLDER = "LOOPCTL_ENGINES_DIR"
ENGINE = "DOCKER_HOST"
REGISTRY = "LOOPCTL_TEST_REGISTRY"
_UNIX = "unix://"
# containerd's longest socket in the folder is 36 bytes longer; the kernel takes 107.
_LONGEST_FOLDER = 70


@dataclass(frozen=True)
class Asked:
    """`engine` is an address as DOCKER_HOST has it, `registry` is `host:port`.

    `environ` is handed on to the engine's client for its TLS variables.
    """

    folder: Path
    engine: str
    registry: str
    environ: Mapping[str, str]

    @staticmethod
    def by(environ: Mapping[str, str]) -> Asked:
        """What the environment asks for; raises `CannotError` for what cannot be."""
        folder = Path(environ.get(FOLDER) or "/var/lib/loopctl-engines").absolute()
        if len(str(folder)) > _LONGEST_FOLDER:
            raise CannotError(
                f"{folder} is too long a path for the sockets in it",
                f"name a shorter one: {FOLDER}",
            )
        registry = environ.get(REGISTRY) or "127.0.0.1:5000"
        if not registry.rpartition(":")[2].isdigit():
            raise CannotError(f"{REGISTRY}={registry} is no host:port")
        return Asked(
            folder=folder,
            engine=environ.get(ENGINE) or "unix:///var/run/docker.sock",
            registry=registry,
            environ=environ,
        )

    @property
    def socket(self) -> Path | None:
        """The engine's unix socket; None where its address is another kind."""
        if not self.engine.startswith(_UNIX):
            return None
        return Path(self.engine.removeprefix(_UNIX))
