"""The chain that must hold: source tree → image → revision → traffic."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file of a source tree: relative path, git blob hash, mode as git has it (octal text).

    A symbolic link has mode `120000` and the hash of the text it points with.
    """

    path: str
    blob: str
    mode: str


@dataclass(frozen=True, slots=True)
class SourceTree:
    """The files of a service's source at one moment: tracked, and untracked but not ignored.

    `digest` is `sha256:…` over paths, modes and blob hashes; `commit` the HEAD they were read at,
    None outside git; `dirty`: the files differ from that commit.
    """

    root: Path
    files: tuple[SourceFile, ...]
    digest: str
    commit: str | None = None
    dirty: bool = False


class ArtifactKind(StrEnum):
    """What a builder makes and a platform accepts."""

    FOLDER = "folder"
    IMAGE = "image"


@dataclass(frozen=True, slots=True)
class Artifact:
    """An image. `digest` names its content (`sha256:…`), `location` where it is.

    `source_tree` is what the builder *says* it was made from; only a `ContentProof` shows it.
    Once it was pushed, `digest` is the registry's and `image_id` what the engine calls the same
    image. `roots` are the absolute paths in the image that source was copied to. `elsewhere`: it
    was not built by this run; then `source_tree` is empty, `digest` and `location` are those that
    the loop file names, and `image_id` is the digest of its configuration, None where the registry
    was not asked.
    """

    service: str
    kind: ArtifactKind
    digest: str
    location: str
    source_tree: str
    built_at: datetime
    image_id: str | None = None
    roots: tuple[str, ...] = ()
    elsewhere: bool = False


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What is known of an image that was built elsewhere, by its registry's `digest`.

    `looked_at` is how far: `content` means that every byte of it was read and is the digest's,
    `label` its configuration alone. `revision` is the commit that the image names itself, `head`
    the one that it is meant to be of.
    """

    digest: str
    looked_at: Literal["nothing", "label", "content"]
    revision: str | None = None
    head: str | None = None


@dataclass(frozen=True, slots=True)
class ContentProof:
    """The image's content compared with the source tree, file by file.

    `image_tree` is the digest over what the image holds of the source's files: equal to
    `source_tree` exactly when nothing is stale, missing or of another mode. `altered` files were
    changed by a build step that was declared to, `undeclared` ones by a step that was not, as
    `path: altered by step 7 (RUN …)`. `compared` counts the files that the image is meant to
    hold, None where an older version did not say; `labelled` is the tree that the image's label
    names; `other_base` tells of an image that stands on another base than it should. `not_covered`
    says what no comparison can show. `elsewhere` is for an image that this run did not build:
    without a source both trees are those of nothing, `source_tree` empty, and the proof is of the
    digest alone.
    """

    service: str
    source_tree: str
    image_tree: str
    stale: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    mode_differs: tuple[str, ...] = ()
    altered: tuple[str, ...] = ()
    not_covered: tuple[str, ...] = ()
    undeclared: tuple[str, ...] = ()
    compared: int | None = None
    labelled: str | None = None
    other_base: str | None = None
    elsewhere: Elsewhere | None = None

    @property
    def of_source(self) -> bool:
        """Whether there is a source that the image was held against."""
        return bool(self.source_tree) and self._content_read

    @property
    def broken(self) -> bool:
        """Whether the content was looked at and does not hold."""
        return self._content_read and not self.holds

    @property
    def _content_read(self) -> bool:
        return self.elsewhere is None or self.elsewhere.looked_at == "content"

    @property
    def holds(self) -> bool:
        """Whether the image holds the source, and nothing of another age.

        An image in which nothing of the source is to be found shows nothing. One that was built
        elsewhere, of which there is no source, holds by its digest alone.
        """
        if not self._content_read:
            return False
        differs = self.stale or self.missing or self.mode_differs or self.undeclared
        return not differs and self.other_base is None and self.compared != 0


@dataclass(frozen=True, slots=True)
class DeployKey:
    """Names one deployment, so that it is found again and never made twice."""

    run_id: str
    cycle: int
    service: str
    digest: str

    def __str__(self) -> str:
        return f"{self.run_id}/{self.cycle}/{self.service}/{self.digest}"

    @staticmethod
    def of(text: str) -> DeployKey:
        """The key that reads like that; raises `ValueError` for what is none."""
        run_id, cycle, service, digest = text.split("/", 3)
        return DeployKey(run_id, int(cycle), service, digest)


@dataclass(frozen=True, slots=True)
class Revision:
    """An immutable deployed version of a service."""

    service: str
    name: str
    digest: str
    created_at: datetime
    key: str | None = None


@dataclass(frozen=True, slots=True)
class ServiceState:
    """Who serves a service. `traffic` is percent by revision name.

    `generation` changes with every write to the service, whoever makes it, so that a stranger's
    write is seen.
    """

    service: str
    url: str
    ws_url: str
    traffic: Mapping[str, int]
    revisions: tuple[Revision, ...]
    generation: str

    def revision(self, name: str) -> Revision | None:
        """The revision of that name, None when it is not known any more."""
        return next((r for r in self.revisions if r.name == name), None)


@dataclass(frozen=True, slots=True)
class Target:
    """The identity that is locked: one service of one environment in the real world."""

    platform: str
    place: str
    service: str

    def __str__(self) -> str:
        return f"{self.platform}:{self.place}:{self.service}"
