"""Plain reading of source code: variables that it asks for, addresses that it answers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from loopctl.authoring.looking.facts import Certainty, EnvRead, Fact, Place, Route
from loopctl.authoring.looking.tree import Tree

_LIMIT: Final = 2_000
_CODE: Final = ("*.py", "*.js", "*.mjs", "*.cjs", "*.ts", "*.tsx", "*.go", "*.rb", "*.java", "*.kt")
_CODE_TOO: Final = ("*.cs", "*.php", "*.rs")
_TESTS: Final = re.compile(
    r"(?:^|/)(?:tests?|__tests__|specs?|e2e|fixtures|cypress|playwright)/"
    r"|(?:^|/)(?:test_[^/]*|[^/]*_test|conftest)\.(?:py|go)$|\.(?:test|spec|cy)\.[cm]?[jt]sx?$"
    r"|(?:^|/)(?:playwright|cypress|vitest|jest|vite|webpack|eslint)\.config\.[cm]?[jt]s$"
)

_NAME = r"""["'`]([A-Z][A-Z0-9_]{1,63})["'`]"""
# `os.environ["X"]`, `settings_env["X"]`: without a value they fail.
_NEEDED: Final = re.compile(rf"\b(?:os\.)?(?:environ|ENV)\[\s*{_NAME}\s*\](?!\s*=[^=])")
_ASKED: Final = re.compile(
    rf"\b(?:environ|env|ENV|config)\.(?:get|fetch|setdefault)\(\s*{_NAME}\s*([,)])"
    rf"|\b(?:getenv|Getenv|LookupEnv|GetEnvironmentVariable|env::var)\(\s*{_NAME}\s*([,)])"
)
_EMPTY_DEFAULT: Final = re.compile(r"""\s*(?:""|''|None)\s*\)""")
_PROCESS_ENV: Final = re.compile(r"\bprocess\.env\.([A-Z][A-Z0-9_]{1,63})\b(?!\s*=[^=])")
_FALLBACK: Final = re.compile(r"\s*(?:\|\||\?\?)")

_DECORATED: Final = re.compile(
    r"""^\s*@\s*\w+(?:\.\w+)*\.(get|post|put|patch|delete|route|api_route|head)\(\s*[rf]?["']([^"']{1,200})["'](.*)"""
)
_CALLED: Final = re.compile(
    r"""\b(?:app|router|server|api|r|mux|e|g|http|fastify)\.(get|Get|GET|all|HandleFunc|Handle|route)\(\s*["'`]([^"'`]{1,200})["'`]"""
)
_DJANGO: Final = re.compile(r"""\b(?:re_)?path\(\s*r?["']\^?([^"']{0,200}?)\$?["']""")
_TABLED: Final = re.compile(r"""^\s*["'](/[\w./-]{0,100})["']\s*:\s*[{\[(\w]""")
_MAPPED: Final = re.compile(
    r"""@(?:Get|Request)Mapping\(\s*(?:(?:value|path)\s*=\s*)?["']([^"']{1,200})["']"""
)
_SPOKEN: Final = re.compile(
    r"""\b(?:path|pathname|url|URL\.Path|request\.path)\s*={2,3}\s*["'](/[\w./-]{0,100})["']"""
)
_PLAIN_PATH: Final = re.compile(r"/[\w./~-]*")
_PREFIX: Final = re.compile(
    r"""\b(?:APIRouter|Blueprint)\([^)\n]{0,200}?(?:url_)?prefix\s*=\s*["'](/[\w./-]*)["']"""
)


def code_files(tree: Tree) -> Iterator[str]:
    """The files of source code that are no tests, bounded in number."""
    found = (path for path in tree.below(".", *_CODE, *_CODE_TOO) if not is_test(path))
    for number, path in enumerate(found):
        if number >= _LIMIT:
            return
        yield path


def is_test(path: str) -> bool:
    """Whether a file is code of tests, by its name."""
    return _TESTS.search(path) is not None


def read_variables(tree: Tree) -> tuple[Fact[EnvRead], ...]:
    """Every variable that code asks for, each at its first place, a needed one at its own."""
    found: dict[tuple[str, str], Fact[EnvRead]] = {}
    for path in code_files(tree):
        folder = path.rpartition("/")[0]
        for number, line in enumerate(tree.lines(path), start=1):
            for read in _reads(line):
                key = (folder, read.name)
                if key not in found or (read.needed and not found[key].value.needed):
                    found[key] = Fact(read, Place(path, number))
    return tuple(found.values())


def _reads(line: str) -> Iterator[EnvRead]:
    for match in _NEEDED.finditer(line):
        yield EnvRead(match[1], needed=True)
    for match in _ASKED.finditer(line):
        name, then = match[1] or match[3], match[2] or match[4]
        empty = then == ")" or _EMPTY_DEFAULT.match(line, match.end()) is not None
        yield EnvRead(name, needed=empty and speaks_of_signing(name))
    for match in _PROCESS_ENV.finditer(line):
        falls_back = _FALLBACK.match(line, match.end()) is not None
        yield EnvRead(match[1], needed=not falls_back and speaks_of_signing(match[1]))


def speaks_of_signing(name: str) -> bool:
    """Whether a variable holds what a service can seldom start without: a key of its own."""
    return re.search(r"SECRET|JWT|SIGNING|PASSWORD|PASSWD", name) is not None


def read_routes(tree: Tree) -> tuple[Fact[Route], ...]:
    """Addresses without parameters that code answers, in the order of files and lines."""
    found: dict[tuple[str, Route], Fact[Route]] = {}
    for path in code_files(tree):
        text = tree.text(path)
        prefix = _PREFIX.search(text)
        before = prefix[1].rstrip("/") if prefix else ""
        for number, line in enumerate(tree.lines(path), start=1):
            for route in _routes(line, path, before):
                if _PLAIN_PATH.fullmatch(route.path):
                    # A path that is only compared with may be anything's; a route is a route's.
                    spoken = _SPOKEN.search(line) is not None
                    sure = Certainty.GUESSED if spoken else Certainty.FOUND
                    found.setdefault((path, route), Fact(route, Place(path, number), sure))
    return tuple(found.values())


def _routes(line: str, path: str, prefix: str) -> Iterator[Route]:
    if path.endswith(".py"):
        if match := _DECORATED.search(line):
            verb = match[1].upper()
            if verb in ("ROUTE", "API_ROUTE"):
                posts = re.search(r"methods\s*=\s*[\[(]", match[3]) and "GET" not in match[3]
                verb = "POST" if posts else "GET"
            yield Route(verb, prefix + match[2])
        if path.endswith("urls.py") and (match := _DJANGO.search(line)):
            yield Route("GET", "/" + match[1].lstrip("/"))
    if match := _CALLED.search(line):
        pattern = match[2].removeprefix("GET ")
        yield Route("GET", pattern)
    for form in (_TABLED, _MAPPED, _SPOKEN):
        if match := form.search(line):
            verb = re.search(r"[\"'](GET|POST|PUT|PATCH|DELETE)[\"']", line)
            get = verb is None or "GET" in re.findall(r"[\"']([A-Z]+)[\"']", line)
            yield Route("GET" if get or verb is None else verb[1], match[1])
