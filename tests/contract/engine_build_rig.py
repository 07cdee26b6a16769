"""What the tests of the three builders share: contexts, a record of a build, and tidying up."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import docker.errors
from tar_context import tar_of

from loopctl.engine.build import build
from loopctl.engine.build_request import BuildRequest, BuildStepEnded
from loopctl.engine.connection import Engine
from loopctl.process import Stop

BUILDERS = ("buildkit", "old", "cli")


@dataclass
class Built:
    """One build as it went. `heard` is called with all output so far, whenever there is more."""

    steps: list[BuildStepEnded] = field(default_factory=list)
    output: bytes = b""
    heard: Callable[[bytes], None] = field(default=lambda _: None)
    image: str = ""

    def on_output(self, piece: bytes) -> None:
        self.output += piece
        self.heard(self.output)

    @property
    def cached(self) -> set[str]:
        """The instructions that came from the cache."""
        return {step.name.partition("] ")[2] for step in self.steps if step.cached}


class Rig:
    """Builds, and removes what was built."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.images: list[str] = []

    def build(
        self,
        builder: str,
        dockerfile: str,
        *,
        engine: Engine | None = None,
        stop: Stop | None = None,
        built: Built | None = None,
        context: Callable[[], Iterator[bytes]] | None = None,
        secrets: Mapping[str, str] | None = None,
    ) -> Built:
        engine = engine or self.engine
        if builder == "old":
            engine = Engine({**engine.environ, "DOCKER_BUILDKIT": "0"})
        request = BuildRequest(
            labels={"loopctl-test": "engine-build"}, session=builder == "cli", secrets=secrets or {}
        )
        built = built or Built()
        files = {"Dockerfile": dockerfile, "hello.txt": "hello\n"}
        built.image = build(
            engine,
            request,
            context or (lambda: iter([tar_of(files)])),
            built.steps.append,
            built.on_output,
            stop or Stop(60),
        )
        self.images.append(built.image)
        return built

    def remove(self) -> None:
        with self.engine.api(Stop(30), at_most=30) as api:
            for image in dict.fromkeys(self.images):
                with contextlib.suppress(docker.errors.ImageNotFound):
                    api.remove_image(image, force=True)


def commands_with(text: str) -> list[str]:
    """The command lines and environments of this machine's processes that hold a text."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        for part in ("cmdline", "environ"):
            with contextlib.suppress(OSError):
                said = (process / part).read_bytes()
                if text.encode() in said:
                    found.append(said.replace(b"\0", b" ").decode(errors="replace"))
    return found


def none_within(seconds: float, look: Callable[[], list[str]]) -> list[str]:
    """What is still found after so long; nothing, the moment that nothing is found."""
    until = time.monotonic() + seconds
    while (found := look()) and time.monotonic() < until:
        time.sleep(0.05)
    return found
