"""Compose files: services that are built here, what they need, and what comes as an image."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from loopctl.authoring.looking.facts import ComposeService, Fact, Launch, Place, Variable
from loopctl.authoring.looking.health_paths import asked_by
from loopctl.authoring.looking.launches import launch_of
from loopctl.authoring.looking.structured import place_of, words_of, yaml_documents
from loopctl.authoring.looking.tree import Tree, joined
from loopctl.loopfile.nodes import Node, Scalar, Sequence, Table

_NAMES: Final = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
_VARIABLE: Final = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_LIMIT: Final = 60
_LONGEST: Final = 4_000
_PUBLISHED: Final = re.compile(r"(?:.*?:)?(?:\$\{\w+:-(\d+)\}|(\d+)):(\d+)(?:/tcp)?")


def read_compose(tree: Tree) -> tuple[ComposeService, ...]:
    """The services of the tree's compose file: the one that is nearest to its top."""
    found = sorted(
        (path.count("/"), _NAMES.index(path.rpartition("/")[2]), path)
        for path in tree.below(".", *_NAMES)
    )
    for depth, _, path in found:
        if depth > 2:
            break
        services = tuple(_services(tree, path))
        if services:
            return services
        if "services:" in tree.text(path):
            tree.pass_over(path, "nothing in it could be read as services")
    return ()


def _services(tree: Tree, path: str) -> Iterator[ComposeService]:
    folder = path.rpartition("/")[0]
    for document in yaml_documents(tree, path):
        for entry in list(document.table("services").named())[:_LIMIT]:
            if isinstance(entry.value, Table) and entry.value.get("profiles") is None:
                place = Place(path, entry.mark.line)
                yield _service(tree, path, folder, entry.key, place, entry.value)


def _service(
    tree: Tree, path: str, folder: str, name: str, place: Place, table: Table
) -> ComposeService:
    context, dockerfile = _build(tree, folder, table)
    return ComposeService(
        name=name,
        place=place,
        context=context,
        dockerfile=dockerfile,
        target=table.text("build", "target"),
        args=tuple(_variables(path, table.get("build", "args"))),
        image=table.text("image"),
        ports=tuple(_ports(path, table)),
        env=tuple(_variables(path, table.get("environment"))),
        env_files=tuple(_env_files(path, folder, table)),
        needs=tuple(_needs(path, table)),
        health=_health(path, table),
        launch=_launch(path, table),
    )


def _build(tree: Tree, folder: str, table: Table) -> tuple[str | None, str | None]:
    """The folder and the Dockerfile of a build, from the tree; none when it leads out of it."""
    build = table.get("build")
    if build is None:
        return None, None
    written = table.text("build") or table.text("build", "context") or "."
    context = joined(folder, written)
    if context.startswith("..") or "$" in written or not tree.has_folder(context):
        return None, None
    dockerfile = joined(context, table.text("build", "dockerfile") or "Dockerfile")
    return context, dockerfile if tree.has(dockerfile) else None


def _ports(path: str, table: Table) -> Iterator[Fact[tuple[int | None, int]]]:
    """Pairs of the port of this machine and the container's."""
    for node in (*table.items("ports"), *table.items("expose")):
        published: str | None = None
        target: str | None = None
        if isinstance(node, Scalar):
            found = _PUBLISHED.fullmatch(node.text)
            if found:
                published, target = found[1] or found[2], found[3]
            else:
                target = node.text.removesuffix("/tcp")
        elif isinstance(node, Table):
            published, target = node.text("published"), node.text("target")
        if target and re.fullmatch(r"[1-9]\d{0,4}", target) and int(target) < 65536:
            host = int(published) if published and re.fullmatch(r"\d{1,5}", published) else None
            yield Fact((host, int(target)), place_of(path, node), how="ports")


def _variables(path: str, node: Node | None) -> Iterator[Fact[Variable]]:
    for name, value, at in _pairs(node):
        if _VARIABLE.fullmatch(name):
            # Nobody's setting is longer; that there is one is known all the same.
            short = value if value is None or len(value) <= _LONGEST else None
            yield Fact(Variable(name, short), place_of(path, at), how="environment")


def _pairs(node: Node | None) -> Iterator[tuple[str, str | None, Node]]:
    if isinstance(node, Table):
        for entry in node.entries.values():
            scalar = entry.value if isinstance(entry.value, Scalar) else None
            written = scalar.text if scalar is not None and not scalar.is_null else None
            yield entry.key, written, entry.value
    for text, item in words_of(node) if isinstance(node, Sequence) else ():
        name, equals, value = text.partition("=")
        yield name, value if equals else None, item


def _env_files(path: str, folder: str, table: Table) -> Iterator[Fact[str]]:
    node = table.get("env_file")
    for item in node.items if isinstance(node, Sequence) else (node,):
        text = item.text("path") if isinstance(item, Table) else None
        text = item.text if isinstance(item, Scalar) else text
        if text and item is not None:
            yield Fact(joined(folder, text), place_of(path, item), how="env_file")


def _needs(path: str, table: Table) -> Iterator[Fact[str]]:
    node = table.get("depends_on")
    if isinstance(node, Table):
        for entry in node.entries.values():
            yield Fact(entry.key, Place(path, entry.mark.line), how="depends_on")
    for text, item in words_of(node) if isinstance(node, Sequence) else ():
        yield Fact(text, place_of(path, item), how="depends_on")


def _health(path: str, table: Table) -> Fact[str] | None:
    node = table.get("healthcheck", "test")
    asked = asked_by(" ".join(text for text, _ in words_of(node)))
    if node is None or asked is None:
        return None
    return Fact(asked[0], place_of(path, node), how="healthcheck")


def _launch(path: str, table: Table) -> Fact[Launch] | None:
    node = table.get("command")
    if node is None:
        return None
    words = tuple(text for text, _ in words_of(node))
    line = node.text if isinstance(node, Scalar) else None
    launch = launch_of(words, line)
    return Fact(launch, place_of(path, node), how="command") if launch else None
