"""What a service's schema is made of, and whether a way back leads over a change of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from loopctl.evidence.path_glob import covers
from loopctl.inert import one_line
from loopctl.journal.worklog import CycleRecord
from loopctl.model.artifact import Revision, SourceFile
from loopctl.model.plan import ServiceSpec
from loopctl.ports.history import RunRecord
from loopctl.ports.source import SourceError, Sources
from loopctl.process import Stop

_WILD: Final = frozenset("*?[")
NO_FILES: Final = "no file is one: `migrations` names none that git has"


def digest_of(spec: ServiceSpec, root: Path, sources: Sources, stop: Stop) -> str | None:
    """A hash of all files that `migrations` names, below the project's `root`.

    None where it names none, or they cannot be read: then nothing can be compared with them.
    """
    found: dict[str, SourceFile] = {}
    for glob in spec.migrations:
        folder = root / _fixed(glob)
        if not folder.is_dir() or folder.is_symlink():
            folder = folder.parent
        if not folder.is_dir():
            continue
        try:
            files = sources.read(folder, stop).files
        except SourceError:
            continue
        at = folder.relative_to(root).as_posix()
        named = {(f"{at}/{file.path}" if at != "." else file.path): file for file in files}
        found |= {path: file for path, file in named.items() if covers(glob, path)}
    if not found:
        return None
    lines = "\n".join(f"{path}\0{found[path].mode} {found[path].blob}" for path in sorted(found))
    return f"sha256:{hashlib.sha256(lines.encode('utf-8', 'surrogateescape')).hexdigest()}"


def _fixed(glob: str) -> str:
    """The folders before the first wildcard."""
    names = glob.split("/")
    wild = next((at for at, name in enumerate(names) if _WILD & set(name)), len(names))
    return "/".join(names[:wild])


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of revisions by the runs that deployed them.

    `cycles` are this run's, `records` the earlier ones', None where those cannot be read.
    """

    run_id: str
    cycles: Sequence[CycleRecord]
    records: Sequence[RunRecord] | None


def schema_change(
    service: str, target: str, serving: Iterable[Revision | str], known: Known
) -> str | None:
    """Why going back to `target` may lead over a change of the schema; None: it does not.

    Held against it are what serves, a revision or the bare name of one, and what this run has
    tried, which may have changed the schema as it started.
    """
    if known.records is None:
        return f"the migrations of {target} are not known: the history cannot be read"
    then = _verified(service, target, known.records)
    if then is None:
        return f"the migrations of {target} are not known: no record of a run tells them"
    for name, digest in [*_tried(service, known.cycles), *_serving(service, serving, known)]:
        if digest is None:
            return f"the migrations of {name} are not known, so nothing shows that they are equal"
        if digest != then:
            return f"the migrations of {name} are not those of {target}"
    return None


def _verified(service: str, target: str, records: Sequence[RunRecord]) -> str | None:
    runs = (r for r in records if r.verified.get(service) == target)
    return next((r.migrations[service] for r in runs if service in r.migrations), None)


def _tried(service: str, cycles: Sequence[CycleRecord]) -> Iterator[tuple[str, str | None]]:
    for cycle in cycles:
        record = cycle.services.get(service)
        if record is not None and (record.source is not None or record.artifact is not None):
            digest = record.source.migrations if record.source else None
            yield f"what cycle {cycle.number} has built", digest


def _serving(
    service: str, serving: Iterable[Revision | str], known: Known
) -> Iterator[tuple[str, str | None]]:
    for revision in serving:
        if isinstance(revision, str):
            yield one_line(revision, 63), _verified(service, revision, known.records or ())
            continue
        yield revision.name, _of_revision(service, revision, known)


def _of_revision(service: str, revision: Revision, known: Known) -> str | None:
    records = known.records or ()
    if (digest := _verified(service, revision.name, records)) is not None:
        return digest
    run_id, _, rest = (revision.key or "").partition("/")
    if run_id == known.run_id:
        number = rest.partition("/")[0]
        cycle = next((c for c in known.cycles if str(c.number) == number), None)
        record = cycle.services.get(service) if cycle else None
        return record.source.migrations if record and record.source else None
    made = (r for r in records if r.run_id == run_id)
    return next((r.migrations.get(service) for r in made), None)
