"""Images that an engine has: looked up, pulled, tagged, removed."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from loopctl.engine.connection import Engine
from loopctl.engine.errors import EngineRefusedError, NotInEngineError
from loopctl.engine.logins import login_for
from loopctl.engine.posting import nothing, posted, refuse_told
from loopctl.process import Stop

_REMOVE_LIMIT_S: Final = 60.0
_IN_USE: Final = 409


@dataclass(frozen=True, slots=True)
class Image:
    """An image. `id` is `sha256:…` over its configuration, and with it over all its layers.

    `tags` are `repository:tag`, `digests` `repository@sha256:…`: an image that has none of the
    latter was never pulled and never pushed.
    """

    id: str
    created: datetime
    tags: tuple[str, ...]
    digests: tuple[str, ...]
    labels: Mapping[str, str]


def find_image(engine: Engine, name: str, stop: Stop) -> Image | None:
    """The image of that name, digest or id; None when the engine has none. Raises `EngineError`."""
    try:
        with engine.api(stop) as api:
            return _image(api.inspect_image(name))
    except NotInEngineError:
        return None


def labelled_images(engine: Engine, labels: Mapping[str, str], stop: Stop) -> tuple[Image, ...]:
    """The images that bear all of these labels, the newest first. Raises `EngineError`."""
    wanted = [f"{name}={value}" for name, value in labels.items()]
    with engine.api(stop) as api:
        listed = api.images(filters={"label": wanted})
        found = [_image(api.inspect_image(each["Id"])) for each in listed]
    return tuple(sorted(found, key=lambda image: image.created, reverse=True))


def pull_image(engine: Engine, name: str, stop: Stop) -> None:
    """Fetch the newest image of that name. Raises `EngineError` where the registry has none."""
    repository, tag = _parted(name)
    asked, login = {"fromImage": repository, "tag": tag}, login_for(engine, repository)
    with posted(engine, "/images/create", asked, login, nothing, stop) as answers:
        for told in answers:
            refuse_told(told, name)


def tag_image(engine: Engine, image: str, repository: str, tag: str, stop: Stop) -> None:
    """Give an image one more name. Raises `EngineError`."""
    with engine.api(stop) as api:
        api.tag(image, repository, tag, force=True)


def untag_image(engine: Engine, name: str, stop: Stop) -> None:
    """Take one name away; with its last name an image goes. Raises `EngineError`."""
    with engine.api(stop, _REMOVE_LIMIT_S) as api:
        api.remove_image(name)


def is_used(engine: Engine, image: Image, stop: Stop) -> bool:
    """Whether any container was made of it, running or not. Raises `EngineError`."""
    with engine.api(stop) as api:
        return bool(api.containers(all=True, filters={"ancestor": image.id}))


def remove_image(engine: Engine, image: Image, names: Collection[str], stop: Stop) -> bool:
    """Take those of its tags away, and then the image itself if none is left; whether it went.

    One that a container uses keeps all of its names: with the last tag of a repository goes the
    digest that a revision is started from. Raises `EngineError`.
    """
    if is_used(engine, image, stop):
        return False
    for name in image.tags:
        if name in names:
            with contextlib.suppress(NotInEngineError):
                untag_image(engine, name, stop)
    if not set(image.tags) <= set(names):
        return False
    try:
        untag_image(engine, image.id, stop)
    except NotInEngineError:
        return True
    except EngineRefusedError as error:
        if error.status == _IN_USE:
            return False
        raise
    return True


def _parted(name: str) -> tuple[str, str]:
    """Repository and tag, the way the API wants them; a digest stays with neither colon lost."""
    if "@" in name:
        repository, _, digest = name.partition("@")
        return repository, digest
    head, slash, last = name.rpartition("/")
    base, colon, tag = last.partition(":")
    return f"{head}{slash}{base}", tag if colon else "latest"


def _image(found: Mapping[str, Any]) -> Image:
    config = found.get("Config") or {}
    return Image(
        id=str(found["Id"]),
        created=_when(str(found.get("Created") or "")),
        tags=tuple(found.get("RepoTags") or ()),
        digests=tuple(found.get("RepoDigests") or ()),
        labels=dict(config.get("Labels") or {}),
    )


def _when(text: str) -> datetime:
    """The engine's times have nine digits behind the second; Python takes six."""
    whole, dot, fraction = text.rstrip("Z").partition(".")
    try:
        return datetime.fromisoformat(whole + (dot + fraction[:6] if dot else "")).replace(
            tzinfo=UTC
        )
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
