"""Secret Manager, as far as asking whether a version of a secret is there."""

from __future__ import annotations

import re
from typing import Any

import grpc  # type: ignore[import-untyped]

from emulator.rpc import Call, HttpRule, Rpc, RpcFault
from emulator.run_secrets import Secrets
from emulator.run_texts import project_number
from emulator.secret_messages import SERVICE, GetSecretVersionRequest, SecretVersion

_NAME = re.compile(r"projects/([^/]+)/secrets/([^/]+)/versions/([^/]+)")
_GET = HttpRule("GET", "/v1/{name=projects/*/secrets/*/versions/*}")


def secret_rpcs(secrets: Secrets) -> list[Rpc]:
    """The one method there is."""

    def get(request: Any, call: Call) -> Any:
        found = _NAME.fullmatch(request.name)
        if found is None or found[1] not in (secrets.project, _number(secrets)):
            raise RpcFault(
                grpc.StatusCode.PERMISSION_DENIED,
                "Permission 'secretmanager.versions.get' denied for resource "
                f"'{request.name}' (or it may not exist).",
            )
        return _version(secrets, found[2], found[3])

    return [Rpc(SERVICE, "GetSecretVersion", GetSecretVersionRequest, SecretVersion, get, (_GET,))]


def _version(secrets: Secrets, secret: str, wanted: str) -> Any:
    place = f"projects/{_number(secrets)}/secrets/{secret}"
    number = secrets.number(secret, wanted)
    if number is not None:
        state = secrets.states.get((secret, number), "ENABLED")
        return SecretVersion(name=f"{place}/versions/{number}", state=state)
    if secret not in secrets.values or wanted == "latest":
        text = f"Secret [{place}] not found or has no versions."
    else:
        text = f"Secret Version [{place}/versions/{wanted}] not found."
    raise RpcFault(grpc.StatusCode.NOT_FOUND, text)


def _number(secrets: Secrets) -> str:
    return str(project_number(secrets.project))
