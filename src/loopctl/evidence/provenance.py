"""What an image holds, against what its source holds. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from loopctl.evidence.blobs import tree_digest
from loopctl.evidence.path_glob import covers
from loopctl.model.artifact import ContentProof, SourceFile, SourceTree


class How(StrEnum):
    """In what a file of an image is not that of the source."""

    STALE = "stale"
    MISSING = "missing"
    MODE = "of another mode"


@dataclass(frozen=True, slots=True)
class Difference:
    """A file of the source that an image holds otherwise.

    `name` tells it from the same file elsewhere in the image. `altered` is the step that changed
    it after it was copied, as the image's layers show; `maybe` the step that may have, where no
    layer can show it. At most one of them. `blob` and `mode` (git's) are what the image has,
    None where it has nothing.
    """

    path: str
    name: str
    how: How
    altered: str | None = None
    maybe: str | None = None
    blob: str | None = None
    mode: str | None = None

    def accepted(self, alters: Sequence[str]) -> bool:
        """Whether the loop file says that a step changes it, and one did or may have."""
        explained = self.altered is not None or self.maybe is not None
        return explained and any(covers(glob, self.path) for glob in alters)


@dataclass(frozen=True, slots=True)
class Compared:
    """Images' files held against the source: `count` of them were, `outdated` are no part of it
    any more and yet were copied from one, `extra` are others that it does not have. `other_base`
    says, in words, that the image stands on another base than it should.
    """

    count: int
    differences: tuple[Difference, ...] = ()
    outdated: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    not_covered: tuple[str, ...] = ()
    other_base: str | None = None


def judge_image(
    service: str,
    source: SourceTree,
    compared: Compared,
    alters: Sequence[str],
    labelled: str | None,
) -> ContentProof:
    """The proof of an image; `alters` are globs of files that steps are meant to change."""
    accepted = [each for each in compared.differences if each.accepted(alters)]
    refused = [each for each in compared.differences if not each.accepted(alters)]
    plain = [each for each in refused if each.altered is None]
    return ContentProof(
        service=service,
        source_tree=source.digest,
        image_tree=_image_tree(source, refused, compared),
        stale=(*(_named(d) for d in plain if d.how is How.STALE), *compared.outdated),
        missing=tuple(_named(d) for d in plain if d.how is How.MISSING),
        extra=compared.extra,
        mode_differs=tuple(_named(d) for d in plain if d.how is How.MODE),
        altered=tuple(dict.fromkeys(each.path for each in accepted)),
        not_covered=compared.not_covered,
        undeclared=tuple(f"{d.name}: {d.altered}" for d in refused if d.altered is not None),
        compared=compared.count,
        labelled=labelled,
        other_base=compared.other_base,
    )


def _named(difference: Difference) -> str:
    if difference.maybe is None:
        return difference.name
    return f"{difference.name} ({difference.maybe} may have changed it)"


def _image_tree(source: SourceTree, refused: Sequence[Difference], compared: Compared) -> str:
    """The source's own digest exactly when nothing differs that is not meant to."""
    if compared.count == 0:
        return tree_digest(())
    held = {file.path: file for file in source.files}
    for each in refused:
        if each.blob is None or each.mode is None:
            held.pop(each.path, None)
        elif each.path in held:
            held[each.path] = replace(held[each.path], blob=each.blob, mode=each.mode)
    for path in compared.outdated:
        held[path] = SourceFile(path, "", "")
    return tree_digest(held.values())


def compare(
    service: str,
    source: SourceTree,
    inside: Mapping[str, SourceFile],
    *,
    steps: int,
    alters: Sequence[str] = (),
    beyond: str,
) -> ContentProof:
    """The proof of a folder. `inside` are its files by their path in the source.

    `steps` is how many build steps may have made files of their own, `alters` are globs of files
    that they are meant to change, `beyond` what no folder covers.
    """
    known = {file.path for file in source.files}
    extra = tuple(sorted(path for path in inside if path not in known))
    made = f"{len(extra)} files made by {steps} build steps have no source to compare with"
    compared = Compared(
        count=len(source.files),
        differences=tuple(_differences(source, inside, steps)),
        extra=extra,
        not_covered=(beyond, made) if extra else (beyond,),
    )
    return judge_image(service, source, compared, alters, source.digest)


def _differences(
    source: SourceTree, inside: Mapping[str, SourceFile], steps: int
) -> Iterator[Difference]:
    """What a fresh copy holds otherwise, its build steps have changed: they may be meant to."""
    maybe = "a build step" if steps else None
    for file in source.files:
        held = inside.get(file.path)
        if held is None:
            yield Difference(file.path, file.path, How.MISSING, maybe=maybe)
        elif held.blob != file.blob:
            changed = (held.blob, held.mode)
            yield Difference(file.path, file.path, How.STALE, None, maybe, *changed)
        elif held.mode != file.mode:
            changed = (held.blob, held.mode)
            yield Difference(file.path, file.path, How.MODE, None, maybe, *changed)
