"""What a container has of its own over the files of its image."""

from __future__ import annotations

import base64
import json
import posixpath
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final

from loopctl.engine.connection import Engine
from loopctl.engine.errors import EngineGoneError, EngineRefusedError, translated
from loopctl.inert import one_line
from loopctl.process import Stop

if TYPE_CHECKING:
    from docker import APIClient

_CALL_S: Final = 15.0
_NOT_FOUND: Final = 404
# Go's os.FileMode has these bits where no stat(2) has them.
_GO_FOLDER: Final = 1 << 31
_GO_LINK: Final = 1 << 27


class Kind(IntEnum):
    """How a path differs from the image; the numbers are the engine's."""

    CHANGED = 0
    ADDED = 1
    DELETED = 2


@dataclass(frozen=True, slots=True)
class Change:
    """A path, links resolved, and what became of it. A folder changes with what is put into it."""

    path: str
    kind: Kind


def changes_of(engine: Engine, container: str, stop: Stop) -> tuple[Change, ...]:
    """All that the container has changed, by path; volumes are not seen. Raises `EngineError`."""
    with engine.api(stop) as api:
        told = api.diff(container) or ()
    found = [Change(str(each["Path"]), Kind(int(each["Kind"]))) for each in told]
    return tuple(sorted(found, key=lambda change: change.path))


def mounts_of(engine: Engine, container: str, stop: Stop) -> tuple[str, ...]:
    """Where volumes and folders from outside are mounted, absolute. Raises `EngineError`."""
    with engine.api(stop) as api:
        mounts = api.inspect_container(container).get("Mounts") or ()
    return tuple(sorted({posixpath.normpath(str(each["Destination"])) for each in mounts}))


class Paths:
    """What is at the paths of a container, as it is now: see `paths_of`."""

    def __init__(self, api: APIClient, address: str, container: str, stop: Stop) -> None:
        self._api = api
        self._address = address
        self._container = container
        self._stop = stop

    def is_there(self, path: str) -> bool:
        """Whether anything is at that path. Raises `EngineError`."""
        return self._told(path) is not None

    def is_folder(self, path: str) -> bool:
        """Whether a folder is at that path, and no link to one. Raises `EngineError`."""
        return _is(self._told(path), _GO_FOLDER)

    def is_link(self, path: str) -> bool:
        """Whether a link is at that path. Raises `EngineError`."""
        return _is(self._told(path), _GO_LINK)

    def real(self, path: str) -> str:
        """Where a path leads through the links of the container. Raises `EngineError`."""
        done = "/"
        for name in path.split("/"):
            done = posixpath.normpath(posixpath.join(done, name))
            told = self._told(done)
            # The engine follows a link to its very end.
            if told is not None and told.get("linkTarget"):
                done = str(told["linkTarget"])
        return done

    def _told(self, path: str) -> dict[str, Any] | None:
        url = f"{self._api.base_url}/v{self._api.api_version}/containers/{self._container}/archive"
        with translated(self._address):
            answer = self._api.head(
                url, params={"path": path}, timeout=self._stop.remaining(_CALL_S)
            )
        if answer.status_code == _NOT_FOUND:
            return None
        if not answer.ok and path != "/":
            # It says so too, and no more, where a name above is no folder.
            above = self._told(posixpath.dirname(path))
            if not (_is(above, _GO_FOLDER) or _is(above, _GO_LINK)):
                return None
        if not answer.ok:
            raise EngineRefusedError(
                f"what is at {one_line(path)} cannot be told", answer.status_code, where=path
            )
        try:
            return dict(
                json.loads(base64.b64decode(answer.headers["X-Docker-Container-Path-Stat"]))
            )
        except (KeyError, TypeError, ValueError) as error:
            what = f"the engine's word of {one_line(path)} is not understood: {error!r}"
            raise EngineGoneError(what) from None


@contextmanager
def paths_of(engine: Engine, container: str, stop: Stop) -> Iterator[Paths]:
    """Questions about a container's paths, over one connection. Raises `EngineError`."""
    with engine.api(stop, _CALL_S) as api:
        yield Paths(api, engine.address, container, stop)


def _is(told: dict[str, Any] | None, bit: int) -> bool:
    return told is not None and bool(int(told.get("mode", 0)) & bit)
