"""The local builder: a fresh copy of the source in a content-addressed folder.

`build.steps` run there from nothing: there is no cache to be stale. The folder is named by its
content once all steps are done, and read back to prove what is in it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from loopctl.builders.build_log import BuildLog
from loopctl.errors import Problem, StorageError
from loopctl.evidence.blobs import EXECUTABLE, LINK, blob_of, read_tree, tree_digest
from loopctl.evidence.provenance import compare
from loopctl.files import ensure_private_dir, remove_tree
from loopctl.inert import one_line
from loopctl.model.artifact import Artifact, ArtifactKind, ContentProof, SourceFile, SourceTree
from loopctl.model.plan import ServiceSpec
from loopctl.ports.builder import Builder, BuildError, BuildStorageError, Noticed, Progress
from loopctl.process import Child, Exit, Stop, identify, utc_now
from loopctl.process.programs import missing_programs
from loopctl.redact import Redactor

_BEYOND = "the interpreter and the packages of this machine are not part of the image"
_TAIL_LINES = 5
_KEPT_IMAGES = 5
_UNFINISHED = ".building-"
# Any other error is something that a step left behind: a pipe, or no folder at all.
_OF_THE_DISK = frozenset(
    {
        *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EACCES, errno.EPERM),
        *(errno.EMFILE, errno.ENFILE),
    }
)


class LocalBuilder(Builder):
    """Builds into `images`, a folder of loopctl's own. `environ` is what build steps may see."""

    makes = ArtifactKind.FOLDER

    def __init__(self, images: Path, redactor: Redactor, environ: Mapping[str, str]) -> None:
        self._images = images
        self._redactor = redactor
        self._environ = environ
        self._ours: set[Path] = set()
        self._keeping = threading.Lock()

    def check(self, specs: Sequence[ServiceSpec], stop: Stop) -> Sequence[Problem]:
        """A shell, where steps are to be run, and the programs that they plainly name."""
        needs_shell = any(spec.build.steps for spec in specs)
        if needs_shell and shutil.which("sh") is None:
            return [Problem("build.steps need a shell, and there is no sh on PATH")]
        path = self._environ.get("PATH", os.defpath)
        return [
            Problem(
                f"{program!r} is not found on PATH: `{one_line(step, limit=80)}` wants it",
                where=f"build of {spec.name}",
                hint=f"install {program}, or change build.steps",
            )
            for spec in specs
            for step in spec.build.steps
            for program in missing_programs(step, path)
        ]

    def build(
        self,
        spec: ServiceSpec,
        source: SourceTree | None,
        log: Path,
        on: Callable[[Progress | Noticed], None],
        stop: Stop,
    ) -> Artifact:
        """Copy, run the steps, name the folder by its content."""
        assert source is not None
        try:
            ensure_private_dir(self._images)
            ensure_private_dir(log.parent)
            _forget_unfinished(self._images)
            work = Path(tempfile.mkdtemp(prefix=f"{_UNFINISHED}{os.getpid()}-", dir=self._images))
        except (OSError, StorageError) as error:
            raise _unwritable(self._images, error) from error
        try:
            return self._made(spec, source, work, log, on, stop)
        except (OSError, StorageError) as error:
            raise _unwritable(work, error) from error
        finally:
            remove_tree(work)

    def prove(
        self, artifact: Artifact, source: SourceTree | None, spec: ServiceSpec, stop: Stop
    ) -> ContentProof:
        """Hash the image's files again and compare them with the source's."""
        assert source is not None
        try:
            inside = {file.path: file for file in read_tree(Path(artifact.location))}
        except OSError as error:
            raise _unwritable(Path(artifact.location), error) from error
        return compare(
            spec.name,
            source,
            inside,
            steps=len(spec.build.steps),
            alters=spec.build.alters,
            beyond=_BEYOND,
        )

    def _made(
        self,
        spec: ServiceSpec,
        source: SourceTree,
        work: Path,
        log: Path,
        on: Callable[[Progress | Noticed], None],
        stop: Stop,
    ) -> Artifact:
        began = time.monotonic()
        for file in source.files:
            stop.remaining(0)
            _copy(source, file, work)
        on(Progress(f"copy {len(source.files)} files", time.monotonic() - began))
        with BuildLog(log, self._redactor) as output:
            for step in spec.build.steps:
                seconds = self._step(step, work, output, stop)
                on(Progress(one_line(step, limit=80), seconds))
        digest = tree_digest(read_tree(work))
        return Artifact(
            service=spec.name,
            kind=ArtifactKind.FOLDER,
            digest=digest,
            location=str(self._kept(work, digest)),
            source_tree=source.digest,
            built_at=utc_now(),
        )

    def _step(self, step: str, work: Path, log: BuildLog, stop: Stop) -> float:
        log.note(f"$ {step}")
        child = Child(
            ["sh", "-ec", f"exec 2>&1\n{step}"],
            cwd=work,
            env=self._environ,
            on_stdout=log.feed,
            on_stderr=log.feed,
        )
        end = child.wait(stop)
        log.settle()
        if end.code != 0 or end.stopped:
            raise _step_failed(step, end, log)
        return end.duration_s

    def _kept(self, work: Path, digest: str) -> Path:
        """Move the folder to its name; one of an earlier run is replaced, not trusted."""
        place = self._images / digest.partition(":")[2]
        with self._keeping:
            if place in self._ours and tree_digest(read_tree(place)) == digest:
                # Two services of one source: the other's build may be reading it now.
                return place
            if place.exists():
                remove_tree(place)
            work.rename(place)
            self._ours.add(place)
            self._prune()
        return place

    def _prune(self) -> None:
        """Revisions run from copies of their own, so an image of an earlier run is only history."""
        images = [p for p in self._images.iterdir() if not p.name.startswith(".")]
        images.sort(key=lambda p: p.stat().st_mtime, reverse=True)
        for old in images[_KEPT_IMAGES:]:
            if old not in self._ours:
                remove_tree(old)


def _forget_unfinished(images: Path) -> None:
    """Remove what builds have left whose process was killed; its number stands in the name."""
    for work in images.glob(f"{_UNFINISHED}*"):
        pid = work.name.removeprefix(_UNFINISHED).partition("-")[0]
        if pid.isdigit() and identify(int(pid)) is None:
            with contextlib.suppress(StorageError):
                remove_tree(work)


def _copy(source: SourceTree, file: SourceFile, work: Path) -> None:
    origin, copy = source.root / file.path, work / file.path
    copy.parent.mkdir(parents=True, exist_ok=True)
    if not _is_still_there(origin, file):
        raise _changed(file)
    if file.mode == LINK:
        copy.symlink_to(origin.readlink())
    else:
        shutil.copyfile(origin, copy, follow_symlinks=False)
        copy.chmod(0o755 if file.mode == EXECUTABLE else 0o644)
    if blob_of(copy) != (file.blob, file.mode):
        raise _changed(file)


def _is_still_there(origin: Path, file: SourceFile) -> bool:
    return origin.is_symlink() if file.mode == LINK else origin.is_file()


def _changed(file: SourceFile) -> BuildError:
    return BuildError(
        f"{file.path} changed while it was copied",
        hint="do not edit the source while a build reads it; run again",
    )


def _step_failed(step: str, end: Exit, log: BuildLog) -> BuildError:
    why = f"stopped: {end.stopped}" if end.stopped else f"exit code {end.code}"
    quotes = log.quotes(_TAIL_LINES)
    log.note(f"[{why}]")
    return BuildError(
        f"the build step `{one_line(step, limit=120)}` failed: {why}",
        step=one_line(step, limit=120),
        step_exit=end.code,
        quotes=quotes,
        hint=f"its whole output is in {log.path}",
    )


def _unwritable(place: Path, error: OSError | StorageError) -> BuildError:
    reason = error.what if isinstance(error, StorageError) else error.strerror or str(error)
    disk = isinstance(error, StorageError) or error.errno in _OF_THE_DISK
    failure = BuildStorageError if disk else BuildError
    return failure(f"cannot write {place}: {reason}", hint="free some disk or choose --runs-dir")
