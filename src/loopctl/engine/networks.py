"""How containers reach the machine that their engine runs on."""

from __future__ import annotations

import ipaddress
import socket

from loopctl.engine.connection import Engine
from loopctl.engine.errors import NotInEngineError
from loopctl.process import Stop


def gateway(engine: Engine, stop: Stop) -> str | None:
    """The machine's own address on the network `bridge`, where containers meet what it serves.

    None when this machine has no such address, as beside an engine that runs without root: its
    containers do not reach what listens here. Raises `EngineError`.
    """
    with engine.api(stop) as api:
        found = api.inspect_network("bridge")
    for config in (found.get("IPAM") or {}).get("Config") or ():
        address = config.get("Gateway") or _first(str(config.get("Subnet", "")))
        if address is not None and _is_ours(str(address)):
            return str(address)
    return None


def no_way_in(engine: Engine, stop: Stop) -> tuple[str, str] | None:
    """Why containers cannot reach this machine, and what to do; None when they can.

    Raises `EngineError`.
    """
    try:
        if gateway(engine, stop) is not None:
            return None
    except NotInEngineError as error:
        return error.what, "start the engine with its default bridge: without --bridge=none"
    what = "this machine has no address on the engine's bridge, so containers cannot reach it: "
    return (
        f"{what}the engine runs without root, in a virtual machine, or has lost its bridge",
        "use an engine that runs as root on this machine; restart it if its bridge was deleted",
    )


def _first(subnet: str) -> str | None:
    """Which address of its own bridge the engine takes where it was told none."""
    try:
        return str(ipaddress.IPv4Network(subnet)[1])
    except (ValueError, IndexError):
        return None


def _is_ours(address: str) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True
