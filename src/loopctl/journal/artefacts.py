"""A run that lies somewhere: its folder, its journal, an artefact that CI has kept of it."""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from loopctl.files import storage
from loopctl.inert import one_line
from loopctl.journal.archives import (
    Archive,
    ArtefactError,
    is_archive,
    opened_archive,
    read_start,
    unpack,
)
from loopctl.journal.codec import JournalError
from loopctl.journal.history import JOURNAL_NAME, RUNS, find_run
from loopctl.private_folder import private_folder

T = TypeVar("T")

_RUN: Final = re.compile(r"\d{8}-\d{6}-[A-Za-z0-9_-]{1,120}")
_LEAVE_OUT: Final = ("trees", "bundle")
_FIRST_LINE: Final = 1 << 20
_MOST_JOURNAL: Final = 1 << 30
_DEPTH: Final = 6
_MOST_LOOKED_AT: Final = 20_000
_NAMED: Final = 10
_PATH_ENDS: Final = (".zip", ".tar", ".tar.gz", ".tgz", ".jsonl")


_DAMAGED = (
    "the run in it was edited or damaged, and is not to be trusted: get the artefact once more"
)


@dataclass(frozen=True, slots=True)
class FoundRun:
    """A run that was asked for. `ref` is how to ask for it again.

    `elsewhere` tells that it is not one of this project's runs folder: a copy, which nobody goes on
    with. `packed`: its folder was unpacked for this command, and is gone after it.
    """

    folder: Path
    ref: str
    elsewhere: bool = False
    packed: bool = False


@contextlib.contextmanager
def found_run(runs_dir: Path, ref: str) -> Iterator[FoundRun]:
    """The run of an id, a prefix, `@latest`, `@green`, or a path.

    A path is a run's folder, its journal, a folder or an archive that has one run in it, or, as
    `PATH#RUN`, several. Raises `NotFoundError`, `ArtefactError`, `StorageError`.
    """
    path, wanted = _path_of(runs_dir, ref)
    if path is None:
        folder = find_run(runs_dir, ref)
        yield FoundRun(folder, folder.name)
        return
    with storage("read", path):
        is_folder, is_file = path.is_dir(), path.is_file()
    if is_folder or (is_file and path.name == JOURNAL_NAME):
        folder = _chosen_folder(path if is_folder else path.parent, wanted)
        ours = folder.resolve().parent == (runs_dir / RUNS).resolve()
        yield FoundRun(folder, folder.resolve().name if ours else str(folder), elsewhere=not ours)
        return
    if not is_file:
        raise ArtefactError("there is no such run, folder or artefact", where=str(path))
    with private_folder() as scratch:
        try:
            yield _unpacked(path, wanted, scratch)
        except JournalError as error:
            # Its folder is gone with the command: whoever reads this knows the artefact alone.
            raise ArtefactError(error.what, where=str(path), hint=_DAMAGED) from error


def _path_of(runs_dir: Path, ref: str) -> tuple[Path | None, str | None]:
    """The path that is meant, and the run in it; None where a run of this project is."""
    path, sharp, wanted = ref.rpartition("#")
    if sharp and not _exists(ref) and (os.sep in path or _exists(path)):
        return Path(path), wanted
    looks_so = os.sep in ref or ref in (".", "..") or ref.endswith(_PATH_ENDS)
    if looks_so or (_exists(ref) and not (runs_dir / RUNS / ref).exists()):
        return Path(ref), None
    return None, None


def _exists(path: str) -> bool:
    """Whether something is there; what can be no path is not."""
    try:
        return bool(path) and Path(path).exists()
    except (OSError, ValueError):
        return False


def _chosen_folder(folder: Path, wanted: str | None) -> Path:
    if wanted is None and (folder / JOURNAL_NAME).is_file():
        return folder
    with storage("read the folder", folder):
        found = _once(folder, ((_name(path), path) for path in _folders(folder)))
    return found[_chosen(folder, found, wanted)]


def _once(path: Path, runs: Iterable[tuple[str, T]]) -> Mapping[str, T]:
    """Runs by name; raises `ArtefactError` where one is there twice: nobody knows which counts."""
    found: dict[str, T] = {}
    for name, each in runs:
        if name in found:
            what = f"the run {one_line(name, 120)} is in it twice"
            raise ArtefactError(what, where=str(path), hint="unpack it, and name the folder of one")
        found[name] = each
    return found


def _name(folder: Path) -> str:
    return folder.resolve().name


def _folders(folder: Path) -> Iterator[Path]:
    """The folders below it that have a journal, none inside another; links are not followed."""
    looked_at = 0
    for place, folders, files in os.walk(folder):
        looked_at += len(files) + len(folders)
        if looked_at > _MOST_LOOKED_AT:
            raise ArtefactError(
                f"more than {_MOST_LOOKED_AT:,} files are in the folder",
                where=str(folder),
                hint="name the run's own folder, which has its journal.jsonl",
            )
        depth = len(Path(place).relative_to(folder).parts)
        if JOURNAL_NAME in files:
            yield Path(place)
        if JOURNAL_NAME in files or depth >= _DEPTH:
            folders.clear()


def _unpacked(path: Path, wanted: str | None, scratch: Path) -> FoundRun:
    if not is_archive(path):
        return _journal_alone(path, scratch)
    with opened_archive(path, scratch) as archive:
        prefixes = _once(path, ((_run_id(archive, each), each) for each in _prefixes(archive)))
        name = _chosen(path, prefixes, wanted)
        folder = scratch / RUNS / name
        folder.mkdir(mode=0o700, parents=True)
        unpack(archive, prefixes[name], folder, leave_out=_LEAVE_OUT)
    ref = str(path) if len(prefixes) == 1 else f"{path}#{name}"
    return FoundRun(folder, ref, elsewhere=True, packed=True)


def _prefixes(archive: Archive) -> Sequence[str]:
    """What stands before `journal.jsonl` in the names of each run's files."""
    names = (name for name in archive.files if name.rpartition("/")[2] == JOURNAL_NAME)
    found: list[str] = []
    for prefix in sorted((name.removesuffix(JOURNAL_NAME) for name in names), key=len):
        # A work tree that a run has kept may hold journals of its own.
        if not any(prefix.startswith(run) for run in found):
            found.append(prefix)
    return found


def _run_id(archive: Archive, prefix: str) -> str:
    """By the folder it lay in, else by what its first event says."""
    folder = prefix.rstrip("/").rpartition("/")[2]
    if _RUN.fullmatch(folder):
        return folder
    return _told_in(read_start(archive, prefix + JOURNAL_NAME, _FIRST_LINE)) or folder or "run"


def _told_in(start: bytes) -> str | None:
    try:
        run_id = json.loads(start.partition(b"\n")[0])["data"]["run_id"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return run_id if isinstance(run_id, str) and _RUN.fullmatch(run_id) else None


def _journal_alone(path: Path, scratch: Path) -> FoundRun:
    """A journal under another name; raises `ArtefactError` for what is nothing of a run."""
    with storage("read the file", path), path.open("rb") as file:
        start = file.read(_FIRST_LINE)
        name = _told_in(start)
        size = path.stat().st_size
        if name is None or size > _MOST_JOURNAL:
            raise ArtefactError(
                "this is nothing of a run",
                where=str(path),
                hint="a run's folder, its journal.jsonl, or a .zip, .tar or .tar.gz of them",
            )
        folder = scratch / RUNS / name
        folder.mkdir(mode=0o700, parents=True)
        with (folder / JOURNAL_NAME).open("xb") as copy:
            file.seek(0)
            while piece := file.read(_FIRST_LINE):
                copy.write(piece)
    return FoundRun(folder, str(path), elsewhere=True, packed=True)


def _chosen(path: Path, found: Mapping[str, object], wanted: str | None) -> str:
    """The one that is meant; raises `ArtefactError`, which names those there are."""
    names = sorted(found, reverse=True)
    matching = names if wanted is None else [n for n in names if n.startswith(wanted)]
    if len(matching) == 1:
        return matching[0]
    if wanted is not None and wanted in found:
        return wanted
    if not names:
        what = f"no run is in it: no {JOURNAL_NAME}"
        raise ArtefactError(what, where=str(path), hint="let CI keep the run's whole folder")
    shown = ", ".join(one_line(name, 120) for name in (matching or names)[:_NAMED])
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    what = f"{len(names)} runs are in it" if wanted is None or matching else "it has no such run"
    hint = f"name one: {one_line(str(path), 200)}#{one_line((matching or names)[0], 120)}"
    raise ArtefactError(f"{what}: {shown}{more}", where=str(path), hint=hint)
