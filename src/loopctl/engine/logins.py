"""What the docker configuration knows of registries: logins, and the programs that keep them."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path

import docker.auth
import docker.credentials.errors

from loopctl.engine.connection import Engine
from loopctl.engine.errors import translated


def login_for(engine: Engine, repository: str) -> Mapping[str, str]:
    """The header that shows one registry the user's login there; an empty login where none is."""
    with translated(engine.address):
        registry, _ = docker.auth.resolve_repository_name(repository)
        found = None
        # A program that should keep logins and is not there, or fails, keeps none: the registry
        # is asked without one, and its refusal says what is missing.
        with contextlib.suppress(docker.credentials.errors.StoreError):
            found = _known(engine).resolve_authconfig(registry)
        return {"X-Registry-Auth": docker.auth.encode_header(found or {}).decode("ascii")}


def all_logins(engine: Engine) -> Mapping[str, str]:
    """The header with all that the user is logged in to, which a build may show to registries.

    Docker Hub goes by two names (github.com/docker/docker-py/issues/1683).
    """
    with translated(engine.address):
        every: dict[str, object] = {}
        with contextlib.suppress(docker.credentials.errors.StoreError):
            every = _known(engine).get_all_credentials()
        if docker.auth.INDEX_NAME in every:
            every.setdefault(docker.auth.INDEX_URL, every[docker.auth.INDEX_NAME])
        if not every:
            return {}
        return {"X-Registry-Config": docker.auth.encode_header(every).decode("ascii")}


def _known(engine: Engine) -> docker.auth.AuthConfig:
    folder = engine.environ.get("DOCKER_CONFIG")
    return docker.auth.load_config(str(Path(folder, "config.json")) if folder else None)
