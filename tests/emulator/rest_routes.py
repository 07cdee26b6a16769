"""Which method an HTTP request means, by the `google.api.http` rules."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote

from emulator.rpc import HttpRule, Rpc

_VARIABLE = re.compile(r"\{(?P<field>[a-z_.]+)(?:=(?P<pattern>[^}]*))?\}")


@dataclass(frozen=True, slots=True)
class Match:
    """The method, the rule that it was found by, and the fields that the path fills."""

    rpc: Rpc
    rule: HttpRule
    fields: dict[str, str]


class Routes:
    """The rules of all methods, longest path first."""

    def __init__(self, rpcs: Iterable[Rpc]) -> None:
        self._rules = [(_compiled(rule.path), rule, rpc) for rpc in rpcs for rule in rpc.http]

    def find(self, verb: str, path: str) -> Match | None:
        for (pattern, fields), rule, rpc in self._rules:
            found = pattern.fullmatch(path) if rule.verb == verb else None
            if found is not None:
                values = (unquote(value) for value in found.groups())
                return Match(rpc, rule, dict(zip(fields, values, strict=True)))
        return None


def _compiled(template: str) -> tuple[re.Pattern[str], list[str]]:
    """A pattern with one group per variable, and their fields."""
    pattern, at, fields = "", 0, []
    for variable in _VARIABLE.finditer(template):
        pattern += re.escape(template[at : variable.start()])
        pattern += f"({_segments(variable['pattern'] or '*')})"
        fields.append(variable["field"])
        at = variable.end()
    return re.compile(pattern + re.escape(template[at:])), fields


def _segments(pattern: str) -> str:
    """`*` is one part of a path, `**` any number of them."""
    parts = re.split(r"(\*\*|\*)", pattern)
    meaning = {"**": ".+", "*": "[^/:]+"}
    return "".join(meaning.get(part) or re.escape(part) for part in parts)
