"""What the docker configuration knows of registries: logins, and the programs that keep them."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import docker.auth
import docker.credentials.errors
import docker.errors

from loopctl.engine.connection import Engine
from loopctl.engine.errors import EngineError, translated
from loopctl.engine.login import Login, LoginSource
from loopctl.errors import PortError
from loopctl.redact import Secret

_UNUSABLE: Final = (
    *(docker.errors.DockerException, docker.credentials.errors.StoreError, OSError),
    # What the SDK ends in where the file is JSON and no configuration.
    *(ValueError, TypeError, AttributeError, KeyError),
)
_STORED_TOKEN: Final = "<token>"  # noqa: S105 - the name that stores give to what is no password


def login_for(engine: Engine, repository: str) -> Mapping[str, str]:
    """The header that shows one registry the user's login there; an empty login where none is.

    Docker's own configuration comes first, then the engine's source of logins.
    """
    with translated(engine.address):
        registry, _ = docker.auth.resolve_repository_name(repository)
        header = _resolved(engine.environ, registry) or _told(engine.login, registry)
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
    known = {name.lower(): value for name, value in _resolved(environ, host).items() if value}
    user, password = str(known.get("username", "")), str(known.get("password", ""))
    token = str(known.get("identitytoken", "")) or (password if user == _STORED_TOKEN else "")
    if token:
        return Login("", Secret(f"login at {host}", token), is_refresh_token=True)
    return Login(user, Secret(f"login at {host}", password)) if user and password else None


def _resolved(environ: Mapping[str, str], registry: str) -> Mapping[str, Any]:
    """What docker's configuration has for a registry; empty for nothing.

    A configuration that cannot be read, and a program that should keep logins and is not there, or
    fails, know nobody: the registry is asked without a login, and its refusal says what is missing.
    """
    try:
        known = _known(environ)
        program = known.get_credential_store(registry)
        if program and shutil.which(f"docker-credential-{program}") is None:
            known = docker.auth.AuthConfig({"auths": known.auths})
        return known.resolve_authconfig(registry) or {}
    except _UNUSABLE:
        return {}


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
