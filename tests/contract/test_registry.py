"""What is pushed is what was built, and a push that fails is an error that says why."""

from __future__ import annotations

import json
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from engine_rig import BASE, real_engine, real_registry
from registry_rig import own_registry

from loopctl.builders.registry import RegistryPublisher
from loopctl.engine.connection import Engine
from loopctl.engine.images import find_image, remove_image
from loopctl.errors import Stopped
from loopctl.model.artifact import Artifact, ArtifactKind
from loopctl.ports.publisher import PublishError
from loopctl.process import Stop

MADE = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def engine() -> Engine:
    return real_engine()


@pytest.fixture
def artifact(engine: Engine) -> Iterator[Artifact]:
    """A tiny image that no other test has."""
    with engine.api(Stop(30)) as api:
        made = api.create_container(BASE, ["true"], labels={"test": str(time.monotonic_ns())})["Id"]
        change = f"LABEL unique={time.monotonic_ns()}"
        image = api.commit(made, "lc-test-push", "made", changes=[change])["Id"]
        api.remove_container(made)
    yield Artifact("chat", ArtifactKind.IMAGE, image, image, "sha256:" + "ab" * 32, MADE)
    found = find_image(engine, image, Stop(30))
    if found is not None:
        assert remove_image(engine, found, found.tags, Stop(30))


def publisher(engine: Engine, address: str) -> RegistryPublisher:
    return RegistryPublisher(engine, f"{address}/tests/push/", lambda prefix, stop: None)


def names(engine: Engine, artifact: Artifact) -> tuple[str, ...]:
    found = find_image(engine, artifact.image_id or artifact.digest, Stop(10))
    assert found is not None
    return tuple(name for name in found.tags if name != "lc-test-push:made") + found.digests


def test_what_was_pushed_is_deployed_by_the_registrys_own_digest(
    engine: Engine, artifact: Artifact
) -> None:
    address = real_registry()
    published = publisher(engine, address).publish(artifact, Stop(60))
    assert published.image_id == artifact.digest
    assert published.location == f"{address}/tests/push/chat@{published.digest}"
    accept = {"Accept": "application/vnd.docker.distribution.manifest.v2+json"}
    url = f"http://{address}/v2/tests/push/chat/manifests/{published.digest}"
    with urllib.request.urlopen(urllib.request.Request(url, headers=accept), timeout=5) as answer:
        assert answer.headers["Docker-Content-Digest"] == published.digest
        assert json.load(answer)["config"]["digest"] == artifact.digest


def test_pushing_the_same_image_again_changes_nothing(engine: Engine, artifact: Artifact) -> None:
    with own_registry() as registry:
        first = publisher(engine, registry.address).publish(artifact, Stop(60))
        assert publisher(engine, registry.address).publish(artifact, Stop(60)) == first


def test_a_registry_that_is_down_is_named_and_leaves_no_tag(
    engine: Engine, artifact: Artifact
) -> None:
    with own_registry() as registry:
        registry.kill()
        with pytest.raises(PublishError, match="connection refused") as raised:
            publisher(engine, registry.address).publish(artifact, Stop(60))
    assert raised.value.where == f"{registry.address}/tests/push"
    assert "see that the registry is up" in str(raised.value)
    assert names(engine, artifact) == ()


def test_a_registry_that_refuses_is_quoted(engine: Engine, artifact: Artifact) -> None:
    with (
        own_registry(read_only=True) as registry,
        pytest.raises(PublishError, match=r"did not take the image: .*(405|unsupported)"),
    ):
        publisher(engine, registry.address).publish(artifact, Stop(60))
    assert names(engine, artifact) == ()


@pytest.mark.slow  # the engine tries five times, ever more slowly
def test_a_registry_that_is_full_fails_the_push(engine: Engine, artifact: Artifact) -> None:
    with own_registry(megabytes=4) as registry, pytest.raises(PublishError, match="did not take"):
        publisher(engine, registry.address).publish(artifact, Stop(120))
    assert names(engine, artifact) == ()


def test_a_push_into_silence_ends_when_it_is_stopped(engine: Engine, artifact: Artifact) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        stop = Stop(60)
        timer = threading.Timer(0.5, stop.stop, ["SIGINT"])
        timer.start()
        began = time.monotonic()
        with pytest.raises(Stopped):
            publisher(engine, address).publish(artifact, stop)
        timer.join()
        assert time.monotonic() - began < 3
    assert names(engine, artifact) == ()


def test_an_image_that_is_not_there_is_not_pushed(engine: Engine, artifact: Artifact) -> None:
    absent = replace(artifact, digest="sha256:" + "0" * 64)
    with own_registry() as registry, pytest.raises(PublishError, match=r"(?i)no such image"):
        publisher(engine, registry.address).publish(absent, Stop(60))
