"""The builder port for images that were built elsewhere: read by their digest from a registry.

It needs no engine. What an image holds is read from the registry's own layers, every document and
every layer of which is held against its digest.
"""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

from loopctl.builders.assumed_base import assumed_base
from loopctl.builders.build_log import BuildLog
from loopctl.builders.context import Context, context_of
from loopctl.builders.copy_step import Base
from loopctl.builders.docker_image import dockerfile_of, unwritable
from loopctl.builders.image_shelf import TREE_LABEL
from loopctl.builders.layer_stream import unread
from loopctl.builders.provenance import prove_image, roots_of
from loopctl.builders.registry_client import RegistryClient
from loopctl.builders.registry_errors import NotAsNamedError as OtherDigestError
from loopctl.builders.registry_errors import RegistryError, UnreadableError
from loopctl.builders.registry_image import (
    REVISION,
    RegistryImage,
    RegistryImages,
    read_image,
)
from loopctl.builders.registry_manifest import PLATFORM
from loopctl.builders.registry_reference import Reference, reference_of
from loopctl.engine.login import LoginSource
from loopctl.errors import Problem, Stopped, StorageError
from loopctl.files import ensure_private_dir
from loopctl.inert import one_line
from loopctl.model.artifact import Artifact, ArtifactKind, ContentProof, Elsewhere, SourceTree
from loopctl.model.plan import ServiceSpec
from loopctl.ports.builder import (
    Builder,
    BuilderGoneError,
    BuildError,
    NotAsNamedError,
    Noticed,
    Progress,
)
from loopctl.process import Stop, in_parallel, utc_now
from loopctl.redact import Redactor

_CHECK_S: Final = 30.0
_CHECK_TRIES: Final = 2
_CHECKS: Final = 4

On = Callable[[Progress | Noticed], None]


class RegistryImageBuilder(Builder):
    """Takes images as they are. `head` tells the project's commit, None outside git.

    `login` tells who one is to a registry. Safe to share by threads.
    """

    makes = ArtifactKind.IMAGE

    def __init__(
        self, login: LoginSource, head: Callable[[Stop], str | None], redactor: Redactor
    ) -> None:
        self._login = login
        self._head = head
        self._redactor = redactor

    def check(self, specs: Sequence[ServiceSpec], stop: Stop) -> Sequence[Problem]:
        """Whether each registry has the image and gives it, and whether it can be compared."""
        asked = {
            spec.name: functools.partial(self._problems, spec)
            for spec in specs
            if spec.provenance != "none"
        }
        found = in_parallel(stop, _CHECKS, asked)
        return [problem for problems in found.values() for problem in problems]

    def build(
        self, spec: ServiceSpec, source: SourceTree | None, log: Path, on: On, stop: Stop
    ) -> Artifact:
        """Read manifest and configuration; nothing at all where no provenance is asked for."""
        named = _reference(spec)
        taken = Artifact(
            service=spec.name,
            kind=ArtifactKind.IMAGE,
            digest=named.digest,
            location=named.location,
            source_tree="",
            built_at=utc_now(),
            elsewhere=True,
        )
        if spec.provenance == "none":
            return taken
        try:
            ensure_private_dir(log.parent)
            with BuildLog(log, self._redactor) as output:
                began = time.monotonic()
                with _only_port_errors():
                    image = read_image(self._client(named), named, stop)
                for line in _told(image):
                    output.note(line)
                on(Progress(f"read {named.location}", time.monotonic() - began))
                for text in _noticed(image):
                    on(Noticed(text))
        except (OSError, StorageError) as error:
            raise unwritable(log, error) from error
        taken = replace(taken, image_id=image.manifest.config.digest)
        if source is None or spec.provenance != "content":
            return taken
        against = _Against.of(spec, source, image)
        with _only_port_errors():
            images = RegistryImages(self._client(named), image)
            return replace(taken, roots=against.roots(images, stop))

    def prove(
        self, artifact: Artifact, source: SourceTree | None, spec: ServiceSpec, stop: Stop
    ) -> ContentProof:
        """Fetch all layers; with a source, what its Dockerfile copies is compared with them."""
        named = _reference(spec)
        if spec.provenance == "none":
            return _unread(spec, source, Elsewhere(named.digest, "nothing"), _NOTHING, None)
        with _only_port_errors():
            client = self._client(named)
            image = read_image(client, named, stop)
            known = self._known(image, source, spec.provenance, stop)
            if spec.provenance == "label":
                label = image.facts.labels.get(TREE_LABEL)
                return _unread(spec, source, known, _LABEL_ALONE, label)
            images = RegistryImages(client, image)
            if source is None:
                images.verify(stop)
                return _by_digest(spec, known)
            proof = _Against.of(spec, source, image).proof(images, stop)
        return replace(proof, elsewhere=known)

    def _client(self, named: Reference, tries: int | None = None) -> RegistryClient:
        if tries is None:
            return RegistryClient(named, self._login)
        return RegistryClient(named, self._login, tries)

    def _known(
        self,
        image: RegistryImage,
        source: SourceTree | None,
        provenance: Literal["content", "label"],
        stop: Stop,
    ) -> Elsewhere:
        head = self._head(stop) if source is None else source.commit
        revision = None if image.revision is None else one_line(image.revision, limit=100)
        return Elsewhere(image.reference.digest, provenance, revision, head)

    def _problems(self, spec: ServiceSpec, stop: Stop) -> Sequence[Problem]:
        named, found = _reference(spec), list[Problem]()
        try:
            with stop.child(_CHECK_S) as limited:
                image = read_image(self._client(named, _CHECK_TRIES), named, limited)
            packed = [b for b in image.manifest.layers if b.media_type.endswith("+zstd")]
            if packed and spec.provenance == "content":
                found.append(_problem(spec, unread(packed[0])))
        except OtherDigestError:
            pass  # no fault of what was set up: BUILD tells of it, as of what breaks the chain
        except RegistryError as error:
            found.append(_problem(spec, error))
        except Stopped:
            stop.remaining(0)
            what = f"the registry {named.host} has not told of the image within {_CHECK_S:g} s"
            found.append(Problem(what, where=spec.name, hint="see that it is up, and run again"))
        if spec.source is not None and spec.provenance == "content":
            try:
                dockerfile_of(spec)
            except BuildError as error:
                hint = "it tells where the source is in the image; without one set `source` to null"
                found.append(Problem(error.what, where=spec.name, hint=hint))
        return found


@dataclass(frozen=True, slots=True)
class _Against:
    """An image and the source that its content is held against."""

    spec: ServiceSpec
    source: SourceTree
    image: str
    context: Context
    assumed: Mapping[str, Base]

    @staticmethod
    def of(spec: ServiceSpec, source: SourceTree, image: RegistryImage) -> _Against:
        context = context_of(source, spec.build.dockerfile)
        base = assumed_base(context.text, spec.build.args or {}, spec.build.target, image.facts)
        return _Against(spec, source, image.manifest.config.digest, context, base)

    def roots(self, images: RegistryImages, stop: Stop) -> tuple[str, ...]:
        return roots_of(
            images, self.image, self.context, self.context.text, self.spec, stop, self.assumed
        )

    def proof(self, images: RegistryImages, stop: Stop) -> ContentProof:
        return prove_image(
            images,
            self.image,
            self.source,
            self.context,
            self.context.text,
            self.spec,
            stop,
            self.assumed,
        )


_NOTHING: Final = "anything: its registry was not asked, as `provenance: none` has it"
_LABEL_ALONE: Final = (
    "its layers: only what the image says of itself, as `provenance: label` has it"
)
_NOT_OF_COMMIT: Final = (
    "that it was made from this commit: it was built elsewhere, and there is no source to compare "
    "it with"
)
_NOT_IN_CONTAINER: Final = (
    "files that change while it runs: without a source nobody knows which ones matter"
)


def _reference(spec: ServiceSpec) -> Reference:
    assert spec.image is not None
    return reference_of(spec.image)


def _by_digest(spec: ServiceSpec, known: Elsewhere) -> ContentProof:
    """Every byte is the digest's, and that is all."""
    return ContentProof(
        service=spec.name,
        source_tree="",
        image_tree="",
        not_covered=(f"{_NOT_OF_COMMIT}; {_own_word(known)}", _NOT_IN_CONTAINER),
        elsewhere=known,
    )


def _unread(
    spec: ServiceSpec, source: SourceTree | None, known: Elsewhere, why: str, label: str | None
) -> ContentProof:
    dirty = source is not None and source.dirty
    changed = "that the uncommitted changes of the source are in the image"
    return ContentProof(
        service=spec.name,
        source_tree="" if source is None else source.digest,
        image_tree="",
        not_covered=(why, changed) if dirty else (why,),
        labelled=label,
        elsewhere=known,
    )


def _own_word(known: Elsewhere) -> str:
    if known.revision is None:
        return f"the image itself names no commit ({REVISION})"
    same = {None: "", known.revision: ", which is HEAD"}.get(known.head, ", which is not HEAD")
    return f"the image itself names {known.revision}{same} ({REVISION})"


def _told(image: RegistryImage) -> Iterator[str]:
    """For the log of the build."""
    manifest = image.manifest
    yield f"{image.reference.location}: built elsewhere, read from its registry"
    if image.choice is not None:
        yield f"index {image.reference.digest}, of which {PLATFORM} is {manifest.digest}"
    yield f"configuration {manifest.config.digest}, {image.facts.platform}"
    for number, layer in enumerate(manifest.layers, 1):
        yield f"layer {number}: {layer.digest}, {layer.size:,} bytes"
    yield f"{REVISION}: {image.revision or 'not given'}"


def _noticed(image: RegistryImage) -> Iterator[str]:
    if image.choice is not None:
        others = image.choice.others
        beside = f", beside {others} other{'s' if others > 1 else ''}" if others else ""
        yield (
            f"{image.reference.digest} is an index: the image for {PLATFORM} in it is "
            f"{image.manifest.digest}{beside}; what is deployed is named by the index"
        )
    elif image.facts.platform != PLATFORM:
        yield f"the image is for {one_line(image.facts.platform, limit=80)}, not for {PLATFORM}"


def _problem(spec: ServiceSpec, error: RegistryError) -> Problem:
    return Problem(error.what, where=spec.name, hint=error.hint)


@contextlib.contextmanager
def _only_port_errors() -> Iterator[None]:
    try:
        yield
    except (OtherDigestError, UnreadableError) as error:
        raise NotAsNamedError(error.what, hint=error.hint) from None
    except RegistryError as error:
        raise BuilderGoneError(error.what, hint=error.hint) from None
