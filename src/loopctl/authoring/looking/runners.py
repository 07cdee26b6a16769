"""Tests that other runners run: Playwright, Cypress, Jest, Vitest, Go."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from typing import Final

from loopctl.authoring.looking.facts import Fact, Package, Place, Runner, UrlRead
from loopctl.authoring.looking.source_code import is_test
from loopctl.authoring.looking.structured import line_of
from loopctl.authoring.looking.tree import Tree, folder_of, joined
from loopctl.authoring.looking.url_reads import url_reads

_NODE: Final = {
    "@playwright/test": ("playwright", "npx playwright test --reporter=junit > {junit}"),
    "cypress": (
        "cypress",
        "npx cypress run --reporter junit --reporter-options mochaFile={junit}",
    ),
    "vitest": ("vitest", "npx vitest run --reporter=junit --outputFile={junit}"),
    "jest": ("jest", "JEST_JUNIT_OUTPUT_FILE={junit} npx jest --reporters=jest-junit"),
    "mocha": ("mocha", "npx mocha --reporter xunit --reporter-options output={junit}"),
}
_BROWSERS: Final = frozenset({"playwright", "cypress"})
_E2E: Final = re.compile(r"(?:^|/)(?:e2e|smoke|staging|integration|acceptance|system)(?:/|$)")


def read_runners(tree: Tree, packages: Sequence[Package]) -> tuple[Runner, ...]:
    """Every set of such tests; those that never ask a service, too."""
    return (*_node(tree, packages), *_go(tree))


def _node(tree: Tree, packages: Sequence[Package]) -> Iterator[Runner]:
    for package in packages:
        inner = [p.folder for p in packages if p is not package and p.folder != "."]
        for dependency, (name, line) in _NODE.items():
            if dependency not in package.depends:
                continue
            place = line_of(tree, package.place.file, f'"{dependency}"')
            paths = [
                path
                for path in tree.below(package.folder, "*.js", "*.ts", "*.mjs", "*.tsx", "*.jsx")
                if (is_test(path) or f"{name}.config" in path)
                and not any(path.startswith(f"{folder}/") for folder in inner if folder)
            ]
            urls = url_reads(tree, paths)
            if name == "cypress":
                # Cypress itself reads it, over whatever baseUrl its configuration has.
                urls = (Fact(UrlRead("CYPRESS_BASE_URL"), place, how="read by Cypress"),)
            note = None
            if name == "jest" and "jest-junit" not in package.depends:
                note = "it needs the package jest-junit: npm install --save-dev jest-junit"
            if name in _BROWSERS or paths:
                yield Runner(name, package.folder, place, line, urls, note)


def _go(tree: Tree) -> Iterator[Runner]:
    modules = [folder_of(path) for path in tree.below(".", "go.mod")]
    for module in modules:
        tests = list(tree.below(module, "*_test.go"))
        by_folder: dict[str, list[str]] = {}
        for path in tests:
            by_folder.setdefault(folder_of(path), []).append(path)
        for folder, paths in sorted(by_folder.items()):
            urls = url_reads(tree, paths)
            if not urls and not _E2E.search(folder):
                continue
            below = folder[len(module) + 1 :] if module != "." else folder
            target = shlex.quote(f"./{below}") if folder != module else "."
            line = f"go run gotest.tools/gotestsum@latest --junitfile {{junit}} {target}"
            yield Runner(
                "go", module, Place(joined(folder, paths[0].rpartition("/")[2])), line, urls
            )
