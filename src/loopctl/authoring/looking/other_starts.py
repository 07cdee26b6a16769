"""How Node and Go code is started on this machine, and what a Procfile starts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from loopctl.authoring.looking.facts import Certainty, Fact, Launch, Package, Place, Start
from loopctl.authoring.looking.launches import launch_of, split
from loopctl.authoring.looking.source_code import is_test
from loopctl.authoring.looking.structured import json_object, line_of
from loopctl.authoring.looking.tree import Tree, distance, folder_of, joined

_LOCKS: Final = {
    "package-lock.json": ("npm", "npm ci"),
    "npm-shrinkwrap.json": ("npm", "npm ci"),
    "pnpm-lock.yaml": ("pnpm", "pnpm install --frozen-lockfile"),
    "yarn.lock": ("yarn", "yarn install --frozen-lockfile"),
    "bun.lockb": ("bun", "bun install --frozen-lockfile"),
}
_SCRIPT: Final = ("*.js", "*.mjs", "*.cjs", "*.ts")
_BINARY: Final = ".loop-bin"
_WEB: Final = re.compile(r"^web:\s*(.+)$", re.MULTILINE)
_LIMIT: Final = 60


def read_packages(tree: Tree) -> tuple[Package, ...]:
    """Every package.json of the tree."""
    found = list(tree.below(".", "package.json"))[:_LIMIT]
    return tuple(filter(None, (_package(tree, path) for path in found)))


def _package(tree: Tree, path: str) -> Package | None:
    read, folder = json_object(tree, path), folder_of(path)
    scripts = read.get("scripts")
    lines = {
        str(name): Fact((str(name), line), line_of(tree, path, f'"{name}"'), how="scripts")
        for name, line in (scripts.items() if isinstance(scripts, dict) else ())
        if isinstance(line, str)
    }
    depends = {
        str(name)
        for listed in (read.get("dependencies"), read.get("devDependencies"))
        for name in (listed if isinstance(listed, dict) else ())
    }
    lock = next((lock for lock in _LOCKS if tree.has(joined(folder, lock))), None)
    name, main = read.get("name"), read.get("main")
    return Package(
        folder=folder,
        place=Place(path),
        name=name if isinstance(name, str) else "",
        scripts=tuple(lines.values()),
        depends=frozenset(depends),
        manager=_LOCKS[lock][0] if lock else "npm",
        locked=lock is not None,
        main=main if isinstance(main, str) else "",
    )


def node_start(tree: Tree, package: Package, given: Sequence[Fact[Launch]]) -> Start | None:
    """How a Node package is started: by its script, else by a command that another file `given`s.

    None where nothing tells.
    """
    scripts = {fact.value[0]: fact for fact in package.scripts}
    start = scripts.get("start")
    folder = package.folder
    told = next((fact for fact in given if _runs_file(tree, folder, fact.value)), None)
    if told is not None and (start is None or told.how == "web"):
        launch = told
    elif start is None:
        spoken = [word for fact in package.scripts for word in fact.value[1].split()]
        named = [word for word in spoken if word.endswith((".js", ".mjs", ".cjs"))]
        names = ("server.js", "index.js", "app.js", package.main, *named)
        server = next((name for name in names if name and _serves(tree, folder, name)), None)
        if server is None:
            return None
        place = Place(joined(folder, server))
        launch = Fact(Launch(words=("node", server)), place, Certainty.GUESSED, "listens")
    else:
        launch = Fact(_direct(start.value[1], package), start.place, how="scripts.start")
    builds = "build" in scripts and _needs_build(tree, folder, launch.value)
    steps = (_install(package, builds=builds),) if package.depends else ()
    if builds:
        steps = (*steps, f"{package.manager} run build")
    reads = any(
        "process.env.PORT" in tree.text(path) or "'PORT'" in tree.text(path)
        for path in tree.below(folder, *_SCRIPT)
        if not is_test(path)
    )
    return Start(folder, "node", launch, steps, True if reads else None)


def _runs_file(tree: Tree, folder: str, launch: Launch) -> bool:
    words = launch.words
    return len(words) == 2 and words[0] == "node" and tree.has(joined(folder, words[1]))


def _serves(tree: Tree, folder: str, name: str) -> bool:
    path = tree.directly(folder, name)
    return path is not None and ".listen(" in tree.text(path)


def _direct(script: str, package: Package) -> Launch:
    """The script's own program where it is node with a file: npm would stand in a signal's way."""
    words = split(script) or ()
    if len(words) >= 2 and words[0] == "node" and not re.search(r"[&|;<>$`]", script):
        return Launch(words=words)
    return Launch(words=(package.manager, "start"))


def _needs_build(tree: Tree, folder: str, launch: Launch) -> bool:
    """Whether what is started is not among the sources: a build makes it."""
    files = [word for word in launch.words[1:] if word.endswith((".js", ".mjs", ".cjs"))]
    if launch.words[:1] == ("node",) and files:
        return not tree.has(joined(folder, files[0]))
    return launch.words[:1] != ("node",)


def _install(package: Package, *, builds: bool) -> str:
    command = next(how for name, how in _LOCKS.values() if name == package.manager)
    if not package.locked:
        return "npm install --no-audit --no-fund"
    if package.manager == "npm" and not builds:
        return f"{command} --omit=dev"
    return command


def go_start(tree: Tree, folder: str) -> Start | None:
    """How a Go module is built and started: the one command that it has."""
    if not tree.has(joined(folder, "go.mod")):
        return None
    mains = sorted(
        {
            folder_of(path)
            for path in tree.below(folder, "*.go")
            if not is_test(path)
            and distance(path, folder) <= 3
            and re.search(r"^package main$", tree.text(path), re.MULTILINE)
        }
    )
    if folder in mains:
        mains = [folder]
    if len(mains) != 1:
        return None
    below = mains[0].removeprefix(folder).lstrip("/") if folder != "." else mains[0]
    target = "." if mains[0] == folder else f"./{below}"
    if not re.fullmatch(r"[\w./-]+", target):
        return None
    reads = any('"PORT"' in tree.text(path) for path in tree.below(mains[0], "*.go"))
    launch = Launch(words=(f"./{_BINARY}",))
    place = Place(joined(folder, "go.mod"))
    why = Fact(launch, place, Certainty.GUESSED, f"package main in {mains[0]}")
    return Start(folder, "go", why, (f"go build -o {_BINARY} {target}",), True if reads else None)


def procfile_launch(tree: Tree, folder: str) -> Iterator[Fact[Launch]]:
    """What a Procfile starts as `web`."""
    path = tree.directly(folder, "Procfile")
    found = _WEB.search(tree.text(path)) if path else None
    launch = launch_of((), found[1]) if found else None
    if path and found and launch:
        yield Fact(
            launch, Place(path, tree.text(path).count("\n", 0, found.start()) + 1), how="web"
        )
