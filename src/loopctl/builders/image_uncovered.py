"""What the proof of an image does not cover, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from loopctl.builders.context import Context
from loopctl.builders.copy_map import CopyMap
from loopctl.builders.image_files import SHARED, roots
from loopctl.builders.image_reader import ImageReader
from loopctl.engine.entries import Entry, Facts
from loopctl.inert import one_line
from loopctl.process import Stop

_NAMED: Final = 3


def not_covered(
    context: Context, made: CopyMap, bases: Mapping[str, Facts], without: str
) -> Iterator[str]:
    """Sentences on the base image, on steps, on what is unknown, on what no COPY takes.

    `without` says why nothing is known of a base.
    """
    yield from _of_base(made, bases, without)
    for step in made.steps:
        if step.keyword == "RUN":
            yield f"what {step} has made"
    yield from made.uncovered
    if shared := [folder for folder in made.folders if folder in SHARED]:
        yield f"other files in {', '.join(shared)}, where source was copied to"
    taken = made.sources
    left = [file.path for file in context.files if file.path not in taken]
    if left:
        yield f"{_files(len(left))} of the source that no COPY takes into the image: {_some(left)}"


def beside(extra: Mapping[str, Entry], of_base: frozenset[str]) -> Iterator[str]:
    """What is in the folders copied to and is no file of the source."""
    if own := sorted(extra.keys() - of_base):
        yield f"{_files(len(own))} beside the copied ones: {_some(own)}"
    if of_base:
        what = f"{_files(len(of_base))} beside the copied ones"
        yield f"{what} that came with the base image: {_some(sorted(of_base))}"


def of_base_too(
    images: ImageReader,
    made: CopyMap,
    bases: Mapping[str, Facts],
    image: Facts,
    extra: Mapping[str, Entry],
    stop: Stop,
) -> frozenset[str]:
    """Those of the extra files that the base image has just so. Raises what the reader does."""
    base = bases.get(made.base or "")
    if not extra or base is None or image.layers[: len(base.layers)] != base.layers:
        return frozenset()
    there: dict[str, Entry] = {}
    with images.contents(base.id, stop) as contents:
        for root in roots(made):
            if any(path == root or path.startswith(f"{root}/") for path in extra):
                there.update(contents.read(root, lambda _: False))
    return frozenset(p for p in extra if p in there and _is_same(extra[p], there[p]))


def _is_same(one: Entry, other: Entry) -> bool:
    """Without the content: a step that writes a file gives it a time of its own."""
    return (one.kind, one.mode, one.mtime) == (other.kind, other.mode, other.mtime)


def _some(paths: Sequence[str]) -> str:
    more = ", …" if len(paths) > _NAMED else ""
    return ", ".join(one_line(path) for path in paths[:_NAMED]) + more


def _of_base(made: CopyMap, bases: Mapping[str, Facts], without: str) -> Iterator[str]:
    if made.base is None:
        return
    base = bases.get(made.base)
    name = one_line(made.base)
    if base is None:
        yield f"the base image {name}, {without}"
        return
    digest = next((d.partition("@")[2] for d in base.digests), base.id)
    yield f"the base image {name} ({digest})"


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"


def other_base(made: CopyMap, bases: Mapping[str, Facts], image: Facts) -> str | None:
    """That the image does not stand on its base as the engine has it, in words; else None.

    While another build holds a base, BuildKit goes on with that one though its name has moved
    (seen with engine 20.10), and says nothing of it.
    """
    base = bases.get(made.base or "")
    if base is None or image.layers[: len(base.layers)] == base.layers:
        return None
    name = one_line(made.base or "")
    return f"it stands on another {name} than the engine has now ({base.id})"
