"""Whether a container still runs the files that its image has where source was copied to."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from loopctl.engine.changes import Change, Kind, Paths, changes_of, mounts_of, paths_of
from loopctl.engine.connection import Engine
from loopctl.engine.contents import Contents, contents_in, contents_of
from loopctl.engine.entries import Entry
from loopctl.evidence.shadows import as_package, in_front_of, is_package
from loopctl.process import Stop


def served_otherwise(
    engine: Engine, container: str, image: str, roots: Sequence[str], stop: Stop
) -> tuple[str, ...]:
    """What is not as the image has it, as `/app/main.py is deleted`; empty when all is.

    `roots` are the files and folders that count, with the folders that they lie in. What the
    container adds is its own business, unless it is run in the place of a file that counts.
    Raises `EngineError`, `Stopped`.
    """
    changes = changes_of(engine, container, stop)
    mounts = mounts_of(engine, container, stop)
    if not roots or not (changes or mounts):
        return ()
    with (
        contents_of(engine, image, stop) as own,
        paths_of(engine, own.container, stop) as before,
        contents_in(engine, container, stop) as contents,
        paths_of(engine, container, stop) as now,
    ):
        # The engine tells changes by the way without links, and roots may lead through some.
        plain = dict.fromkeys(map(_plain, roots))
        ways = tuple(dict.fromkeys([*plain, *map(before.real, plain)]))
        written = _Written(ways, changes, before, now, contents)
        found = [*written.changed(), *written.shadowed()]
        found += _mounted(_regions(mounts, ways), own, contents)
    return tuple(dict.fromkeys(found))


@dataclass(frozen=True, slots=True)
class _Written:
    """What a container has written into its own layer; `before` is as the image has it."""

    roots: tuple[str, ...]
    changes: Sequence[Change]
    before: Paths
    now: Paths
    contents: Contents

    def changed(self) -> Iterator[str]:
        """Files that the image has, and folders on the way to them."""
        holders = {posixpath.dirname(change.path) for change in self.changes}
        for change in self.changes:
            above = any(_is_within(root, change.path) for root in self.roots)
            if not above and not self._counts(change.path):
                continue
            if change.kind is Kind.DELETED:
                yield f"{change.path} is deleted"
            elif change.kind is Kind.ADDED and not above:
                continue
            elif change.path not in holders and not self.now.is_folder(change.path):
                yield f"{change.path} is {'no folder any more' if above else 'changed'}"

    def shadowed(self) -> Iterator[str]:
        """Files that were added, and are run in the place of others."""
        known: dict[str, bool] = {}

        def is_hidden(path: str) -> bool:
            if path not in known:
                known[path] = self._counts(path) and self.before.is_there(path)
            return known[path]

        for path in sorted(each.path for each in self.changes if each.kind is Kind.ADDED):
            for other in filter(is_hidden, in_front_of(path)):
                yield f"{path} stands in front of {other}"
            module = as_package(path)
            if module is not None and is_hidden(module) and self._leads_to_package(path):
                yield f"{path} stands in front of {module}"

    def _leads_to_package(self, path: str) -> bool:
        """A folder of its own is told with what is in it, what is behind a link is not."""
        if not self.now.is_link(path):
            return False
        behind = self.contents.read(path, lambda _: False)
        return is_package([each[len(path) + 1 :] for each in behind])

    def _counts(self, path: str) -> bool:
        return any(path == root or _is_within(path, root) for root in self.roots)


def _mounted(regions: Sequence[str], own: Contents, now: Contents) -> Iterator[str]:
    """Files below what is mounted that are not the image's own: no list of changes has them."""
    for region in regions:
        wanted = _files(own.read(region, lambda _: True))
        beside = as_package(region)
        hidden = {beside} if beside is not None and own.read(beside, lambda _: False) else set()
        # What is mounted may be large, and be nothing but the service's own.
        if not wanted and not hidden:
            continue
        there = {**_files(now.read(region, wanted.__contains__))}
        # Of a file with two names only the first has its content told.
        for path in [p for p in wanted if p in there and not there[p].blob]:
            there.update(now.read(path, wanted.__contains__))
        yield from _different(wanted, there)
        modules = wanted.keys() | hidden
        for path in sorted(there.keys() - wanted.keys()):
            for other in modules.intersection(in_front_of(path)):
                yield f"{path} stands in front of {other}"


def _different(wanted: Mapping[str, Entry], there: Mapping[str, Entry]) -> Iterator[str]:
    for path, entry in sorted(wanted.items()):
        found = there.get(path)
        if found is None:
            yield f"{path} is deleted"
        elif (found.kind, found.mode, found.blob) != (entry.kind, entry.mode, entry.blob):
            yield f"{path} is changed"


def _files(entries: Mapping[str, Entry]) -> Mapping[str, Entry]:
    return {path: entry for path, entry in entries.items() if entry.kind != "folder"}


def _regions(mounts: Sequence[str], roots: Sequence[str]) -> tuple[str, ...]:
    """What of the roots is mounted: the deeper of the two, where one lies in the other."""
    found = set[str]()
    for mount in mounts:
        for root in roots:
            if mount == root or _is_within(mount, root):
                found.add(mount)
            elif _is_within(root, mount):
                found.add(root)
    return tuple(sorted(found))


def _is_within(path: str, folder: str) -> bool:
    return folder == "/" or path.startswith(f"{folder}/")


def _plain(path: str) -> str:
    return posixpath.normpath("/" + path.lstrip("/"))
