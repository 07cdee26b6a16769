"""Reading files out of a container, and out of an image by one that is made, never started,
and removed.
"""

from __future__ import annotations

import contextlib
import io
import tarfile
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from loopctl.engine.connection import Engine
from loopctl.engine.cutting import answer_cut_when_stopped
from loopctl.engine.entries import Entry, Facts, entry_of, members
from loopctl.engine.errors import (
    EngineGoneError,
    EngineRefusedError,
    NotInEngineError,
    translated,
)
from loopctl.engine.owners import is_orphan, my_label
from loopctl.inert import one_line
from loopctl.process import Stop

if TYPE_CHECKING:
    import requests
    from docker import APIClient

#: Names the process that reads content through a container, should it be killed meanwhile.
LABEL: Final = "dev.loopctl.reading"
_REQUEST_S: Final = 60.0
_REMOVE_S: Final = 15.0
_CHUNK: Final = 1 << 20
#: A tar stream copies what is left of its buffer at every read.
_BUFFER: Final = 32 * 1024
_NOT_FOUND: Final = 404


def image_facts(engine: Engine, name: str, stop: Stop) -> Facts | None:
    """What the engine knows of an image, None when it has none. Raises `EngineError`."""
    try:
        with engine.api(stop) as api:
            found = api.inspect_image(name)
            lines = api.history(str(found["Id"]))
    except NotInEngineError:
        return None
    config: Mapping[str, Any] = found.get("Config") or {}
    pairs = (each.partition("=") for each in config.get("Env") or ())
    return Facts(
        id=str(found["Id"]),
        env={key: value for key, _, value in pairs},
        workdir=str(config.get("WorkingDir") or ""),
        labels=dict(config.get("Labels") or {}),
        onbuild=tuple(config.get("OnBuild") or ()),
        layers=tuple((found.get("RootFS") or {}).get("Layers") or ()),
        digests=tuple(found.get("RepoDigests") or ()),
        platform=f"{found.get('Os', 'linux')}/{found.get('Architecture', '')}",
        times=tuple(int(line.get("Created") or 0) for line in reversed(lines)),
    )


class Contents:
    """The files of one `container`: see `contents_of` and `contents_in`."""

    def __init__(self, api: APIClient, address: str, container: str, stop: Stop) -> None:
        self._api = api
        self._address = address
        self.container = container
        self._stop = stop

    def read(self, path: str, wanted: Callable[[str], bool]) -> Mapping[str, Entry]:
        """All that is at and below an absolute path, by absolute path; empty when nothing is.

        The path itself is followed where it is a link; what lies below it is not. Only files for
        which `wanted` is true are hashed. Raises `EngineError`, `Stopped`.
        """
        # With the dot a link is followed to its folder; for a file the engine then says no.
        with self._archive(path.rstrip("/") + "/.") as archive:
            if archive is not None:
                return dict(_below(archive, path.rstrip("/"), wanted))
        with self._archive(path, may_refuse=False) as archive:
            member = None if archive is None else next(members(archive), None)
            if archive is None or member is None:
                return {}
            return {path: entry_of(archive, member, wanted(path))}

    @contextlib.contextmanager
    def _archive(self, path: str, *, may_refuse: bool = True) -> Iterator[tarfile.TarFile | None]:
        """None where nothing of that name is there, or where the engine refuses and may."""
        url = f"{self._api.base_url}/v{self._api.api_version}/containers/{self.container}/archive"
        with translated(self._address):
            response = self._api.get(
                url,
                params={"path": path},
                # Otherwise the engine packs what is unpacked here at once: half of the time.
                headers={"Accept-Encoding": "identity"},
                stream=True,
                timeout=self._stop.remaining(_REQUEST_S),
            )
            with contextlib.closing(response):
                if response.status_code == _NOT_FOUND or (may_refuse and not response.ok):
                    yield None
                    return
                if not response.ok:
                    raise EngineRefusedError(
                        one_line(response.text, limit=600), response.status_code, where=path
                    )
                with answer_cut_when_stopped(response, self._stop), opened(response) as archive:
                    yield archive


@contextlib.contextmanager
def contents_of(engine: Engine, image: str, stop: Stop) -> Iterator[Contents]:
    """Makes a container of the image, never starts it, and removes it, whatever happens.

    Its anonymous volumes go with it. Raises `EngineError`, `Stopped`.
    """
    _sweep(engine, stop)
    with engine.api(stop, _REQUEST_S) as api:
        made = api.create_container(
            image, command=["never-started"], labels={LABEL: my_label()}, network_disabled=True
        )
        container = str(made["Id"])
        try:
            yield Contents(api, engine.address, container, stop)
        finally:
            _remove(engine, container)


@contextlib.contextmanager
def contents_in(engine: Engine, container: str, stop: Stop) -> Iterator[Contents]:
    """What a container has now, its volumes too. Raises `EngineError`, `Stopped`."""
    with engine.api(stop, _REQUEST_S) as api:
        yield Contents(api, engine.address, container, stop)


def _sweep(engine: Engine, stop: Stop) -> None:
    """Remove what killed processes have left: an image cannot go before its containers."""
    with engine.api(stop, _REQUEST_S) as api:
        listed = api.containers(all=True, filters={"label": LABEL})
    for each in listed:
        if is_orphan(str((each.get("Labels") or {}).get(LABEL, ""))):
            _remove(engine, str(each["Id"]))


def _remove(engine: Engine, container: str) -> None:
    """In time of its own: a run that was stopped leaves nothing behind either."""
    own = Stop(_REMOVE_S)
    with contextlib.suppress(NotInEngineError), engine.api(own, _REMOVE_S) as api:
        api.remove_container(container, v=True, force=True)


@contextlib.contextmanager
def opened(response: requests.Response) -> Iterator[tarfile.TarFile]:
    """The tar that an answer brings, read as it comes; one that breaks off is an `EngineError`."""
    reader = io.BufferedReader(_Raw(response), _CHUNK)
    try:
        with tarfile.open(
            fileobj=reader, mode="r|", encoding="utf-8", errors="surrogateescape", bufsize=_BUFFER
        ) as archive:
            yield archive
    except tarfile.TarError as error:
        raise EngineGoneError(f"the engine's archive breaks off: {error}") from None


class _Raw(io.RawIOBase):
    """The body of an answer as a file."""

    def __init__(self, response: requests.Response) -> None:
        super().__init__()
        self._pieces = response.iter_content(_CHUNK)
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._rest:
            self._rest = memoryview(next(self._pieces, b""))
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


def _below(
    archive: tarfile.TarFile, base: str, wanted: Callable[[str], bool]
) -> Iterator[tuple[str, Entry]]:
    """The tar names what is below `/a/b/.` as `./x`; a hard link names the file that it is."""
    seen: dict[str, Entry] = {}
    for member in members(archive):
        where = base + "/" + member.name.removeprefix(".").strip("/")
        entry = entry_of(archive, member, wanted(where))
        if member.islnk():
            entry = seen.get(base + "/" + member.linkname.removeprefix(".").strip("/"), entry)
        seen[where] = entry
        yield where, entry
