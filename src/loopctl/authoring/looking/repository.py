"""All readers, one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from loopctl.authoring.looking.compose_files import read_compose
from loopctl.authoring.looking.dockerfiles import read_image, read_images
from loopctl.authoring.looking.facts import (
    ComposeService,
    Fact,
    Image,
    Launch,
    Looked,
    Package,
    Start,
)
from loopctl.authoring.looking.gcloud import read_deploys
from loopctl.authoring.looking.hints import read_ci, read_hints, read_knative
from loopctl.authoring.looking.other_starts import (
    go_start,
    node_start,
    procfile_launch,
    read_packages,
)
from loopctl.authoring.looking.pytest_trees import read_pytest
from loopctl.authoring.looking.python_starts import read_start
from loopctl.authoring.looking.repository_name import read_name
from loopctl.authoring.looking.runners import read_runners
from loopctl.authoring.looking.source_code import read_routes, read_variables
from loopctl.authoring.looking.tree import Tree, folder_of, is_within, joined

_LIMIT: Final = 30
_MANIFESTS: Final = ("pyproject.toml", "requirements.txt", "package.json", "go.mod")


def look(root: Path) -> tuple[Looked, Tree]:
    """What the folder says of itself, and the files that were read."""
    tree = Tree(root)
    images, compose, packages = read_images(tree), read_compose(tree), read_packages(tree)
    return (
        Looked(
            name=read_name(root),
            images=images,
            compose=compose,
            starts=tuple(_starts(tree, images, compose, packages)),
            reads=read_variables(tree),
            routes=read_routes(tree),
            packages=packages,
            pytest=read_pytest(tree),
            runners=read_runners(tree, packages),
            deploys=(*read_deploys(tree), *read_knative(tree)),
            hints=read_hints(tree),
            ci=read_ci(tree),
            passed_over=tree.passed_over,
        ),
        tree,
    )


def _starts(
    tree: Tree,
    images: Sequence[Image],
    compose: Sequence[ComposeService],
    packages: Sequence[Package],
) -> Iterator[Start]:
    """How code is started, in the folders that are built, in the tree itself and right below it."""
    by_folder = {package.folder: package for package in packages}
    commands: dict[str, list[Fact[Launch]]] = {}
    wanted: dict[tuple[str, str], None] = {}
    for each in compose:
        if each.context is not None:
            file = each.dockerfile or joined(each.context, "Dockerfile")
            code = _code_folder(tree, each.context, file)
            wanted[each.context, code] = None
            built = read_image(tree, each.dockerfile or "", each.context, each.target)
            launch = each.launch or (built.launch if built else None)
            commands.setdefault(code, []).extend([launch] if launch else [])
    for image in images:
        code = _code_folder(tree, image.context, image.file)
        wanted.setdefault((image.context, code))
        commands.setdefault(code, []).extend([image.launch] if image.launch else [])
    tops = {path.partition("/")[0] for path in tree.files if "/" in path}
    for folder in (".", *sorted(tops)):
        wanted.setdefault((folder, folder))
    for context, folder in list(wanted)[: _LIMIT * 2]:
        given = [*procfile_launch(tree, folder), *commands.get(folder, ())]
        package = by_folder.get(folder)
        start = (
            read_start(tree, folder, given)
            or (node_start(tree, package, given) if package else None)
            or go_start(tree, folder)
        )
        if start is not None:
            yield replace(start, context=context)


def _code_folder(tree: Tree, context: str, dockerfile: str) -> str:
    """Where the code of an image is: beside its Dockerfile, where its packages are named there."""
    folder = folder_of(dockerfile)
    if is_within(folder, context) and any(tree.has(joined(folder, name)) for name in _MANIFESTS):
        return folder
    return context
