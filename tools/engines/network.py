"""Addresses, a bridge and rules of the engine's own.

An engine left to itself takes `docker0` and writes the machine's Docker chains anew, which belong
to any other engine there is, and leaves both behind when it ends. Ours is given a block of
addresses, and three rules for all of it, that go when it goes.
"""

from __future__ import annotations

import ipaddress
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass

from engines.trouble import CannotError

_BLOCKS = [f"10.{n}.0.0/16" for n in range(213, 233)] + [f"172.{n}.0.0/16" for n in range(24, 32)]


@dataclass(frozen=True)
class Network:
    """`block` is a /16; every network of the engine is a part of it."""

    block: str

    @property
    def bridge(self) -> str:
        """The interface of its default network."""
        first, second, *_ = self.block.split(".")
        return f"loopctl{first}-{second}"

    @property
    def gateway(self) -> str:
        """This machine's own address on that bridge."""
        return self.block.replace(".0.0/16", ".0.1")

    @property
    def hardware(self) -> str:
        """The bridge's own hardware address, made of its gateway's as the engine makes those."""
        return ":".join(["02:42", *(f"{int(each):02x}" for each in self.gateway.split("."))])

    @property
    def flags(self) -> list[str]:
        """What `dockerd` is told of it, however often it is started."""
        return [f"--bridge={self.bridge}", "--iptables=false", "--ip6tables=false"]

    @property
    def first_flags(self) -> list[str]:
        """What it is told the first time alone, on empty data: where its networks lie.

        Started with this on data that has been used, it deletes `docker0`, whoever's that is
        (measured with 20.10: it clears its own former default bridge, and goes by that name).
        """
        return [f"--default-address-pool=base={self.block},size=24"]

    def make(self) -> None:
        """Bridge and rules; harmless where they are there already."""
        self.remove()
        # A bridge without an address of its own takes the lowest of those that are plugged in: it
        # changes with every container, and those that run talk into the void for seconds.
        _run("ip", "link", "add", self.bridge, "address", self.hardware, "type", "bridge")
        _run("ip", "address", "add", f"{self.gateway}/24", "dev", self.bridge)
        _run("ip", "link", "set", self.bridge, "up")
        for table, chain, *rule in self._rules():
            _run("iptables", "-w", "-t", table, "-I", chain, *rule)

    def remove(self) -> None:
        """Take away the rules and the bridge."""
        for table, chain, *rule in self._rules():
            while _succeeds("iptables", "-w", "-t", table, "-D", chain, *rule):
                pass
        remove_bridges([self.bridge])

    def _rules(self) -> list[tuple[str, ...]]:
        outward = ("-s", self.block, "!", "-d", self.block)
        return [
            ("nat", "POSTROUTING", *outward, "-j", "MASQUERADE"),
            ("filter", "FORWARD", "-s", self.block, "-j", "ACCEPT"),
            ("filter", "FORWARD", "-d", self.block, "-j", "ACCEPT"),
        ]


def free_network() -> Network:
    """The first block that no route of this machine leads to, but for the default one."""
    lines = _run("ip", "-4", "route", "show", "table", "all").splitlines()
    taken = [found for line in lines for word in line.split()[:2] if (found := _prefix(word))]
    for block in _BLOCKS:
        if not any(ipaddress.IPv4Network(block).overlaps(route) for route in taken):
            return Network(block)
    raise CannotError(f"this machine has routes into all of {', '.join(_BLOCKS)}")


def _prefix(word: str) -> ipaddress.IPv4Network | None:
    """The destination of a route; None for the default one, and for what is none."""
    try:
        found = ipaddress.IPv4Network(word)
    except ValueError:
        return None
    return found if found.prefixlen else None


def remove_bridges(names: Iterable[str]) -> None:
    """Delete these interfaces; what is not there, or is no bridge, is left alone."""
    bridges = _run("ip", "-oneline", "link", "show", "type", "bridge").splitlines()
    there = {line.split()[1].rstrip(":") for line in bridges}
    for name in there.intersection(names):
        _run("ip", "link", "delete", name)


def _succeeds(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False, timeout=30).returncode == 0


def _run(*command: str) -> str:
    ran = subprocess.run(command, capture_output=True, check=False, timeout=30, text=True)
    if ran.returncode != 0:
        raise CannotError(f"`{' '.join(command)}` failed: {ran.stderr.strip()}")
    return ran.stdout.strip()
