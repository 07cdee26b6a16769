"""What the docker configuration knows of registries: logins, and the programs that keep them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import docker.auth

if TYPE_CHECKING:
    from docker import APIClient


def login_for(api: APIClient, repository: str) -> bytes:
    """What the user's docker configuration knows of the registry; an empty login where nothing."""
    registry, _ = docker.auth.resolve_repository_name(repository)
    found = docker.auth.load_config(credstore_env=api.credstore_env).resolve_authconfig(registry)
    return bytes(docker.auth.encode_header(found or {}))
