"""Dockerfiles: what they are built from, what they start, where that listens."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from loopctl.authoring.looking.facts import Certainty, Fact, Image, Launch, Place
from loopctl.authoring.looking.health_paths import asked_by
from loopctl.authoring.looking.launches import launch_of
from loopctl.authoring.looking.tree import Tree, folder_of, joined
from loopctl.builders.dockerfile import (
    Dockerfile,
    Instruction,
    Stage,
    assignments,
    global_arguments,
    parse,
)
from loopctl.builders.dockerfile_words import NotUnderstoodError, expand

_LIMIT: Final = 100
_SHELLS: Final = (("/bin/sh", "-c"), ("sh", "-c"), ("/bin/bash", "-c"), ("bash", "-c"))


def read_images(tree: Tree) -> tuple[Image, ...]:
    """Every Dockerfile of the tree."""
    paths = list(tree.below(".", "Dockerfile", "Dockerfile.*", "*.Dockerfile", "Containerfile"))
    texts = [path for path in paths if not path.endswith((".md", ".dockerignore", ".tmpl", ".j2"))]
    images = (read_image(tree, path) for path in texts[:_LIMIT])
    return tuple(image for image in images if image is not None)


def read_image(
    tree: Tree, path: str, context: str | None = None, target: str | None = None
) -> Image | None:
    """One Dockerfile, None where it has no such stage; `context` where something says it."""
    dockerfile = parse(tree.text(path))
    last = dockerfile.target(target)
    if last is None:
        return None
    chain = tuple(_chain(dockerfile, last))
    known = _known(dockerfile, chain)
    certainty = Certainty.FOUND if context is not None else Certainty.GUESSED
    return Image(
        file=path,
        context=_context(tree, path, dockerfile) if context is None else context,
        certainty=certainty,
        launch=_launch(path, chain),
        ports=tuple(_ports(path, chain, known)),
        health=_health(path, chain),
        wants=tuple(_wants(path, dockerfile)),
    )


def _chain(dockerfile: Dockerfile, stage: Stage) -> Iterator[Stage]:
    """The stage and those that it is FROM, the nearest first: what they say holds for it too."""
    at: Stage | None = stage
    while at is not None:
        yield at
        at = dockerfile.stage(at.base, at.index)


def _known(dockerfile: Dockerfile, chain: Sequence[Stage]) -> Mapping[str, str]:
    known = dict(global_arguments(dockerfile, {}))
    for stage in reversed(chain):
        for each in stage.instructions:
            if each.keyword in ("ARG", "ENV"):
                for name, value in assignments(each, dockerfile.escape):
                    if value is not None:
                        known[name] = _expanded(value, known) or ""
    return known


def _expanded(text: str, known: Mapping[str, str]) -> str | None:
    try:
        return expand(text, known)
    except NotUnderstoodError:
        return None


def _last(chain: Sequence[Stage], keyword: str) -> Instruction | None:
    for stage in chain:
        for each in reversed(stage.instructions):
            if each.keyword == keyword:
                return each
    return None


def _launch(path: str, chain: Sequence[Stage]) -> Fact[Launch] | None:
    start, command = _last(chain, "ENTRYPOINT"), _last(chain, "CMD")
    if start is None:
        return _fact(path, command) if command is not None else None
    listed = _is_list(start)
    if listed and command is not None and _is_list(command) and start.words[:2] not in _SHELLS:
        launch = launch_of((*start.words, *command.words), None)
        said = Place(path, start.line)
        return Fact(launch, said, how="ENTRYPOINT and CMD") if launch else None
    return _fact(path, start)


def _fact(path: str, instruction: Instruction) -> Fact[Launch] | None:
    if _is_list(instruction):
        words = instruction.words
        line = words[2] if words[:2] in _SHELLS and len(words) == 3 else None
        launch = launch_of(words, line)
    else:
        launch = launch_of((), instruction.rest)
    said = Place(path, instruction.line)
    return Fact(launch, said, how=instruction.keyword) if launch else None


def _is_list(instruction: Instruction) -> bool:
    return instruction.rest.lstrip().startswith("[") and instruction.words[:1] != ("[",)


def _ports(path: str, chain: Sequence[Stage], known: Mapping[str, str]) -> Iterator[Fact[int]]:
    for stage in chain:
        for each in stage.instructions:
            for word in each.words if each.keyword == "EXPOSE" else ():
                number = (_expanded(word, known) or "").partition("/")[0]
                if re.fullmatch(r"[1-9]\d{0,4}", number) and int(number) < 65536:
                    yield Fact(int(number), Place(path, each.line), how="EXPOSE")


def _health(path: str, chain: Sequence[Stage]) -> Fact[str] | None:
    check = _last(chain, "HEALTHCHECK")
    asked = asked_by(check.rest) if check is not None else None
    if check is None or asked is None:
        return None
    return Fact(asked[0], Place(path, check.line), how="HEALTHCHECK")


def _wants(path: str, dockerfile: Dockerfile) -> Iterator[Fact[str]]:
    """The ARGs of the head without a default: FROM cannot be filled in without them."""
    for each in dockerfile.head:
        for name, default in assignments(each, dockerfile.escape):
            if each.keyword == "ARG" and default is None and name.isidentifier():
                yield Fact(name, Place(path, each.line), how="ARG without a default")


def _context(tree: Tree, path: str, dockerfile: Dockerfile) -> str:
    """The nearest folder, from the Dockerfile's upwards, that has all it copies."""
    wanted = [
        word.lstrip("/")
        for stage in dockerfile.stages
        for each in stage.instructions
        if each.keyword in ("COPY", "ADD") and not any(flag == "from" for flag, _ in each.flags)
        for word in each.words[:-1]
        if re.fullmatch(r"[\w./-]+", word) and "://" not in word
    ]
    own = folder = folder_of(path)
    while True:
        if all(_is_there(tree, folder, word) for word in wanted):
            return folder
        if folder == ".":
            return own
        folder = folder_of(folder)


def _is_there(tree: Tree, folder: str, word: str) -> bool:
    place = joined(folder, word)
    return tree.has(place) or tree.has_folder(place)
