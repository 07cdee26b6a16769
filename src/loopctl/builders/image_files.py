"""Reading from an image what a copy map says it holds, with as few questions as will do."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from loopctl.builders.copy_map import CopyMap
from loopctl.builders.copy_step import Placed
from loopctl.builders.image_reader import Files
from loopctl.engine.entries import Entry

#: Folders that many share: what else is in them is the base image's, and far too much to read.
SHARED: Final = frozenset(
    {
        # Names, not places to write to.
        *("/", "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/lib64", "/media", "/mnt"),
        *("/opt", "/proc", "/root", "/run", "/sbin", "/srv", "/sys", "/tmp", "/usr", "/var"),  # noqa: S108
        *("/usr/bin", "/usr/lib", "/usr/libexec", "/usr/local", "/usr/sbin", "/usr/share"),
        *("/usr/local/bin", "/usr/local/etc", "/usr/local/lib", "/usr/local/sbin"),
        *("/usr/local/share", "/var/cache", "/var/lib", "/var/log", "/var/run", "/var/tmp"),  # noqa: S108
    }
)


@dataclass(frozen=True, slots=True)
class Found:
    """Where a file of the source is in the image, and what is there; `entry` None for nothing."""

    placed: Placed
    path: str
    entry: Entry | None


def roots(made: CopyMap) -> tuple[str, ...]:
    """The paths, folders and files, below which lies all that was copied; none within another.

    A folder that many share is not one of them: what was copied into it is.
    """
    wanted: set[str] = set()
    for path in made.placed:
        wanted.add(_root_of(path, made.folders))
    wanted.update(folder for folder in made.folders if folder not in SHARED)
    return tuple(sorted(each for each in wanted if not _has_above(each, wanted)))


def find_all(contents: Files, made: CopyMap) -> tuple[Sequence[Found], Mapping[str, Entry]]:
    """Every file that the map places, and all else that is in the folders copied to."""
    wanted = {path for each in made.placed.values() for path in _paths(each)}
    there: dict[str, Entry] = {}
    for root in roots(made):
        there.update(contents.read(root, wanted.__contains__))
    # Below a link nothing is listed, and what is copied there lies behind it.
    for folder, names in _unseen(made.placed.values(), there).items():
        behind = contents.read(folder, names.__contains__)
        there.update({path: behind[path] for path in names if path in behind})
    # Of a file with two names the engine tells the content once, by the name that comes first.
    for path in sorted(wanted):
        if path in there and there[path].kind == "file" and not there[path].blob:
            there.update(contents.read(path, wanted.__contains__))
    found = [_found(each, there) for each in made.placed.values()]
    ours = {each.path for each in found} | set(made.placed)
    extra = {
        path: entry
        for path, entry in there.items()
        if path not in ours and entry.kind != "folder" and is_within(path, made.folders)
    }
    return found, extra


def _found(placed: Placed, there: Mapping[str, Entry]) -> Found:
    entry = there.get(placed.path)
    if placed.inside is not None and (entry is None or entry.kind == "folder"):
        # The base image had a folder of that name, so that the file went into it.
        return Found(placed, placed.inside, there.get(placed.inside))
    return Found(placed, placed.path, entry)


def _unseen(placed: Iterable[Placed], there: Mapping[str, Entry]) -> Mapping[str, set[str]]:
    unseen: dict[str, set[str]] = {}
    for each in placed:
        paths = _paths(each)
        if not any(path in there and there[path].kind != "folder" for path in paths):
            for path in paths:
                unseen.setdefault(posixpath.dirname(path), set()).add(path)
    # Where a folder was made in place of the file, the folder itself may be a link.
    return {f: p for f, p in unseen.items() if f not in SHARED} | {
        path: {path} for folder, paths in unseen.items() if folder in SHARED for path in paths
    }


def _paths(placed: Placed) -> tuple[str, ...]:
    return (placed.path,) if placed.inside is None else (placed.path, placed.inside)


def _root_of(path: str, folders: Sequence[str]) -> str:
    """The folder it was copied with; of a shared one the next below; else the file itself."""
    above = [folder for folder in folders if is_within(path, (folder,))]
    if not above:
        return path
    best = min(above, key=len)
    while best in SHARED and best != path:
        rest = path[len(best.rstrip("/")) + 1 :]
        best = f"{best.rstrip('/')}/{rest.partition('/')[0]}"
    return best


def is_within(path: str, folders: Iterable[str]) -> bool:
    """Whether a path lies below one of the folders."""
    return any(path.startswith(folder.rstrip("/") + "/") for folder in folders)


def _has_above(path: str, among: set[str]) -> bool:
    while path not in ("", "/"):
        path = posixpath.dirname(path)
        if path in among:
            return True
    return False
