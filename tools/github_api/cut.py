"""Some operations out of an OpenAPI 3.0 description, with their schemas as JSON Schema."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

_PROSE: Final = frozenset({"description", "example", "examples", "title", "externalDocs", "tags"})


def cut(whole: Mapping[str, Any], operations: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """`paths` with these operations alone, `components` with what they refer to."""
    paths: dict[str, Any] = {}
    for method, path in operations:
        paths.setdefault(path, {})[method] = _plain(whole["paths"][path][method])
    components: dict[str, Any] = {}
    waiting = list(_references(paths))
    while waiting:
        _, _, kind, name = waiting.pop().split("/")
        if name not in components.setdefault(kind, {}):
            components[kind][name] = _plain(whole["components"][kind][name])
            waiting += _references(components[kind][name])
    return {"version": whole["info"]["version"], "paths": paths, "components": components}


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for below in node.values():
            yield from _references(below)
    elif isinstance(node, list):
        for below in node:
            yield from _references(below)


def _plain(node: Any) -> Any:
    """Without prose, and with OpenAPI's `nullable` as JSON Schema says it."""
    if isinstance(node, list):
        return [_plain(each) for each in node]
    if not isinstance(node, dict):
        return node
    kept = {}
    for key, below in node.items():
        if key == "properties":
            kept[key] = {name: _plain(each) for name, each in below.items()}
        elif key not in _PROSE and key != "nullable":
            kept[key] = _plain(below)
    return _or_null(kept) if node.get("nullable") is True else kept


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}
