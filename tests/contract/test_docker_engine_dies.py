"""An engine that dies, comes back, or lets go: told, survived, and nothing left behind."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from docker_rig import DockerRig, docker_rig
from dying_engine import DyingEngine, dying
from platform_rig import SERVE, get, wait_for

from loopctl.engine.connection import Engine
from loopctl.model.artifact import ServiceState
from loopctl.model.finding import FaultKind
from loopctl.platforms.docker_engine.platform import DockerPlatform
from loopctl.ports.platform import PlatformError

#: Longer than an engine is waited for, to tell how what has ended did.
AWAY_S = 5.0


@pytest.fixture
def rig() -> Iterator[DockerRig]:
    with docker_rig() as made:
        if not made.engine.address.startswith("unix://"):
            pytest.skip("a proxy stands before a unix socket")
        yield made


@pytest.fixture
def engine(rig: DockerRig) -> Iterator[DyingEngine]:
    with dying(rig.folder, rig.engine.address) as engine:
        rig.platform = DockerPlatform(rig.place, Engine({"DOCKER_HOST": engine.address}))
        yield engine
        engine.revive()
        rig.end()
    rig.platform = DockerPlatform(rig.place, rig.engine)


@pytest.mark.slow
def test_a_service_that_runs_on_without_its_engine_keeps_its_users(
    rig: DockerRig, engine: DyingEngine
) -> None:
    revision = rig.deploy(SERVE, rig.hold(), share="all")
    url = rig.ready(revision).url
    state = rig.platform.observe("chat", rig.stop)
    assert isinstance(state, ServiceState)
    engine.die()
    died = time.monotonic()
    while time.monotonic() - died < AWAY_S:
        assert get(state.url) == get(url) == (200, revision.name)
        time.sleep(0.1)
    engine.revive()
    rig.ready(revision)
    assert get(state.url) == (200, revision.name)
    get(url, "/exit?9")
    assert rig.dead(revision).fault.value == "9"


@pytest.mark.slow
def test_what_ends_without_its_engine_is_lost_and_the_host_goes_on(
    rig: DockerRig, engine: DyingEngine
) -> None:
    held = rig.hold()
    revision = rig.deploy(SERVE, held, share="all")
    url = rig.ready(revision).url
    engine.die()
    get(url, "/exit?9")
    dead = rig.dead(revision)
    assert dead.fault.kind is FaultKind.UNSTABLE
    assert "is lost after" in dead.fault.summary
    assert "no Docker engine answers" in dead.fault.summary
    began = time.monotonic()
    state = rig.platform.observe("chat", rig.stop)
    assert time.monotonic() - began < 1
    assert isinstance(state, ServiceState)
    assert get(state.url)[0] == 503
    with pytest.raises(PlatformError, match="no Docker engine answers"):
        rig.deploy(SERVE, held)
    engine.revive()
    again = rig.deploy(SERVE, held, share="all")
    rig.ready(again)
    assert get(state.url) == (200, again.name)


def test_what_cannot_be_removed_is_named_with_the_command_that_does(
    rig: DockerRig, engine: DyingEngine
) -> None:
    held = rig.hold()
    revision = rig.deploy(SERVE, held, share="all")
    rig.ready(revision)
    engine.die()
    began = time.monotonic()
    with pytest.raises(PlatformError, match="is left behind: no Docker engine") as raised:
        rig.platform.down("chat", held, rig.stop)
    assert time.monotonic() - began < 5, "nobody waits for the end of what nobody could signal"
    name = rig.container(revision)
    assert raised.value.mend == f"docker rm --force --volumes {name}"
    wait_for(rig.host_has_ended)
    assert [each.name for each in rig.containers()] == [name]
    engine.revive()
    rig.platform.down("chat", held, rig.stop)
    assert rig.containers() == ()


def test_an_engine_that_only_lets_go_of_the_output_ends_nothing(
    rig: DockerRig, engine: DyingEngine
) -> None:
    revision = rig.deploy(SERVE, rig.hold(), share="all")
    url = rig.ready(revision).url
    engine.cut()
    wait_for(lambda: any("it runs on" in entry.text for entry in rig.log(revision)[0]))
    assert get(url) == (200, revision.name)
    get(url, "/exit?9")
    assert rig.dead(revision).fault.value == "9"


def test_an_engine_that_was_away_for_a_moment_tells_how_its_container_ended(
    rig: DockerRig, engine: DyingEngine
) -> None:
    revision = rig.deploy(SERVE, rig.hold(), share="all")
    url = rig.ready(revision).url
    engine.die()
    get(url, "/exit?9")
    time.sleep(0.5)  # it is asked for meanwhile, and does not answer
    engine.revive()
    assert rig.dead(revision).fault.value == "9"
