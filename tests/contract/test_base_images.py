"""The images that a build stands on are as new as in their registry, or it is said why not."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from engine_rig import BASE, real_engine
from registry_rig import Registry, own_registry

from loopctl.builders.base_images import renew_bases
from loopctl.builders.image_shelf import KEPT_IMAGES, ImageShelf
from loopctl.engine.connection import Engine
from loopctl.engine.images import find_image, labelled_images, remove_image, untag_image
from loopctl.engine.push import push_image
from loopctl.errors import Stopped
from loopctl.model.artifact import SourceFile, SourceTree
from loopctl.ports.builder import BuilderGoneError, Noticed
from loopctl.process import Stop

PROJECT = f"test-{os.getpid()}"
SOURCE = SourceTree(Path("unused"), (SourceFile("a", "b", "100644"),), "sha256:" + "cd" * 32)
_numbers = itertools.count()


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = real_engine()
    yield engine
    for image in labelled_images(engine, {"dev.loopctl.project": PROJECT}, Stop(30)):
        assert remove_image(engine, image, image.tags, Stop(30))


@pytest.fixture
def registry() -> Iterator[Registry]:
    with own_registry() as made:
        yield made


def an_image(engine: Engine, **labels: str) -> str:
    """A new image that no other is the same as."""
    marked = {"dev.loopctl.project": PROJECT, "number": str(next(_numbers)), **labels}
    with engine.api(Stop(30)) as api:
        made = api.create_container(BASE, ["true"])["Id"]
        changes = [f"LABEL {name}={value}" for name, value in marked.items()]
        service = labels.get("dev.loopctl.service", "base")
        name = (f"loopctl-{PROJECT}/{service}", marked["number"])
        image = api.commit(made, *name, changes=changes)
        api.remove_container(made)
        return str(image["Id"])


def pushed(engine: Engine, image: str, name: str) -> None:
    """The registry has it under that name, and the engine does not know it by that name."""
    repository, _, tag = name.rpartition(":")
    push_image(engine, image, repository, tag, Stop(60))
    untag_image(engine, name, Stop(10))


def renewed(engine: Engine, name: str) -> list[str]:
    told: list[Noticed] = []
    renew_bases(engine, [name], told.append, Stop(60))
    return [each.text for each in told]


def test_a_base_that_was_moved_in_its_registry_is_fetched_anew(
    engine: Engine, registry: Registry
) -> None:
    name = f"{registry.address}/base:1"
    old, new = an_image(engine), an_image(engine)
    pushed(engine, old, name)
    assert renewed(engine, name) == []
    held = find_image(engine, name, Stop(10))
    assert held is not None
    assert held.id == old
    pushed(engine, new, f"{registry.address}/base:2")
    # Somebody moves the tag, from another machine.
    push_image(engine, new, f"{registry.address}/base", "1", Stop(60))
    with engine.api(Stop(10)) as api:
        api.tag(old, f"{registry.address}/base", "1", force=True)
    assert renewed(engine, name) == []
    held = find_image(engine, name, Stop(10))
    assert held is not None
    assert held.id == new


def test_a_base_of_this_engine_only_is_used_and_told(engine: Engine) -> None:
    image = an_image(engine)
    name = next(iter(found.tags)) if (found := find_image(engine, image, Stop(10))) else ""
    (told,) = renewed(engine, name)
    assert told.startswith(f"the base image {name} exists in this engine only ({image[:19]}, made ")


@pytest.mark.slow
def test_a_base_whose_registry_is_down_is_used_as_it_is_and_told(
    engine: Engine, registry: Registry
) -> None:
    name = f"{registry.address}/base:1"
    image = an_image(engine)
    pushed(engine, image, name)
    renewed(engine, name)
    registry.kill()
    (told,) = renewed(engine, name)
    assert told.startswith(f"the base image {name} could not be renewed, {image[:19]}, made ")
    assert "connection refused" in told


def test_a_base_that_cannot_be_had_is_named_with_what_the_registry_said(
    engine: Engine, registry: Registry
) -> None:
    name = f"{registry.address}/nobody:1"
    with pytest.raises(BuilderGoneError, match="manifest unknown") as raised:
        renewed(engine, name)
    assert f"the base image {name} cannot be had" in raised.value.what


def test_a_base_pinned_by_digest_is_not_asked_for_again(engine: Engine, registry: Registry) -> None:
    image = an_image(engine)
    digest = push_image(engine, image, f"{registry.address}/base", "1", Stop(60))
    registry.kill()
    assert renewed(engine, f"{registry.address}/base@{digest}") == []


def test_whoever_stops_the_run_stops_the_fetching(engine: Engine, registry: Registry) -> None:
    stop = Stop(60)
    stop.stop("SIGINT")
    with pytest.raises(Stopped):
        renew_bases(engine, [f"{registry.address}/base:1"], print, stop)


def test_only_the_newest_images_of_a_service_are_kept_and_nobody_elses_are_touched(
    engine: Engine,
) -> None:
    shelf = ImageShelf(engine, PROJECT)
    labels = shelf.labels("chat", SOURCE)
    ours = [an_image(engine, **labels) for _ in range(KEPT_IMAGES + 2)]
    theirs = an_image(engine, **shelf.labels("auth", SOURCE))
    shelf.prune("chat", Stop(60))
    assert [image for image in ours if find_image(engine, image, Stop(10))] == ours[2:]
    assert find_image(engine, theirs, Stop(10)) is not None


def test_an_image_that_a_container_uses_is_kept(engine: Engine) -> None:
    shelf = ImageShelf(engine, PROJECT)
    labels = shelf.labels("chat", SOURCE)
    used = an_image(engine, **labels)
    with engine.api(Stop(30)) as api:
        container = api.create_container(used, ["true"])["Id"]
    try:
        newer = [an_image(engine, **labels) for _ in range(KEPT_IMAGES)]
        shelf.prune("chat", Stop(60))
        assert find_image(engine, used, Stop(10)) is not None
        assert all(find_image(engine, image, Stop(10)) for image in newer)
    finally:
        with engine.api(Stop(30)) as api:
            api.remove_container(container)


def test_an_image_with_a_name_that_somebody_else_gave_it_is_kept_with_all_of_its_names(
    engine: Engine,
) -> None:
    shelf = ImageShelf(engine, PROJECT)
    labels = shelf.labels("chat", SOURCE)
    released = an_image(engine, **labels)
    with engine.api(Stop(10)) as api:
        api.tag(released, "lc-test-release", "1.0")
    for _ in range(KEPT_IMAGES):
        an_image(engine, **labels)
    shelf.prune("chat", Stop(60))
    held = find_image(engine, "lc-test-release:1.0", Stop(10))
    assert held is not None
    assert held.id == released


@pytest.mark.slow
def test_a_pushed_image_that_a_container_uses_can_still_be_started_by_its_digest(
    engine: Engine, registry: Registry
) -> None:
    shelf = ImageShelf(engine, PROJECT)
    labels = shelf.labels("chat", SOURCE)
    image = an_image(engine, **labels)
    repository = f"{registry.address}/apps/chat"
    digest = push_image(engine, image, repository, "tree-0123456789ab", Stop(60))
    with engine.api(Stop(30)) as api:
        container = api.create_container(f"{repository}@{digest}", ["true"])["Id"]
    try:
        for _ in range(KEPT_IMAGES):
            an_image(engine, **labels)
        shelf.prune("chat", Stop(60))
        held = find_image(engine, f"{repository}@{digest}", Stop(10))
        assert held is not None
        assert held.id == image
    finally:
        with engine.api(Stop(30)) as api:
            api.remove_container(container)
