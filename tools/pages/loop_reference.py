"""Every key of the loop file: `loop.schema.json`, and `docs/loop-file-reference.md` made of it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from loopctl import api

_INTRO = """\
# The loop file: every key

`make docs` makes this page from the schema, which `loopctl schema` prints (`loop.schema.json` is
the same). What the keys do, platform by platform, and examples are in [loop-file.md](loop-file.md).

A duration is `250ms`, `30s`, `5m` or `2h`, a size `512Mi`, a tolerance a number or `5%` of what was
collected. Any value may be `${VARIABLE}` instead, any optional one null. NAME and VARIABLE are
yours. "–": nothing, unless given.
"""

_PLACES: Mapping[str, str] = {
    "": "The top",
    "EnvironmentPart": "environments.NAME",
    "ServicePart": "services.NAME",
    "BuildPart": "services.NAME.build",
    "RunPart": "services.NAME.run",
    "SecretPart": "services.NAME.run.secrets.VARIABLE",
    "HealthPart": "services.NAME.health",
    "SuitePart": "suites",
    "TimeoutPart": "suites: timeout",
    "TolerancePart": "suites: tolerance",
    "EvidencePart": "suites: evidence",
    "QuarantinePart": "suites: quarantine",
    "RequestPart": "suites: requests",
    "ExpectPart": "suites: expect",
    "CriterionPart": "criteria",
    "ImpactPart": "impact.NAME",
    "LimitsPart": "loop",
    "RemediatePart": "remediate",
    "RulePart": "remediate: rules",
    "TriggerPart": "remediate: rules: when",
    "GithubPart": "github",
    "NoticePart": "notify",
    "WorklogPart": "worklog",
}
_DEFAULT = re.compile(r"(?:^|; )([^;]+?),? unless given(?=[.,])")
_REFERENCE = {"type": "string", "pattern": r"\$\{"}


def schema_text() -> str:
    """The file at the root."""
    return json.dumps(api.schema(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def page() -> str:
    """The whole page."""
    schema: Mapping[str, Any] = api.schema()
    parts: dict[str, Mapping[str, Any]] = {"": schema, **schema["$defs"]}
    known = [name for name in _PLACES if name in parts]
    names = [*known, *(name for name in parts if name not in _PLACES)]
    return "\n".join([_INTRO, *(_section(name, parts[name]) for name in names)])


def default_of(description: str) -> str | None:
    """What a key is where it is not given, as its description says it; literals in backticks."""
    found = _DEFAULT.search(description)
    return found[1] if found else None


def _section(name: str, part: Mapping[str, Any]) -> str:
    required = part.get("required", ())
    rows = [_row(key, value, key in required) for key, value in part.get("properties", {}).items()]
    table = "| key | type | unless given | what it is |\n|---|---|---|---|\n" + "\n".join(rows)
    return f"## {_place(name)}\n\n{part['description']}\n\n{table}\n"


def _place(name: str) -> str:
    return _PLACES.get(name, name.removesuffix("Part").lower())


def _row(key: str, value: Mapping[str, Any], required: bool) -> str:
    said = value.get("description", "")
    default = default_of(said)
    about = _DEFAULT.sub("", said, count=1) if default else said
    unless = "**required**" if required else default or "–"
    return f"| `{key}` | {_type(value)} | {unless} | {_cell(about.lstrip('. '))} |"


def _type(value: Mapping[str, Any]) -> str:
    """The forms a value may have, in words."""
    if "$ref" in value:
        return _link(value["$ref"].rpartition("/")[2])
    if "anyOf" in value:
        forms = [each for each in value["anyOf"] if each not in ({"type": "null"}, _REFERENCE)]
        return " or ".join(dict.fromkeys(map(_type, forms)))
    if "enum" in value:
        return ", ".join(f"`{each}`" for each in value["enum"])
    if "const" in value:
        return f"`{value['const']}`"
    match value.get("type"):
        case "array":
            return f"list of {_type(value['items'])}" if value["items"] else "list"
        case "object":
            return _map(value)
        case "integer":
            return f"whole number{_bounds(value)}"
        case "boolean":
            return "`true`, `false`"
        case "string":
            return _text(value)
        case list(kinds):
            return "text" + (" or null" if "null" in kinds else "")
        case kind:
            return str(kind) if kind else "anything"


def _map(value: Mapping[str, Any]) -> str:
    below: Sequence[Mapping[str, Any]] = list(value.get("patternProperties", {}).values())
    if below and below[0]:
        return f"map of {_type(below[0])}"
    return "map of text" if isinstance(value.get("additionalProperties"), dict) else "map"


def _text(value: Mapping[str, Any]) -> str:
    pattern = value.get("pattern", "")
    if "ms|s|m|h" in pattern:
        return "duration"
    if "Ki|Mi|Gi" in pattern:
        return "size"
    if pattern.endswith("%$"):
        return "share in %"
    return "day" if value.get("format") == "date" else "text"


def _bounds(value: Mapping[str, Any]) -> str:
    least, most = value.get("minimum"), value.get("maximum")
    if least is None:
        return ""
    return f" from {least}" if most is None else f", {least} to {most}"


def _link(name: str) -> str:
    place = _place(name)
    anchor = re.sub(r"[^\w -]", "", place.lower()).replace(" ", "-")
    return f"[{place}](#{anchor})"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
