"""`make engines-down` takes away the bridges of its own engine, and nobody else's interface."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from bare_machine import Machine, a_machine

BASE = "loopctl-base:local"
THEIRS = "theirs0"


@pytest.fixture
def machine() -> Iterator[Machine]:
    with a_machine() as machine:
        yield machine


def block(machine: Machine) -> str:
    return str(json.loads(made(machine).read_text())["block"])


def made(machine: Machine) -> Path:
    return machine.engines_dir / "engine/made.json"


def address_of_the_bridge(machine: Machine) -> str:
    (bridge,) = json.loads(machine.run("ip", "-json", "link", "show", "type", "bridge").out)
    return str(bridge["address"])


def give_an_interface(machine: Machine) -> None:
    """Somebody else's bridge, with an address among those that the engine took for itself."""
    machine.did("ip", "link", "add", THEIRS, "type", "bridge")
    machine.did(
        "ip", "address", "add", block(machine).replace(".0.0/16", ".200.1/24"), "dev", THEIRS
    )


@pytest.mark.slow
def test_the_bridge_is_the_same_to_all_containers_however_many_come_and_go(
    machine: Machine,
) -> None:
    assert machine.engines("up").code == 0
    before = address_of_the_bridge(machine)
    for _ in range(3):
        machine.docker("run", "-d", BASE, "sleep", "60")
        assert address_of_the_bridge(machine) == before


@pytest.mark.slow
@pytest.mark.parametrize("killed", [False, True])
def test_an_interface_of_somebody_elses_stays_and_all_bridges_of_the_engine_go(
    machine: Machine, *, killed: bool
) -> None:
    before, rules = machine.network()
    assert machine.engines("up").code == 0
    machine.docker("network", "create", "of-a-service")
    named = "com.docker.network.bridge.name=lc-named0"
    machine.docker("network", "create", "--opt", named, "--subnet", "192.168.77.0/24", "named")
    give_an_interface(machine)
    if killed:
        machine.did("kill", "-KILL", (machine.engines_dir / "engine/pid").read_text())
    down = machine.engines("down")
    assert down.code == 0, str(down)
    assert machine.network() == (sorted([*before, THEIRS]), rules)


@pytest.mark.slow
def test_after_a_reboot_nothing_of_the_network_is_touched(machine: Machine) -> None:
    assert machine.engines("up").code == 0
    told = json.loads(made(machine).read_text())
    machine.did("kill", "-TERM", (machine.engines_dir / "engine/pid").read_text())
    machine.did("sh", "-c", "while pidof dockerd; do sleep 0.1; done")
    give_an_interface(machine)
    made(machine).write_text(json.dumps({**told, "boot": "the one before"}))
    there = machine.network()
    down = machine.engines("down")
    assert down.code == 0, str(down)
    assert machine.network() == there
    assert not (machine.engines_dir / "engine").exists()
