"""Building an image with no cache, by whichever builder can."""

from __future__ import annotations

from typing import Final

from loopctl.engine.build_request import BuildRequest, Context, OnOutput, OnStep
from loopctl.engine.buildkit import build_by_buildkit
from loopctl.engine.cli_build import build_by_cli
from loopctl.engine.connection import Engine
from loopctl.engine.legacy_build import build_by_old_builder
from loopctl.process import Stop

#: The first API whose `/build` knows BuildKit (docs.docker.com/engine/api/version-history: 1.39).
_BUILDKIT_SINCE: Final = (1, 39)
# What the docker command takes for "no" (Go's strconv.ParseBool).
_NO: Final = frozenset({"0", "f", "F", "false", "False", "FALSE"})


def build(
    engine: Engine,
    request: BuildRequest,
    context: Context,
    on: OnStep,
    output: OnOutput,
    stop: Stop,
) -> str:
    """Build with no cache: the image's id in the engine, `sha256:…`.

    `on` hears of each step as it ends well, `output` gets what the builder and the steps print,
    not redacted, in pieces of any length; both may be called from another thread, one call at a
    time. BuildKit builds, where the engine has it and `DOCKER_BUILDKIT` does not say no, else the
    old builder; a client on the command line, where only that can.

    Raises `BuildFailedError`, `BaseImageAbsentError`; `BuildClientAbsentError`; `EngineGoneError`
    where the engine is not there or went away meanwhile, other `EngineError`s; `Stopped` within
    a second, the build cancelled; and whatever `context` raises.
    """
    if request.needs_cli:
        return build_by_cli(engine, request, context, on, output, stop)
    if has_buildkit(engine, stop):
        return build_by_buildkit(engine, request, context, on, output, stop)
    return build_by_old_builder(engine, request, context, on, output, stop)


def has_buildkit(engine: Engine, stop: Stop) -> bool:
    """Whether BuildKit is to build. Raises `EngineError`."""
    if engine.environ.get("DOCKER_BUILDKIT") in _NO:
        return False
    with engine.api(stop) as api:
        major, _, minor = str(api.api_version).partition(".")
    return (int(major), int(minor)) >= _BUILDKIT_SINCE
