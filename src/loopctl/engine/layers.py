"""The layers of an image, read from its export as it comes; nothing is kept on disk."""

from __future__ import annotations

import contextlib
import json
import posixpath
import tarfile
from collections.abc import Mapping
from typing import IO, Final, cast

from loopctl.engine.connection import Engine
from loopctl.engine.contents import opened
from loopctl.engine.cutting import answer_cut_when_stopped
from loopctl.engine.entries import members
from loopctl.engine.errors import EngineGoneError, translated
from loopctl.engine.layer_tar import Layer, Layers, history_of, read_layer
from loopctl.process import Stop

_REQUEST_S: Final = 120.0
_LARGEST_JSON: Final = 16 << 20


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
) -> tuple[Mapping[str, Layer], Mapping[str, bytes], Mapping[str, str]]:
    read: dict[str, Layer] = {}
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
            read[member.name] = read_layer(layer, names)
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


def _joined(
    read: Mapping[str, Layer], texts: Mapping[str, bytes], same: Mapping[str, str]
) -> Layers:
    """In the order of the manifest."""
    try:
        manifest = json.loads(texts["manifest.json"])[0]
        config = json.loads(texts[manifest["Config"]])
        found = [read[same.get(path, path)] for path in manifest["Layers"]]
    except (KeyError, IndexError, TypeError, ValueError) as error:
        what = f"the engine's export of the image is not understood: {error!r}"
        raise EngineGoneError(what) from None
    return Layers(tuple(found), history_of(config.get("history") or (), len(found)))
