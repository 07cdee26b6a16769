"""An image to be run as a container: the workload `container`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from loopctl.engine import containers, networks
from loopctl.engine.connection import Engine
from loopctl.engine.containers import ContainerSpec
from loopctl.engine.errors import EngineError, NotInEngineError
from loopctl.engine.owners import my_label
from loopctl.inert import one_line
from loopctl.platforms.host.container_launch import ContainerLaunch
from loopctl.platforms.host.contract import told
from loopctl.platforms.host.control import Fields, ProtocolError
from loopctl.platforms.host.leftovers import LABEL, sweep_orphans
from loopctl.platforms.host.runnable import Label, Surroundings
from loopctl.platforms.host.tcp_ports import LOOPBACK
from loopctl.ports.platform import PlatformError
from loopctl.process import Stop

_PREPARE_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Image:
    """`engine` are the variables that name the engine: a host outlives whoever had set them.

    `environment` holds secret values: it never leaves memory. An empty `command` is the image's
    own. `memory` is in bytes, `cpus` in processors, `port` in the container.
    """

    engine: Mapping[str, str]
    image: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    port: int
    memory: int | None
    cpus: float | None
    labels: Mapping[str, str]

    @staticmethod
    def of(args: Fields) -> Image:
        """Read one. Raises `ProtocolError`."""
        if (port := args.whole("port")) not in range(1, 65536):
            raise ProtocolError(f"{port} is no TCP port")
        return Image(
            engine=args.texts("engine"),
            image=args.text("artifact"),
            command=tuple(args.text_list("command")),
            environment=args.texts("environment"),
            port=port,
            memory=int(args.number("memory", 0)) or None,
            cpus=args.number("cpus", 0) or None,
            labels=args.texts("labels"),
        )

    async def prepare(self, around: Surroundings) -> Sequence[str]:
        """The machine's loopback address, and the one at which containers meet it.

        Containers that a killed host of this environment has left are removed. Raises
        `PlatformError` when the engine does not answer or has no such image.
        """
        return await asyncio.to_thread(self._prepare, around.place.key)

    def launch(self, label: Label, around: Surroundings) -> ContainerLaunch:
        """In a container that is named after the environment's key and the revision."""
        own = {
            **self.labels,
            "project": around.place.key,
            "environment": around.place.environment,
            "service": label.service,
            "revision": label.name,
            "deploy-key": label.key,
            "host": my_label(),
        }
        spec = ContainerSpec(
            name=f"loopctl-{around.place.key}-{label.name}",
            image=self.image,
            port=self.port,
            command=self.command,
            environment={**self.environment, **told(label.service, label.name, self.port)},
            labels={f"{LABEL}{name}": value for name, value in own.items()},
            memory=self.memory,
            cpus=self.cpus,
        )
        return ContainerLaunch(Engine(self.engine), spec, label.service, around.guardian)

    def _prepare(self, project: str) -> Sequence[str]:
        engine, stop = Engine(self.engine), Stop(_PREPARE_S)
        try:
            sweep_orphans(engine, project, stop)
            containers.image_id(engine, self.image, stop)
            gateway = networks.gateway(engine, stop)
        except NotInEngineError:
            raise self._missing() from None
        except EngineError as error:
            raise PlatformError(error.what, where=error.where, hint=error.hint) from None
        return (LOOPBACK,) if gateway is None else (LOOPBACK, gateway)

    def _missing(self) -> PlatformError:
        name = one_line(self.image)
        pulled = "@" in self.image
        return PlatformError(
            f"the engine does not have the image {name} any more",
            hint="pull it" if pulled else "somebody has removed it: build it again",
            mend=f"docker pull {name}" if pulled else None,
        )
