"""The layers of an image, read from its export as it comes; nothing is kept on disk."""

from __future__ import annotations

import contextlib
import itertools
import json
import posixpath
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Any, Final, cast

from loopctl.engine.connection import Engine
from loopctl.engine.contents import Entry, entry_of, members, opened
from loopctl.engine.cutting import answer_cut_when_stopped
from loopctl.engine.errors import EngineGoneError, translated
from loopctl.process import Stop

_REQUEST_S: Final = 120.0
_LARGEST_JSON: Final = 16 << 20
_REMOVED: Final = ".wh."
_EMPTIED: Final = ".wh..wh..opq"


@dataclass(frozen=True, slots=True)
class Layer:
    """What one layer has of the names asked for; paths are absolute.

    `links` is where all of its symbolic links point, `removed` what it takes away of the layers
    below, `emptied` the folders that it replaces whole.
    """

    entries: Mapping[str, Entry]
    links: Mapping[str, str]
    removed: frozenset[str]
    emptied: frozenset[str]


@dataclass(frozen=True, slots=True)
class Layers:
    """An image's layers, the lowest first, and the lines of its history in their order.

    Each line stands with the number of its layer, None for one that has left none. The history
    is empty where it does not go with the layers.
    """

    layers: tuple[Layer, ...]
    history: tuple[tuple[str, int | None], ...]


@dataclass(slots=True)
class _Read:
    entries: dict[str, Entry] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)
    emptied: set[str] = field(default_factory=set)


def layers_of(engine: Engine, image: str, names: frozenset[str], stop: Stop) -> Layers:
    """All layers, the lowest first. Entries whose last name is one of `names` are told and hashed.

    Raises `EngineError`, `Stopped`.
    """
    with engine.api(stop, _REQUEST_S) as api, translated(engine.address):
        response = api.get(
            f"{api.base_url}/v{api.api_version}/images/{image}/get",
            headers={"Accept-Encoding": "identity"},
            stream=True,
            timeout=stop.remaining(_REQUEST_S),
        )
        with contextlib.closing(response):
            response.raise_for_status()
            with answer_cut_when_stopped(response, stop), opened(response) as archive:
                read, texts, same = _members(archive, names)
    return _joined(read, texts, same)


def _members(
    archive: tarfile.TarFile, names: frozenset[str]
) -> tuple[Mapping[str, _Read], Mapping[str, bytes], Mapping[str, str]]:
    read: dict[str, _Read] = {}
    texts: dict[str, bytes] = {}
    same: dict[str, str] = {}
    for member in members(archive):
        if member.issym():
            above = posixpath.dirname(member.name)
            same[member.name] = posixpath.normpath(posixpath.join(above, member.linkname))
        content = archive.extractfile(member) if member.isreg() else None
        if content is None:
            continue
        first = content.read(1)
        whole = _Again(first, content)
        if member.size <= _LARGEST_JSON and first in (b"{", b"["):
            texts[member.name] = whole.read(member.size)
            continue
        with (
            contextlib.suppress(tarfile.ReadError),
            tarfile.open(
                fileobj=cast(IO[bytes], whole),
                mode="r|*",
                encoding="utf-8",
                errors="surrogateescape",
            ) as layer,
        ):
            read[member.name] = _layer(layer, names)
    return read, texts, same


class _Again:
    """A stream of which the first byte was read already."""

    def __init__(self, first: bytes, rest: IO[bytes]) -> None:
        self._first = first
        self._rest = rest

    def read(self, size: int) -> bytes:
        """As many bytes as there are, up to `size`."""
        first, self._first = self._first, b""
        return first + self._rest.read(size - len(first))


def _layer(layer: tarfile.TarFile, names: frozenset[str]) -> _Read:
    read = _Read()
    for member in members(layer):
        path = "/" + member.name.removeprefix("./").strip("/")
        folder, name = posixpath.split(path)
        if name == _EMPTIED:
            read.emptied.add(folder)
        elif name.startswith(_REMOVED):
            read.removed.add(posixpath.join(folder, name.removeprefix(_REMOVED)))
        else:
            if member.issym():
                read.links[path] = member.linkname
            if name in names or member.islnk():
                entry = entry_of(layer, member, is_wanted=name in names)
                if member.islnk():
                    entry = read.entries.get("/" + member.linkname.strip("/"), entry)
                read.entries[path] = entry
    return read


def _joined(
    read: Mapping[str, _Read], texts: Mapping[str, bytes], same: Mapping[str, str]
) -> Layers:
    """In the order of the manifest."""
    try:
        manifest = json.loads(texts["manifest.json"])[0]
        config = json.loads(texts[manifest["Config"]])
        found = [read[same.get(path, path)] for path in manifest["Layers"]]
    except (KeyError, IndexError, TypeError, ValueError) as error:
        what = f"the engine's export of the image is not understood: {error!r}"
        raise EngineGoneError(what) from None
    layers = tuple(
        Layer(each.entries, each.links, frozenset(each.removed), frozenset(each.emptied))
        for each in found
    )
    return Layers(layers, _history(config.get("history") or (), len(layers)))


def _history(lines: Sequence[Mapping[str, Any]], layers: int) -> tuple[tuple[str, int | None], ...]:
    numbers = itertools.count()
    history = tuple(
        (str(line.get("created_by") or ""), None if line.get("empty_layer") else next(numbers))
        for line in lines
    )
    return history if next(numbers) == layers else ()
