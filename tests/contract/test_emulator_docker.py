"""Revisions as real containers: by tag and by digest, out of memory, and gone in the end."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import docker
import docker.errors
import pytest
from emulator_rig import Asker, asking, emulating, entries, fetch, short, texts
from engine_rig import BASE, real_engine, real_registry

from emulator.run_docker_orphans import OWNER, owner
from emulator.run_runtime_docker import LABEL, DockerRuntime
from emulator.server import Emulator

SYSTEM = "run.googleapis.com%2Fvarlog%2Fsystem"
APP = Path(__file__).with_name("emulator_app.py").read_text("utf-8")
RUN = {"command": ["python3", "-c", APP]}


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    real_engine()
    with emulating(runtime=DockerRuntime()) as running:
        yield running


@pytest.fixture
def api(emulator: Emulator) -> Iterator[Asker]:
    with asking(emulator, "grpc") as asker:
        yield asker


@pytest.fixture
def engine() -> Iterator[Any]:
    real_engine()
    with closing(docker.from_env()) as client:
        yield client


@pytest.fixture
def pushed(engine: Any) -> Iterator[str]:
    """A tag in the registry that the engine does not have itself."""
    name = f"{real_registry()}/emulator-{uuid.uuid4().hex[:8]}"
    engine.images.get(BASE).tag(name, "1")
    engine.images.push(name, "1")
    engine.images.remove(f"{name}:1")
    yield f"{name}:1"
    for image in engine.images.list(name):
        for reference in (*image.attrs["RepoTags"], *image.attrs["RepoDigests"]):
            if reference.startswith(name):
                with suppress(docker.errors.ImageNotFound):  # with its tag a digest may have gone
                    engine.images.remove(reference)


def test_an_image_is_pulled_and_its_tag_resolved(api: Asker, pushed: str) -> None:
    made = api.created("chat", image=pushed, container=RUN)
    image = api.revision(made.latest_ready_revision).containers[0].image
    assert image.startswith(f"{pushed.removesuffix(':1')}@sha256:")
    assert made.template.containers[0].image == pushed
    seen = fetch(f"{made.uri}/environment").json()
    assert (seen["PORT"], seen["K_SERVICE"]) == ("8080", "chat")
    by_digest = api.created("chat-two", image=image, container=RUN)
    assert api.revision(by_digest.latest_ready_revision).containers[0].image == image


def test_containers_are_labelled_and_end_with_the_emulator(engine: Any) -> None:
    with emulating(runtime=DockerRuntime()) as emulator, asking(emulator, "grpc") as api:
        made = api.created("chat", image=BASE, container=RUN)
        label = {"label": f"{LABEL}={short(made.latest_ready_revision)}"}
        assert len(engine.containers.list(filters=label)) == 1
        api.services.delete_service(name=made.name)
        failed = api.create("bad", image=BASE, env={"EXIT": "3"}, container=RUN)
        api.failure(failed)
    assert engine.containers.list(all=True, filters=label) == []
    bad = {"label": f"{LABEL}={short(emulator.state.service('bad').latest_created_revision)}"}
    assert engine.containers.list(all=True, filters=bad) == []


def test_what_a_killed_emulator_left_is_removed_by_the_next(engine: Any) -> None:
    dead, alive = f"{owner()}0", owner()
    left = [
        engine.containers.create(BASE, labels={OWNER: label}) for label in (dead, alive, "another")
    ]
    try:
        DockerRuntime().close()
        remaining = {one.id for one in engine.containers.list(all=True, filters={"label": OWNER})}
        assert [one.id in remaining for one in left] == [False, True, True]
    finally:
        for one in left[1:]:
            one.remove()


def test_a_crash_in_a_container_is_told_as_everywhere(emulator: Emulator, api: Asker) -> None:
    said = {"SAY": "out", "SAY_ERROR": "no such table", "EXIT": "3"}
    api.failure(api.create("chat", image=BASE, env=said, container=RUN))
    assert {"out", "no such table"} <= set(texts(emulator))
    _, called, probe = entries(emulator, SYSTEM)
    assert called.text_payload == "Container called exit(3)."
    assert probe.text_payload.endswith("Connection failed with status CANCELLED.")


def test_an_image_that_no_registry_has(api: Asker) -> None:
    image = f"{real_registry()}/emulator-none:1"
    assert f"Image '{image}' not found." in str(api.failure(api.create("a", image=image)).message)


def test_a_program_that_the_image_has_not(emulator: Emulator, api: Asker) -> None:
    api.failure(api.create("chat", image=BASE, container={"command": ["uvicornn"]}))
    assert any('error finding executable "uvicornn"' in text for text in texts(emulator, SYSTEM))


@pytest.mark.slow
def test_a_container_that_eats_more_than_its_memory_is_killed(
    emulator: Emulator, api: Asker
) -> None:
    limited = {**RUN, "resources": {"limits": {"memory": "64Mi"}}}
    api.failure(api.create("chat", image=BASE, env={"EAT_MIB": "200"}, container=limited))
    assert any(
        text.startswith("Memory limit of 64 MiB exceeded with ") for text in texts(emulator, SYSTEM)
    )
