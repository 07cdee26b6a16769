"""One layer of an image, as its tar tells of it: what it has, and what it takes away."""

from __future__ import annotations

import itertools
import posixpath
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from loopctl.engine.entries import Entry, entry_of, members

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


def read_layer(layer: tarfile.TarFile, names: frozenset[str] | None) -> Layer:
    """All of a layer; of its entries those whose last name is one of `names`, hashed.

    None asks for every entry. A name with `..` in it leads no higher than the root.
    """
    read = _Read()
    for member in members(layer):
        _take(layer, member, names, read)
    return Layer(read.entries, read.links, frozenset(read.removed), frozenset(read.emptied))


def _take(
    layer: tarfile.TarFile, member: tarfile.TarInfo, names: frozenset[str] | None, read: _Read
) -> None:
    path = _absolute(member.name)
    folder, name = posixpath.split(path)
    if name == _EMPTIED:
        read.emptied.add(folder)
        return
    if name.startswith(_REMOVED):
        read.removed.add(_absolute(posixpath.join(folder, name.removeprefix(_REMOVED))))
        return
    # What comes again under its name replaces what was there.
    read.links.pop(path, None)
    if member.issym():
        read.links[path] = member.linkname
    is_wanted = names is None or name in names
    if is_wanted or member.islnk():
        entry = entry_of(layer, member, is_wanted)
        if member.islnk():
            entry = read.entries.get(_absolute(member.linkname), entry)
        read.entries[path] = entry


def _absolute(name: str) -> str:
    return posixpath.normpath("/" + name.lstrip("/"))


def history_of(
    lines: Sequence[Mapping[str, Any]], layers: int
) -> tuple[tuple[str, int | None], ...]:
    """The lines of a configuration's history with the layers they made, where the two go together.

    Empty where they do not.
    """
    numbers = itertools.count()
    history = tuple(
        (str(line.get("created_by") or ""), None if line.get("empty_layer") else next(numbers))
        for line in lines
    )
    return history if next(numbers) == layers else ()
