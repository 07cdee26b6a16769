"""The variables by which tests find the service that they test."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import urlsplit

from loopctl.authoring.looking.facts import Fact, Place, UrlRead
from loopctl.authoring.looking.tree import Tree

_NAME: Final = r"""["'`]([A-Z][A-Z0-9_]{1,63})["'`]"""
_READ: Final = re.compile(
    rf"\b(?:environ|env|ENV)(?:\.get\(|\[)\s*{_NAME}"
    rf"|\b(?:getenv|Getenv|LookupEnv)\(\s*{_NAME}"
    r"|\bprocess\.env\.([A-Z][A-Z0-9_]{1,63})\b"
)
_ENDING: Final = re.compile(r"(?:.*_)?(?:URL|URI|ENDPOINT|ORIGIN|BASE|ADDRESS)")
# What no service of ours stands behind.
_OTHERS: Final = re.compile(
    r"DATABASE|(?:^|_)DB(?:_|$)|POSTGRES|PG|MYSQL|MONGO|REDIS|AMQP|RABBIT|KAFKA|SENTRY|BROKER|CACHE"
    r"|S3|MINIO|ELASTIC|SQL|CALLBACK|REDIRECT|WEBHOOK|PROXY|SELENIUM|GRID|DOCS|REGISTRY|INDEX"
)
_SET: Final = re.compile(r"\s*\]?\s*=[^=]")
_DEFAULT: Final = re.compile(r"""\s*(?:,|\|\||\?\?)\s*f?["'`]([a-z]+://[^"'`\s]{1,200})["'`]""")


def url_reads(tree: Tree, paths: Iterable[str]) -> tuple[Fact[UrlRead], ...]:
    """Each variable once, at its first place, in the order of files and lines."""
    found: dict[str, Fact[UrlRead]] = {}
    for path in paths:
        for number, line in enumerate(tree.lines(path), start=1):
            for read in _in_line(line):
                known = found.get(read.name)
                if known is None or (read.suffix and not known.value.suffix):
                    found[read.name] = Fact(read, Place(path, number))
    return tuple(found.values())


def _in_line(line: str) -> Iterator[UrlRead]:
    for match in _READ.finditer(line):
        name = match[1] or match[2] or match[3]
        if not _ENDING.fullmatch(name) or _OTHERS.search(name):
            continue
        if _SET.match(line, match.end()):
            continue
        after = line[match.end() :].lstrip("\"'`)]")
        default = _DEFAULT.match(after)
        url = default[1] if default else ""
        socket = url.startswith(("ws://", "wss://")) or re.search(r"(?:^|_)WS|SOCKET", name)
        yield UrlRead(name, _path_of(url), websocket=bool(socket))


def _path_of(url: str) -> str:
    try:
        path = urlsplit(url).path.rstrip("/")
    except ValueError:
        return ""
    return path if re.fullmatch(r"(?:/[\w.~-]+)*", path) else ""
