"""What an instance of a revision runs in: the verbs that each kind of it has."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

#: Cloud Run's own: SIGTERM, then this long, then SIGKILL.
GRACE_S: Final = 10.0

Output = Callable[[str, bytes | None], None]
"""Takes `stdout` or `stderr` and a line of it without its end; None once the stream is over."""


class ImageTrouble(Exception):
    """An image cannot be had. `denied`: it is there, and may not be read."""

    def __init__(self, image: str, *, denied: bool = False) -> None:
        super().__init__(image)
        self.image = image
        self.denied = denied


class ExecFailed(Exception):
    """There is no such program in the image; the text names it."""


@dataclass(frozen=True, slots=True)
class InstanceSpec:
    """What to run. `port` is the one of the template; `memory` in bytes."""

    service: str
    revision: str
    image: str
    port: int
    memory: int
    command: Sequence[str] = ()
    args: Sequence[str] = ()
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class End:
    """How an instance ended: its exit code, negative for a signal; MiB used where killed for it."""

    code: int
    out_of_memory_mib: int | None = None


class Instance(Protocol):
    """A container or a process that was started, and may have ended since."""

    @property
    def address(self) -> tuple[str, int]:
        """Where it is to listen."""

    @property
    def ended(self) -> threading.Event:
        """Set when it has ended and all that it wrote was told of."""

    @property
    def end(self) -> End | None:
        """How it ended; None while it runs."""

    def stop(self, grace_s: float = GRACE_S) -> None:
        """SIGTERM, `grace_s`, SIGKILL; returns when `ended` is set."""


class Runtime(Protocol):
    """Where images come from and instances run."""

    def resolve(self, image: str) -> str:
        """The reference by digest of an image. Raises `ImageTrouble`."""

    def start(self, spec: InstanceSpec, output: Output) -> Instance:
        """Start an instance. `output` is called from threads of the instance.

        Raises `ExecFailed` and `ImageTrouble`.
        """

    def close(self) -> None:
        """Leave nothing behind: containers, connections."""
