"""What a registry's documents say of an image. Pure; nothing is believed that has another digest.

https://specs.opencontainers.org/image-spec/ and Docker's schema 2, which it was made from.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from loopctl.builders.registry_errors import NotAsNamedError, UnreadableError
from loopctl.engine.entries import Facts
from loopctl.inert import one_line

PLATFORM: Final = "linux/amd64"
_OCI: Final = "application/vnd.oci.image."
_DOCKER: Final = "application/vnd.docker.distribution.manifest."
_INDEXES: Final = (f"{_OCI}index.v1+json", f"{_DOCKER}list.v2+json")
_MANIFESTS: Final = (f"{_OCI}manifest.v1+json", f"{_DOCKER}v2+json")
#: What is asked for; a registry that has something else says so.
ACCEPTED: Final = ", ".join([*_MANIFESTS, *_INDEXES])
MOST_MANIFEST: Final = 4 << 20
MOST_CONFIG: Final = 16 << 20
_MOST_LAYERS: Final = 512
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_NAMED: Final = 5


@dataclass(frozen=True, slots=True)
class Blob:
    """A blob of a registry: `size` bytes whose hash is `digest`."""

    media_type: str
    digest: str
    size: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """One image: its configuration, and its layers, the lowest first."""

    digest: str
    config: Blob
    layers: tuple[Blob, ...]
    annotations: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Choice:
    """The image that an index has for our platform, and how many others there are."""

    digest: str
    others: int
    annotations: Mapping[str, str]


def verified(body: bytes, digest: str, what: str) -> bytes:
    """The same bytes. Raises `NotAsNamedError` where their hash is another."""
    found = f"sha256:{hashlib.sha256(body).hexdigest()}"
    if found != digest:
        raise NotAsNamedError(f"{what} is not {digest}: what the registry gives is {found}")
    return body


def read_manifest(body: bytes, digest: str) -> Manifest | Choice:
    """A manifest; of an index the image that is for linux/amd64.

    Raises `UnreadableError` for what is neither, or has no such image.
    """
    told = _object(body, f"the manifest {digest}")
    media_type = str(told.get("mediaType") or "")
    if media_type in _INDEXES or (not media_type and "manifests" in told):
        return _chosen(told, digest)
    if media_type not in (*_MANIFESTS, "") or "config" not in told:
        kind = one_line(media_type, limit=80) or f"schema {told.get('schemaVersion')}"
        raise UnreadableError(
            f"{digest} is no image that can be read ({kind})",
            hint="push the image with an engine or builder of this decade",
        )
    layers = tuple(_blob(each, "a layer") for each in _objects(told.get("layers")))
    if len(layers) > _MOST_LAYERS:
        raise UnreadableError(f"{digest} has {len(layers)} layers, at most {_MOST_LAYERS} are read")
    config = _blob(_mapping(told.get("config")), "the configuration")
    return Manifest(digest, config, layers, _texts(told.get("annotations")))


def _chosen(index: Mapping[str, Any], digest: str) -> Choice:
    """The first for our platform, as engines choose."""
    platforms: list[str] = []
    found: str | None = None
    for each in _objects(index.get("manifests")):
        place = _mapping(each.get("platform"))
        name = f"{place.get('os', '')}/{place.get('architecture', '')}"
        if name == "unknown/unknown":
            continue  # BuildKit's attestations stand among the images
        platforms.append(name)
        if name == PLATFORM and found is None:
            found = _blob(each, "a manifest").digest
    if found is None:
        named = ", ".join(one_line(name, limit=40) for name in platforms[:_NAMED]) or "none"
        raise UnreadableError(
            f"the index {digest} has no image for {PLATFORM}: it has {named}",
            hint=f"build the image for {PLATFORM} too, and name the new digest",
        )
    return Choice(found, len(platforms) - 1, _texts(index.get("annotations")))


def read_config(body: bytes, manifest: Manifest) -> Mapping[str, Any]:
    """An image's configuration. Raises `UnreadableError` where it is none of these layers."""
    told = _object(body, f"the configuration {manifest.config.digest}")
    ids = diff_ids(told)
    if len(ids) != len(manifest.layers) or not all(map(_DIGEST.fullmatch, ids)):
        raise UnreadableError(
            f"the configuration {manifest.config.digest} names {len(ids)} layers, the manifest "
            f"{len(manifest.layers)}"
        )
    return told


def diff_ids(config: Mapping[str, Any]) -> tuple[str, ...]:
    """The digests of the unpacked layers, the lowest first."""
    ids = _mapping(config.get("rootfs")).get("diff_ids")
    return tuple(map(str, ids)) if isinstance(ids, list) else ()


def history(config: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The lines of an image's history, the oldest first."""
    return _objects(config.get("history"))


def facts_of(config: Mapping[str, Any], manifest: Manifest, location: str) -> Facts:
    """The same that an engine tells of an image that it has."""
    run = _mapping(config.get("config"))
    pairs = (str(each).partition("=") for each in run.get("Env") or ())
    return Facts(
        id=manifest.config.digest,
        env={key: value for key, _, value in pairs},
        workdir=str(run.get("WorkingDir") or ""),
        labels=_texts(run.get("Labels")),
        onbuild=tuple(map(str, run.get("OnBuild") or ())),
        layers=diff_ids(config),
        digests=(location,),
        platform=f"{config.get('os', 'linux')}/{config.get('architecture', '')}",
        times=tuple(_seconds(line.get("created")) for line in history(config)),
    )


def _blob(told: Mapping[str, Any], what: str) -> Blob:
    digest, size = str(told.get("digest", "")), told.get("size")
    if _DIGEST.fullmatch(digest) is None or not isinstance(size, int) or size < 0:
        raise UnreadableError(f"{what} is named {one_line(digest, limit=80)!r}, of {size!r} bytes")
    if told.get("urls"):
        raise UnreadableError(f"{what} ({digest}) is to be had elsewhere, which no Linux image has")
    return Blob(str(told.get("mediaType") or ""), digest, size)


def _object(body: bytes, what: str) -> Mapping[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise UnreadableError(f"{what} is no JSON object")
    return found


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _objects(value: object) -> Sequence[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _texts(value: object) -> Mapping[str, str]:
    return {str(key): str(text) for key, text in _mapping(value).items()}


def _seconds(created: object) -> int:
    """Of the history's times only the seconds count; one that is none is of 1970."""
    try:
        text = str(created).partition(".")[0].removesuffix("Z")
        return int(datetime.fromisoformat(f"{text[:19]}+00:00").timestamp())
    except ValueError:
        return 0
