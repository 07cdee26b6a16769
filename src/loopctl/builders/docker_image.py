"""The builder port on a Docker engine: images without cache, whose content is read back."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from loopctl.builders.base_images import renew_bases
from loopctl.builders.build_log import BuildLog
from loopctl.builders.context import Context, context_of
from loopctl.builders.dockerfile import external_images
from loopctl.builders.engine_images import EngineImages
from loopctl.builders.image_shelf import ImageShelf
from loopctl.builders.provenance import prove_image, roots_of
from loopctl.engine.build import build as build_image
from loopctl.engine.build_request import (
    BuildClientAbsentError,
    BuildFailedError,
    BuildRequest,
    BuildStepEnded,
)
from loopctl.engine.cli_build import find_cli, needs_cli
from loopctl.engine.connection import Engine
from loopctl.engine.errors import EngineError, EngineRefusedError
from loopctl.errors import Problem, Stopped, StorageError
from loopctl.files import ensure_private_dir
from loopctl.inert import decode, one_line
from loopctl.model.artifact import Artifact, ArtifactKind, ContentProof, SourceTree
from loopctl.model.finding import Quote
from loopctl.model.plan import ServiceSpec
from loopctl.ports.builder import (
    Builder,
    BuilderGoneError,
    BuildError,
    BuildStorageError,
    Noticed,
    Progress,
)
from loopctl.process import Stop, utc_now
from loopctl.redact import Redactor

#: Bytes from which a person is told how large the context is, and why, before it is sent.
LARGE_CONTEXT: Final = 512 * 1024 * 1024
_QUOTED_LINES: Final = 40
_NAMED_FOLDERS: Final = 5
_STEP_SHOWN: Final = 120

On = Callable[[Progress | Noticed], None]


class DockerImageBuilder(Builder):
    """Builds images with the engine's BuildKit, from nothing but the source and its bases.

    `project` marks the images in the engine as this project's.
    """

    makes = ArtifactKind.IMAGE

    def __init__(self, engine: Engine, project: str, redactor: Redactor) -> None:
        self._engine = engine
        self._images = EngineImages(engine)
        self._shelf = ImageShelf(engine, project)
        self._redactor = redactor

    def check(self, specs: Sequence[ServiceSpec], stop: Stop) -> Sequence[Problem]:
        """The engine, each Dockerfile, and for those that mount secrets a client and the values."""
        try:
            self._engine.about(stop)
        except EngineError as error:
            return [_as_problem(error)]
        return [problem for spec in specs for problem in self._problems(spec, stop)]

    def build(
        self,
        spec: ServiceSpec,
        source: SourceTree | None,
        log: Path,
        on: On,
        stop: Stop,
    ) -> Artifact:
        """Renew the base images, send the context, build without cache."""
        assert source is not None
        context = context_of(source, spec.build.dockerfile)
        dockerfile = context.text
        try:
            ensure_private_dir(log.parent)
            with BuildLog(log, self._redactor) as output, _only_port_errors(output):
                renew_bases(self._engine, _bases(dockerfile, spec), on, stop)
                _warn_if_large(context, on)
                request = self._request(dockerfile, spec, source)
                with _late_is_told(spec, output):
                    image = build_image(
                        self._engine, request, context.chunks, self._told_to(on), output.feed, stop
                    )
                self._shelf.prune(spec.name, stop, but=image)
                roots = roots_of(self._images, image, context, dockerfile, spec, stop)
        except (OSError, StorageError) as error:
            raise unwritable(log, error) from error
        return Artifact(
            service=spec.name,
            kind=ArtifactKind.IMAGE,
            digest=image,
            location=image,
            source_tree=source.digest,
            built_at=utc_now(),
            roots=roots,
        )

    def prove(
        self, artifact: Artifact, source: SourceTree | None, spec: ServiceSpec, stop: Stop
    ) -> ContentProof:
        """Read the image's files and compare them with what the Dockerfile copies there."""
        assert source is not None
        context = context_of(source, spec.build.dockerfile)
        with _only_port_errors(None):
            proof = prove_image(
                self._images, artifact.digest, source, context, context.text, spec, stop
            )
            if proof.holds or spec.provenance != "content":
                self._shelf.name(artifact.digest, spec.name, source, stop)
        return proof

    def _told_to(self, on: On) -> Callable[[BuildStepEnded], None]:
        def tell(step: BuildStepEnded) -> None:
            # Hidden before it is cut: the beginning of a secret is not known for one.
            name = one_line(self._redactor.text(step.name), limit=_STEP_SHOWN)
            on(Progress(name, step.seconds, step.cached))

        return tell

    def _request(self, dockerfile: str, spec: ServiceSpec, source: SourceTree) -> BuildRequest:
        mounts = needs_cli(dockerfile)
        values = _secret_values(spec)
        return BuildRequest(
            dockerfile=spec.build.dockerfile,
            target=spec.build.target,
            args=spec.build.args or {},
            labels=self._shelf.labels(spec.name, source),
            secrets={name: values[name] for name in mounts.secrets if name in values},
            ssh=mounts.ssh,
            session=bool(mounts),
        )

    def _problems(self, spec: ServiceSpec, stop: Stop) -> Iterator[Problem]:
        try:
            mounts = needs_cli(dockerfile_of(spec))
        except BuildError as error:
            yield _as_problem(error)
            return
        for name, value in (spec.build.args or {}).items():
            if self._redactor.text(value) != value:
                what = f"build.args.{one_line(name, limit=80)} holds a secret"
                hint = "mount it instead: build.secrets and RUN --mount=type=secret"
                yield Problem(f"{what}, which the image keeps", where=spec.name, hint=hint)
        values = _secret_values(spec)
        for name in mounts.secrets:
            if name not in values:
                what = f"{spec.build.dockerfile} mounts the secret {one_line(name, limit=80)}"
                hint = f"give build.secrets.{one_line(name, limit=80)} a value"
                yield Problem(f"{what}, which has no value", where=spec.name, hint=hint)
        if mounts:
            try:
                find_cli(self._engine, stop)
            except EngineError as error:
                yield _as_problem(error)


def dockerfile_of(spec: ServiceSpec) -> str:
    """The text of the Dockerfile of a service. Raises `BuildError` where it cannot be read."""
    assert spec.source is not None
    path = spec.source / spec.build.dockerfile
    try:
        return decode(path.read_bytes())
    except OSError as error:
        raise BuildError(
            f"{spec.build.dockerfile} cannot be read: {error.strerror}",
            hint=f"write {path}, or name another by build.dockerfile, relative to the source",
        ) from None


def _bases(dockerfile: str, spec: ServiceSpec) -> tuple[str, ...]:
    return external_images(dockerfile, spec.build.args or {}, spec.build.target)


def _secret_values(spec: ServiceSpec) -> Mapping[str, str]:
    return {s.name: s.value.reveal() for s in spec.build.secrets if s.value is not None}


def _warn_if_large(context: Context, on: On) -> None:
    if context.size < LARGE_CONTEXT:
        return
    folders = ", ".join(
        f"{one_line(name, limit=80)} {_mib(size)}"
        for name, size in context.largest_folders(_NAMED_FOLDERS)
    )
    on(
        Noticed(
            f"the build context has {_mib(context.size)} in {len(context.files)} files; its "
            f"largest folders: {folders}. What the image does not need belongs into .dockerignore"
        )
    )


def _mib(size: int) -> str:
    return f"{size / (1 << 20):,.0f} MiB"


@contextlib.contextmanager
def _only_port_errors(log: BuildLog | None) -> Iterator[None]:
    """The engine's errors become the port's; a failed step quotes what it printed last."""
    try:
        yield
    except BuildFailedError as error:
        raise _failed(error, log) from None
    except (EngineRefusedError, BuildClientAbsentError) as error:
        raise BuildError(error.what, hint=error.hint) from None
    except EngineError as error:
        raise BuilderGoneError(error.what, hint=error.hint) from None


@contextlib.contextmanager
def _late_is_told(spec: ServiceSpec, log: BuildLog) -> Iterator[None]:
    """A build whose time is up has failed where it stood: what it printed last says where."""
    try:
        yield
    except Stopped as stopped:
        if stopped.reason != "deadline":
            raise
        raise BuildError(
            f"the build was not finished within {spec.build.timeout_s:g} s",
            quotes=log.quotes(_QUOTED_LINES),
            hint=f"raise build.timeout, if it needs longer; its whole output is in {log.path}",
        ) from None


def _failed(error: BuildFailedError, log: BuildLog | None) -> BuildError:
    quotes = () if log is None else _last_words(log, error)
    hint = error.hint or (None if log is None else f"its whole output is in {log.path}")
    return BuildError(
        error.what,
        step=None if error.step is None else one_line(error.step, limit=_STEP_SHOWN),
        step_exit=error.step_exit,
        quotes=quotes,
        hint=hint,
    )


def _last_words(log: BuildLog, error: BuildFailedError) -> tuple[Quote, ...]:
    """What the failed step printed last; nothing where no step had begun."""
    if error.line is not None:
        return ()
    told = log.quotes(_QUOTED_LINES + 1, error.mark)
    # The builder's own word of the failure, which the error has already.
    own = tuple(quote for quote in told if not quote.quote.startswith(f"{error.mark}ERROR: "))
    return own[-_QUOTED_LINES:]


def _as_problem(error: EngineError | BuildError) -> Problem:
    return Problem(error.what, where=error.where, hint=error.hint)


def unwritable(log: Path, error: OSError | StorageError) -> BuildError:
    """That the log of a build cannot be written."""
    reason = error.what if isinstance(error, StorageError) else error.strerror or str(error)
    return BuildStorageError(
        f"cannot write {log}: {reason}", hint="free some disk or choose --runs-dir"
    )
