"""The form of a signature file, as JSON Schema."""

from __future__ import annotations

from typing import Any, Final

from loopctl.triage.record_fields import FIELDS
from loopctl.triage.signatures import Signature

_DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """JSON Schema, draft 2020-12, of a signature file: one signature, or a list of them."""
    schema = Signature.model_json_schema(by_alias=True)
    definitions = schema.pop("$defs")
    for each in (schema, *definitions.values()):
        _without_titles(each)
    definitions["Clause"]["description"] += "\n\n" + "\n".join(_fields())
    definitions["Signature"] = schema
    one = {"$ref": "#/$defs/Signature"}
    return {
        "$schema": _DRAFT,
        "$defs": definitions,
        "anyOf": [one, {"type": "array", "items": one}],
    }


def _without_titles(schema: dict[str, Any]) -> None:
    """Pydantic names every property by its own name, which says nothing."""
    schema.pop("title", None)
    for part in schema.get("properties", {}).values():
        part.pop("title", None)


def _fields() -> list[str]:
    return [f"Fields of `on: {on}`: {', '.join(sorted(fields))}." for on, fields in FIELDS.items()]
