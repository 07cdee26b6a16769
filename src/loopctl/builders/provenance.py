"""The content proof of an image: its files against those of the source that it is said to be of.

Labels lie and caches lie; content does not. What the Dockerfile copies is read back out of the
image and compared, file by file. Only where something is not as it should be are the layers
looked at: they tell a file that a later step changed from one that was old when it was copied,
and a file that a step made from one that was copied and is no part of the source any more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from loopctl.builders.context import Context
from loopctl.builders.copy_map import CopyMap, copy_map
from loopctl.builders.copy_step import Base, Placed
from loopctl.builders.dockerfile import external_images
from loopctl.builders.image_files import Found, find_all, roots
from loopctl.builders.image_layers import ImageLayers
from loopctl.builders.image_reader import ImageReader
from loopctl.builders.image_shadows import Hiding, shadows_of
from loopctl.builders.image_shelf import TREE_LABEL
from loopctl.builders.image_uncovered import beside, not_covered, of_base_too, other_base
from loopctl.engine.entries import Entry, Facts
from loopctl.engine.errors import NotInEngineError
from loopctl.evidence.blobs import EXECUTABLE, LINK, REGULAR
from loopctl.evidence.provenance import Compared, Difference, How, judge_image
from loopctl.model.artifact import ContentProof, SourceFile, SourceTree
from loopctl.model.plan import ServiceSpec
from loopctl.process import Stop


def prove_image(
    images: ImageReader,
    image_id: str,
    source: SourceTree,
    context: Context,
    dockerfile: str,
    spec: ServiceSpec,
    stop: Stop,
    assumed: Mapping[str, Base] | None = None,
) -> ContentProof:
    """Read what the image holds and compare; `assumed` is taken of bases that nobody tells of.

    Raises what the reader does, `Stopped`; leaves nothing.
    """
    image = _image(images, image_id, stop)
    bases = _bases(images, dockerfile, spec, image.platform, stop)
    told = {**(assumed or {}), **_told(bases)}
    made = _map(context, dockerfile, spec, told, image.platform)
    with images.contents(image.id, stop) as contents:
        found, extra = find_all(contents, made)
        shadows = shadows_of(contents, made, found, extra)
    # Only some ways of sending a context bring these along: they need not be there.
    unasked = {file.path for file in context.taken_unasked}
    found = [f for f in found if f.entry is not None or f.placed.source not in unasked]
    blobs = {file.path: file for file in context.sent}
    wrong = [each for each in found if _difference(each, blobs) is not None]
    layers = None
    old = _older(extra, _begun(image, made, bases))
    if wrong or old or shadows:
        layers = _layers(images, image, made, bases, [*_names(wrong), *old, *shadows], stop)
    places = Counter(each.source for each in made.placed.values())
    hiding = Hiding(shadows, layers)
    compared = Compared(
        count=sum(each.placed.source not in unasked for each in found),
        differences=tuple(_explained(each, blobs, layers, places) for each in wrong),
        outdated=tuple(dict.fromkeys([*hiding.refused(), *_outdated(old, shadows, layers)])),
        extra=tuple(sorted(extra)),
        not_covered=(
            *not_covered(context, made, bases, images.without),
            *hiding.made(),
            *beside(extra, of_base_too(images, made, bases, image, extra, stop)),
        ),
        other_base=other_base(made, bases, image),
    )
    return judge_image(spec.name, source, compared, spec.build.alters, image.labels.get(TREE_LABEL))


def roots_of(
    images: ImageReader,
    image_id: str,
    context: Context,
    dockerfile: str,
    spec: ServiceSpec,
    stop: Stop,
    assumed: Mapping[str, Base] | None = None,
) -> tuple[str, ...]:
    """The absolute paths in the image, folders and files, that source was copied to.

    Whatever `prove_image` compares lies at or below one of them. Raises `EngineError`, `Stopped`.
    """
    image = _image(images, image_id, stop)
    told = {**(assumed or {}), **told_by_bases(images, dockerfile, spec, stop, image.platform)}
    return roots(_map(context, dockerfile, spec, told, image.platform))


def told_by_bases(
    images: ImageReader,
    dockerfile: str,
    spec: ServiceSpec,
    stop: Stop,
    platform: str | None = None,
) -> Mapping[str, Base]:
    """What the outside images that a Dockerfile names say of themselves, as the reader has it."""
    return _told(_bases(images, dockerfile, spec, platform, stop))


def _image(images: ImageReader, image_id: str, stop: Stop) -> Facts:
    image = images.facts(image_id, stop)
    if image is None:
        raise NotInEngineError(f"the image {image_id} is not in the engine", 404)
    return image


def _bases(
    images: ImageReader, dockerfile: str, spec: ServiceSpec, platform: str | None, stop: Stop
) -> Mapping[str, Facts]:
    names = external_images(dockerfile, spec.build.args or {}, spec.build.target, platform)
    found = {name: images.facts(name, stop) for name in names}
    return {name: facts for name, facts in found.items() if facts is not None}


def _told(bases: Mapping[str, Facts]) -> Mapping[str, Base]:
    return {name: Base(f.env, f.workdir or "/", f.onbuild) for name, f in bases.items()}


def _map(
    context: Context,
    dockerfile: str,
    spec: ServiceSpec,
    bases: Mapping[str, Base],
    platform: str | None,
) -> CopyMap:
    return copy_map(
        dockerfile,
        context.sent,
        target=spec.build.target,
        args=spec.build.args or {},
        links=context.links,
        bases=bases,
        platform=platform,
        is_archive=context.is_archive,
    )


def _layers(
    images: ImageReader,
    image: Facts,
    made: CopyMap,
    bases: Mapping[str, Facts],
    paths: Sequence[str],
    stop: Stop,
) -> ImageLayers:
    names = frozenset(path.rpartition("/")[2] for path in paths)
    base = bases.get(made.base or "")
    below = None if base is None else len(base.layers)
    if made.base is None:
        below = 0
    elif base is None or image.layers[:below] != base.layers:
        below = None
    return ImageLayers(images.layers(image.id, names, stop), made.steps, below)


def _begun(image: Facts, made: CopyMap, bases: Mapping[str, Facts]) -> int | None:
    """When the first step above the base image had ended, None where that cannot be told."""
    below: tuple[int, ...] = ()
    if made.base is not None:
        base = bases.get(made.base)
        if base is None or image.layers[: len(base.layers)] != base.layers:
            return None
        below = base.times
    return image.times[len(below)] if len(image.times) > len(below) else None


def _older(extra: Mapping[str, Entry], begun: int | None) -> Mapping[str, Entry]:
    """What may have been copied: a step's own products are younger than the build.

    A copied file is as old as its context says, and loopctl's own say 2000 to 2008.
    """
    if begun is None:
        return extra
    return {path: entry for path, entry in extra.items() if entry.mtime < begun}


def _names(found: Sequence[Found]) -> Iterator[str]:
    for each in found:
        yield each.path
        yield each.placed.path


def _difference(found: Found, blobs: Mapping[str, SourceFile]) -> How | None:
    entry, placed = found.entry, found.placed
    if entry is None:
        return How.MISSING
    if entry.kind != ("link" if placed.is_link else "file"):
        return How.STALE
    if entry.blob != blobs[placed.source].blob:
        return How.STALE
    return How.MODE if _has_other_mode(placed, entry) else None


def _has_other_mode(placed: Placed, entry: Entry) -> bool:
    if placed.is_link or placed.mode is None or entry.mode == placed.mode:
        return False
    # Engines of 2022 leave the bit out that --chmod asks for above the nine.
    return not (placed.mode > 0o777 and entry.mode == placed.mode & 0o777)


def _explained(
    found: Found,
    blobs: Mapping[str, SourceFile],
    layers: ImageLayers | None,
    places: Mapping[str, int],
) -> Difference:
    how = _difference(found, blobs)
    assert how is not None
    placed, entry = found.placed, found.entry
    altered = None if layers is None else _altered(found, blobs, layers)
    maybe = placed.before[-1].elsewhere if placed.before and altered is None else None
    return Difference(
        path=placed.source,
        name=f"{placed.source} (at {found.path})" if places[placed.source] > 1 else placed.source,
        how=how,
        altered=altered,
        maybe=maybe,
        blob=None if entry is None else entry.blob,
        mode=None if entry is None else _git_mode(entry),
    )


def _altered(found: Found, blobs: Mapping[str, SourceFile], layers: ImageLayers) -> str | None:
    """The step that changed a file after it had come rightly; None where it never had."""
    touches = layers.touches(found.path)
    right = [
        touch.layer
        for touch in touches
        if touch.entry is not None
        and _difference(Found(found.placed, found.path, touch.entry), blobs) is None
    ]
    if not right or touches[-1].layer <= right[-1]:
        return None
    last = touches[-1]
    what = "removed" if found.entry is None else "altered"
    return f"{what} by {layers.named(last.layer)}"


def _outdated(
    extra: Mapping[str, Entry], shadows: Mapping[str, Found], layers: ImageLayers | None
) -> Iterator[str]:
    """What was copied from a context, and is in this source no more: the image is of another."""
    if layers is None or layers.own is None:
        return
    for path in sorted(extra.keys() - shadows.keys()):
        layer = layers.origin(path)
        if layer is None or layer < layers.own or not layers.is_copied(layer):
            continue
        step = layers.step(layer)
        if step is None or not step.foreign:
            yield f"{path} (not in the source, put there by {layers.named(layer)})"


def _git_mode(entry: Entry) -> str:
    if entry.kind == "link":
        return LINK
    mode = EXECUTABLE if entry.mode & 0o100 else REGULAR
    exact = entry.mode in (0o755, 0o644)
    return mode if exact else f"100{entry.mode:04o}"
