"""What the image tells of the base that it stands on, where nobody else does. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from loopctl.builders.copy_step import Base
from loopctl.builders.dockerfile import Dockerfile, Stage, external_images, parse
from loopctl.engine.entries import Facts


def assumed_base(
    dockerfile: str, args: Mapping[str, str], target: str | None, image: Facts
) -> Mapping[str, Base]:
    """The outside image below the target stage, by its name; empty where too little is known.

    A variable that no ENV sets has the value that the image has in the end, and so has the working
    folder where no WORKDIR leads on from it. A wrong assumption finds files missing, none present.
    """
    parsed = parse(dockerfile)
    goal = parsed.target(target)
    if goal is None:
        return {}
    chain = tuple(_chain(parsed, goal))
    folders = [
        each.rest
        for stage in reversed(chain)
        for each in stage.instructions
        if each.keyword == "WORKDIR"
    ]
    if folders and not folders[0].startswith("/"):
        return {}
    workdir = "/" if folders else image.workdir or "/"
    lowest = replace(chain[-1], index=0, name=None, instructions=())
    outside = Dockerfile(parsed.head, (lowest,), parsed.escape, parsed.syntax)
    names = external_images(outside, args, None, image.platform)
    return {name: Base(dict(image.env), workdir, ()) for name in names[:1]}


def _chain(parsed: Dockerfile, stage: Stage) -> Iterator[Stage]:
    """The stages that the target stands on, itself first."""
    found: Stage | None = stage
    while found is not None:
        yield found
        found = parsed.stage(found.base, found.index)
