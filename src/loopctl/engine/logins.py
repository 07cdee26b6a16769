"""What the docker configuration knows of registries: logins, and the programs that keep them."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import docker.auth
import docker.credentials.errors
import docker.errors

from loopctl.engine.connection import Engine
from loopctl.engine.errors import EngineError, translated
from loopctl.engine.login import Login, LoginSource
from loopctl.errors import PortError
from loopctl.redact import Secret

_STORED_TOKEN = "<token>"  # noqa: S105 - the name that stores give to what is no password


def login_for(engine: Engine, repository: str) -> Mapping[str, str]:
    """The header that shows one registry the user's login there; an empty login where none is.

    Docker's own configuration comes first, then the engine's source of logins.
    """
    with translated(engine.address):
        registry, _ = docker.auth.resolve_repository_name(repository)
        found: Mapping[str, object] | None = None
        # A program that should keep logins and is not there, or fails, keeps none: the registry
        # is asked without one, and its refusal says what is missing.
        with contextlib.suppress(docker.credentials.errors.StoreError):
            found = _known(engine.environ).resolve_authconfig(registry)
        header = found or _told(engine.login, registry)
        return {"X-Registry-Auth": docker.auth.encode_header(dict(header)).decode("ascii")}


def all_logins(engine: Engine) -> Mapping[str, str]:
    """The header with all that the user is logged in to, which a build may show to registries.

    Docker Hub goes by two names (github.com/docker/docker-py/issues/1683).
    """
    with translated(engine.address):
        every: dict[str, object] = {}
        with contextlib.suppress(docker.credentials.errors.StoreError):
            every = _known(engine.environ).get_all_credentials()
        if docker.auth.INDEX_NAME in every:
            every.setdefault(docker.auth.INDEX_URL, every[docker.auth.INDEX_NAME])
        if not every:
            return {}
        return {"X-Registry-Config": docker.auth.encode_header(every).decode("ascii")}


def docker_first(environ: Mapping[str, str], other: LoginSource) -> LoginSource:
    """The logins that docker's configuration has, and for all other registries those of `other`.

    Needs no engine: the configuration is a file.
    """

    def login(host: str) -> Login | None:
        return _of_docker(environ, host) or other(host)

    return login


def _of_docker(environ: Mapping[str, str], host: str) -> Login | None:
    found: Mapping[str, Any] | None = None
    # One that cannot be read knows nobody: the registry's refusal says what is missing.
    with contextlib.suppress(
        docker.errors.DockerException, docker.credentials.errors.StoreError, OSError, ValueError
    ):
        found = _known(environ).resolve_authconfig(host)
    known = {name.lower(): value for name, value in (found or {}).items() if value}
    user, password = str(known.get("username", "")), str(known.get("password", ""))
    token = str(known.get("identitytoken", "")) or (password if user == _STORED_TOKEN else "")
    if token:
        return Login("", Secret(f"login at {host}", token), is_refresh_token=True)
    return Login(user, Secret(f"login at {host}", password)) if user and password else None


def _told(source: LoginSource, registry: str) -> Mapping[str, object]:
    try:
        login = source(registry)
    except PortError as error:
        raise EngineError(error.what, where=registry, hint=error.hint) from None
    if login is None:
        return {}
    return {
        "username": login.user,
        "password": login.password.reveal(),
        "serveraddress": registry,
    }


def _known(environ: Mapping[str, str]) -> docker.auth.AuthConfig:
    folder = environ.get("DOCKER_CONFIG")
    return docker.auth.load_config(str(Path(folder, "config.json")) if folder else None)
