"""What a service process is started with, and what is missing to start it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from typing import Final

from loopctl.errors import Problem
from loopctl.model.plan import PlatformKind, ServiceSpec
from loopctl.platforms.hosted.secrets import valueless, values_of
from loopctl.ports.platform import PlatformError

# All that a service sees of loopctl's own environment: what a login would give it.
_BASE: Final = ("PATH", "HOME", "LANG", "TMPDIR", "TZ", "VIRTUAL_ENV")
_INTERPRETERS: Final = ("python", "python3")


def command(spec: ServiceSpec) -> tuple[str, ...]:
    """The command; a leading `python` is loopctl's own interpreter. Raises `PlatformError`."""
    given = spec.run.command
    if not given:
        raise PlatformError("the service has no run.command", where=spec.name)
    return (sys.executable, *given[1:]) if given[0] in _INTERPRETERS else given


def environment(spec: ServiceSpec, env: Mapping[str, str]) -> dict[str, str]:
    """All the service is given but for PORT and K_…: little of ours, its own, its secrets."""
    base = {name: os.environ[name] for name in _BASE if name in os.environ}
    return {**base, "PYTHONUNBUFFERED": "1", **env, **hidden(spec)}


def hidden(spec: ServiceSpec) -> dict[str, str]:
    """The service's secrets by name. Raises `PlatformError` for one without a value."""
    return values_of(spec, PlatformKind.LOCAL)


def problems(spec: ServiceSpec) -> list[Problem]:
    """What is missing to run a service here."""
    found: list[Problem] = []
    if spec.image is not None:
        found.append(
            Problem(
                "an image cannot run as a local process",
                where=spec.name,
                hint="give the service a source, or use an environment with platform: docker",
            )
        )
    return [*found, *valueless(spec, PlatformKind.LOCAL), *_command_problems(spec)]


def _command_problems(spec: ServiceSpec) -> list[Problem]:
    if not spec.run.command:
        what = "there is no command to run the service with"
        return [Problem(what, where=spec.name, hint="give it run.command, as a list")]
    program = spec.run.command[0]
    # A path is looked up in the copy of the source, which is not there yet.
    if program in _INTERPRETERS or "/" in program or shutil.which(program):
        return []
    hint = "install it, or name it by its path"
    return [Problem(f"{program!r} is not found on PATH", where=spec.name, hint=hint)]
