"""GitHub's own description of its API, as a judge of requests and of answers.

`make github-api` fetches it. Without it a test is skipped, where LOOPCTL_TEST_ENGINES is
`required`, as in CI, it fails.
"""

from __future__ import annotations

import functools
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from github_api.wanted import kept_at

_ROOT = "urn:github"


@functools.cache
def description() -> Description:
    """What GitHub publishes, cut down to what loopctl uses."""
    kept = kept_at()
    if kept.is_file():
        return Description(json.loads(kept.read_text()))
    message = f"{kept} is not there (`make github-api` fetches it)"
    if os.environ.get("LOOPCTL_TEST_ENGINES") == "required":
        pytest.fail(message)
    pytest.skip(message)


@dataclass(frozen=True)
class Asked:
    """A request that the description knows: `path` as in there, with what fills it in."""

    method: str
    path: str
    filled: Mapping[str, str]
    query: Mapping[str, str]


class Description:
    """Says what is wrong with a request or an answer, each as a list of sentences."""

    def __init__(self, whole: dict[str, Any]) -> None:
        self._whole = whole
        root = DRAFT202012.create_resource(whole)
        self._registry: Registry[Any] = Registry().with_resource(_ROOT, root)

    def asked(self, method: str, target: str) -> Asked | None:
        """Which operation a request is of; None where there is none such."""
        parts = urlsplit(target)
        for path, operations in self._whole["paths"].items():
            found = re.fullmatch(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path), parts.path)
            if found and method.lower() in operations:
                filled = {name: unquote(text) for name, text in found.groupdict().items()}
                return Asked(method.lower(), path, filled, dict(parse_qsl(parts.query)))
        return None

    def faults_of_request(self, asked: Asked, body: object) -> list[str]:
        operation = self._operation(asked)
        parameters = [self._resolved(each) for each in operation.get("parameters", [])]
        return [
            *self._of_query(asked, [each for each in parameters if each["in"] == "query"]),
            *self._of_path(asked, [each for each in parameters if each["in"] == "path"]),
            *self._of_body(operation, body),
        ]

    def faults_of_answer(self, asked: Asked, status: int, document: object) -> list[str]:
        schema = self.schema_of_answer(asked, status)
        return [] if schema is None else list(self._against(schema, document))

    def schema_of_answer(self, asked: Asked, status: int) -> dict[str, Any] | None:
        """None where the description says nothing of that status."""
        responses = self._operation(asked)["responses"]
        if str(status) not in responses:
            return None
        content = self._resolved(responses[str(status)]).get("content", {})
        return dict(next(iter(content.values()))["schema"]) if content else None

    def least(self, schema: Mapping[str, Any]) -> Any:
        """The smallest value that a schema takes, to be filled with what matters."""
        schema = self._resolved(schema)
        for word in ("anyOf", "oneOf", "allOf"):
            if word in schema:
                return self.least(schema[word][0])
        if "enum" in schema:
            return schema["enum"][0]
        kind = schema.get("type", "object")
        if kind == "object":
            wanted = schema.get("required", [])
            return {name: self.least(schema["properties"][name]) for name in wanted}
        return {"string": "text", "integer": 1, "number": 1, "boolean": False, "array": []}[kind]

    def _operation(self, asked: Asked) -> dict[str, Any]:
        return dict(self._whole["paths"][asked.path][asked.method])

    def _of_query(self, asked: Asked, known: list[dict[str, Any]]) -> Iterator[str]:
        schemas = {each["name"]: each["schema"] for each in known}
        for name, text in asked.query.items():
            if name not in schemas:
                yield f"no query parameter {name}"
            else:
                yield from self._against(schemas[name], _typed(schemas[name], text))

    def _of_path(self, asked: Asked, known: list[dict[str, Any]]) -> Iterator[str]:
        for each in known:
            text = asked.filled[each["name"]]
            yield from self._against(each["schema"], _typed(each["schema"], text))

    def _of_body(self, operation: Mapping[str, Any], body: object) -> Iterator[str]:
        if "requestBody" not in operation:
            if body is not None:
                yield "a body where there is none"
            return
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        yield from self._against(schema, body)
        # GitHub passes over keys that it does not know: so would a typing error be.
        unknown = (body.keys() if isinstance(body, dict) else set()) - schema["properties"].keys()
        yield from (f"no key {name} in the body" for name in unknown)

    def _against(self, schema: Mapping[str, Any], value: object) -> Iterator[str]:
        absolute = json.loads(json.dumps(schema).replace('"$ref": "#/', f'"$ref": "{_ROOT}#/'))
        validator = Draft202012Validator(absolute, registry=self._registry)
        for error in validator.iter_errors(value):
            yield f"{error.json_path}: {error.message[:300]}"

    def _resolved(self, node: Mapping[str, Any]) -> dict[str, Any]:
        if "$ref" not in node:
            return dict(node)
        _, _, kind, name = node["$ref"].split("/")
        return self._resolved(self._whole["components"][kind][name])


def _typed(schema: Mapping[str, Any], text: str) -> object:
    return int(text) if schema.get("type") == "integer" and text.isdecimal() else text
