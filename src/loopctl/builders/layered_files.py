"""The files of an image, put together of its layers as an engine does it. Pure."""

from __future__ import annotations

import bisect
import posixpath
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from loopctl.builders.copied_names import followed
from loopctl.builders.image_reader import Files
from loopctl.builders.registry_errors import UnreadableError
from loopctl.engine.entries import Entry
from loopctl.engine.layer_tar import Layer
from loopctl.inert import one_line

_FOLDER: Final = Entry("folder", 0o755)
_NOTHING: Final = Entry("nothing", 0)


class LayeredFiles(Files):
    """What is there when all layers lie one upon the other, the lowest first.

    What a layer has hides what is below it: a file all that a folder of its name had, a whiteout
    what it names. A folder that a layer does not name, but has something in, is a folder. Raises
    `UnreadableError` for layers of which engines make different things.
    """

    def __init__(self, layers: Sequence[Layer]) -> None:
        self._entries: dict[str, Entry] = {}
        self._links: dict[str, str] = {}
        self._merge(layers)
        self._paths = sorted(self._entries)

    def read(self, path: str, wanted: Callable[[str], bool]) -> Mapping[str, Entry]:
        """Everything is hashed in the layers; what is not `wanted` comes without, as elsewhere."""
        whole = followed(path, self._links)
        if whole is not None and self._is_folder(f"/{whole}"):
            base, own = f"/{whole}".rstrip("/"), path.rstrip("/")
            below = ((f"{own}{each[len(base) :]}", each) for each in self._below(base))
            return {where: self._told(each, where, wanted) for where, each in below}
        itself = followed(path, self._links, last=False)
        if itself is None or f"/{itself}" not in self._entries:
            return {}
        return {path: self._told(f"/{itself}", path, wanted)}

    def _told(self, path: str, where: str, wanted: Callable[[str], bool]) -> Entry:
        entry = self._entries[path]
        return entry if entry.kind != "file" or wanted(where) else replace(entry, blob="")

    def _is_folder(self, path: str) -> bool:
        return path == "/" or self._entries.get(path, _NOTHING).kind == "folder"

    def _below(self, folder: str) -> Iterator[str]:
        prefix = f"{folder}/"
        for at in range(bisect.bisect_left(self._paths, prefix), len(self._paths)):
            if not self._paths[at].startswith(prefix):
                return
            yield self._paths[at]

    def _merge(self, layers: Sequence[Layer]) -> None:
        """From the top down: what was found already hides what comes."""
        hidden = _Hidden()
        for layer in reversed(layers):
            _refuse_unclear(layer)
            for path, entry in layer.entries.items():
                if path != "/" and not hidden.hides(path, entry, self._entries):
                    self._entries[path] = entry
                    if entry.kind == "link":
                        self._links[path[1:]] = layer.links[path]
            hidden.add(layer)
        for path in hidden.implied - self._entries.keys() - {"/"}:
            self._entries[path] = _FOLDER


@dataclass(slots=True)
class _Hidden:
    """What the layers so far leave to be seen of those below them.

    `gone` are paths that were removed, `closed` those below which nothing is seen, `implied` the
    folders that something lies in.
    """

    gone: set[str] = field(default_factory=set)
    closed: set[str] = field(default_factory=set)
    implied: set[str] = field(default_factory=set)

    def hides(self, path: str, entry: Entry, known: Mapping[str, Entry]) -> bool:
        if path in self.gone or path in known or _is_below(path, self.closed):
            return True
        if path in self.implied and entry.kind != "folder":
            raise _unclear(path)
        return False

    def add(self, layer: Layer) -> None:
        self.gone |= layer.removed
        for path in layer.entries:
            if path not in self.implied and not _is_below(path, self.closed):
                self.implied.update(_above(path))
        self.closed |= layer.removed | layer.emptied
        self.closed.update(p for p, entry in layer.entries.items() if entry.kind != "folder")


def _refuse_unclear(layer: Layer) -> None:
    """Raise where engines differ in what becomes of a layer: no builder makes such a one."""
    files = {path for path, entry in layer.entries.items() if entry.kind != "folder"}
    for path in layer.entries:
        if path in layer.removed or _is_below(path, files):
            raise _unclear(path)


def _unclear(path: str) -> UnreadableError:
    return UnreadableError(
        f"what is at {one_line(path, limit=200)} in the image depends on who unpacks it: its "
        "layers go through a link, or a file, as if it were a folder",
        hint="build the image with BuildKit, or ask for `provenance: label`",
    )


def _above(path: str) -> Iterator[str]:
    while path != "/":
        path = posixpath.dirname(path)
        yield path


def _is_below(path: str, closed: Collection[str]) -> bool:
    return any(above in closed for above in _above(path))
