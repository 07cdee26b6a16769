"""All readers, one after the other."""

from __future__ import annotations

from pathlib import Path

from loopctl.authoring.looking.compose_files import read_compose
from loopctl.authoring.looking.dockerfiles import read_images
from loopctl.authoring.looking.facts import Fact, Image, Launch, Looked, Package, Start
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
from loopctl.authoring.looking.tree import Tree

_LIMIT = 30


def look(root: Path) -> tuple[Looked, Tree]:
    """What the folder says of itself, and the files that were read."""
    tree = Tree(root)
    images, compose, packages = read_images(tree), read_compose(tree), read_packages(tree)
    folders = [image.context for image in images]
    folders += [each.context for each in compose if each.context is not None]
    given: dict[str, list[Fact[Launch]]] = {}
    for each in compose:
        if each.context is not None and each.launch is not None:
            given.setdefault(each.context, []).append(each.launch)
    starts = _starts(tree, images, packages, folders, given)
    return (
        Looked(
            name=read_name(root),
            images=images,
            compose=compose,
            starts=starts,
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
    images: tuple[Image, ...],
    packages: tuple[Package, ...],
    folders: list[str],
    given: dict[str, list[Fact[Launch]]],
) -> tuple[Start, ...]:
    """How code is started, in the folders that are built, in the tree itself and right below it."""
    tops = {path.partition("/")[0] for path in tree.files if "/" in path}
    wanted = dict.fromkeys([*folders, ".", *sorted(tops)])
    by_folder = {package.folder: package for package in packages}
    found: list[Start] = []
    for folder in list(wanted)[: _LIMIT * 2]:
        launches = list(procfile_launch(tree, folder))
        launches += given.get(folder, [])
        launches += [i.launch for i in images if i.context == folder and i.launch is not None]
        package = by_folder.get(folder)
        start = (
            read_start(tree, folder, launches)
            or (node_start(tree, package) if package else None)
            or go_start(tree, folder)
        )
        if start is not None:
            found.append(start)
    return tuple(found)
