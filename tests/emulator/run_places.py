"""Whether a name that was asked for lies in the emulated project and region."""

from __future__ import annotations

import re

import grpc  # type: ignore[import-untyped]

from emulator import run_texts as texts
from emulator.rpc import RpcFault
from emulator.run_names import Place

_NAME = re.compile(r"projects/(?P<project>[^/]+)/locations/(?P<region>[^/]+)(?:/.*)?")


def check_place(place: Place, name: str, permission: str) -> None:
    """Raises `RpcFault`: another project is not allowed, another region has no Cloud Run."""
    found = _NAME.fullmatch(name)
    if found is None:
        raise RpcFault(grpc.StatusCode.INVALID_ARGUMENT, f"Invalid resource name: '{name}'.")
    if found["project"] != place.project:
        raise RpcFault(grpc.StatusCode.PERMISSION_DENIED, texts.denied(permission, name))
    if found["region"] != place.region:
        text = "Operation is not implemented, or supported, or enabled."
        raise RpcFault(grpc.StatusCode.UNIMPLEMENTED, text)
