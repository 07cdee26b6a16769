"""`${VAR}` and its kin: read after parsing, filled in with what the environment says."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from loopctl.loopfile.marks import near, quoted
from loopctl.loopfile.nodes import Entry, Node, Origin, Scalar, Sequence, Table, is_free
from loopctl.loopfile.problems import Problems
from loopctl.model.references import REFERENCE

_LIMIT_TEXT = 1024 * 1024
_LIMIT_NESTING = 8
_OPENING = re.compile(r"\$\$\{|\$\{")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DOTTED = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)+")
_FORMS = "write ${VAR}, ${VAR:-default} or ${VAR:?message}; $${ is a literal ${"
_FIELDS = ("url", "ws_url")


class ReferenceProblemError(ValueError):
    """A reference cannot be filled in; `hint` says what to do."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class _Variable:
    name: str
    default: tuple[_Part, ...] | None = None
    message: str | None = None


_Part = str | _Variable


def expand(text: str, variables: Mapping[str, str]) -> tuple[str, bool]:
    """The text with its variables filled in, and whether it was wholly one reference.

    `${services.NAME.url}` stays as it is, for the run. Raises `ReferenceProblemError`.
    """
    parts, _ = _parse(text, 0, 0)
    whole = len(parts) == 1 and isinstance(parts[0], _Variable)
    return "".join(_texts(parts, variables)), whole


def unset_in(text: str, variables: Mapping[str, str]) -> str | None:
    """The first variable that is not set and that the text cannot do without.

    None where there is none; one with a `:?message` of its own is left to `expand`.
    """
    try:
        parts, _ = _parse(text, 0, 0)
    except ReferenceProblemError:
        return None
    return next(_unset(parts, variables), None)


def _unset(parts: tuple[_Part, ...], variables: Mapping[str, str]) -> Iterator[str]:
    for part in parts:
        if isinstance(part, _Variable) and not variables.get(part.name):
            if part.default is not None:
                yield from _unset(part.default, variables)
            elif part.message is None and part.name not in variables:
                yield part.name


def _parse(text: str, at: int, nesting: int) -> tuple[tuple[_Part, ...], int]:
    """The parts from `at` to the end, or when nested to the closing brace, and where that is."""
    parts: list[_Part] = []
    literal = ""
    while (opening := _OPENING.search(text, at)) or at < len(text):
        stop = opening.start() if opening else len(text)
        brace = text.find("}", at, stop) if nesting else -1
        if brace >= 0 or not opening:
            stop = brace if brace >= 0 else stop
            return _closed(parts, literal + text[at:stop]), stop
        literal += text[at:stop]
        if opening[0] == "$${":
            literal, at = literal + "${", opening.end()
            continue
        part, at = _reference(text, opening.end(), nesting + 1)
        parts.extend((*_closed([], literal), part))
        literal = ""
    return _closed(parts, literal), len(text)


def _closed(parts: list[_Part], literal: str) -> tuple[_Part, ...]:
    if REFERENCE.search(literal):
        raise ReferenceProblemError(
            "a reference to a service's address cannot be written literally"
        )
    return (*parts, literal) if literal else tuple(parts)


def _reference(text: str, at: int, nesting: int) -> tuple[_Part, int]:
    if nesting > _LIMIT_NESTING:
        raise ReferenceProblemError(f"references nested more than {_LIMIT_NESTING} levels deep")
    if "}" not in text[at:]:
        raise ReferenceProblemError("a `${` is never closed", _FORMS)
    dotted = _DOTTED.match(text, at)
    if dotted and text[dotted.end()] == "}":
        _check_dotted(dotted[0])
        return f"${{{dotted[0]}}}", dotted.end() + 1
    name = _NAME.match(text, at)
    if not name:
        raise ReferenceProblemError("`${` is not followed by the name of a variable", _FORMS)
    rest = text[name.end() : name.end() + 2]
    if rest.startswith("}"):
        return _Variable(name[0]), name.end() + 1
    if rest == ":-":
        default, end = _parse(text, name.end() + 2, nesting)
        if end >= len(text):
            raise ReferenceProblemError("a `${` is never closed", _FORMS)
        return _Variable(name[0], default=default), end + 1
    if rest == ":?":
        end = text.index("}", name.end())
        return _Variable(name[0], message=text[name.end() + 2 : end]), end + 1
    raise ReferenceProblemError(
        f"the reference to {quoted(name[0])} has no form that is known", _FORMS
    )


def _check_dotted(dotted: str) -> None:
    words = dotted.split(".")
    if words[0] != "services" or len(words) != 3:
        hint = "only ${services.NAME.url} and ${services.NAME.ws_url} are filled in at run time"
        raise ReferenceProblemError(f"unknown reference {quoted(dotted)}", hint)
    if words[2] not in _FIELDS:
        hint = near(words[2], _FIELDS) or "a service has `url` and `ws_url`"
        raise ReferenceProblemError(f"a service has no field {quoted(words[2])}", hint)


def _texts(parts: tuple[_Part, ...], variables: Mapping[str, str]) -> Iterator[str]:
    room = _LIMIT_TEXT
    for part in parts:
        text = part if isinstance(part, str) else _value(part, variables)
        room -= len(text)
        if room < 0:
            raise ReferenceProblemError("with its variables filled in this is longer than 1 MiB")
        yield text


def _value(variable: _Variable, variables: Mapping[str, str]) -> str:
    value = variables.get(variable.name)
    if not value and variable.default is not None:
        return "".join(_texts(variable.default, variables))
    if value is None or (not value and variable.message is not None):
        state = "not set" if value is None else "empty"
        reason = f": {quoted(variable.message, 200)[1:-1]}" if variable.message else ""
        raise ReferenceProblemError(
            f"the variable {variable.name} is {state}{reason}", _how_to_set(variable)
        )
    if any("\ud800" <= char <= "\udfff" for char in value):
        raise ReferenceProblemError(f"the variable {variable.name} is not UTF-8 text")
    return value


def _how_to_set(variable: _Variable) -> str:
    return f"export {variable.name}=…, or write it into the environment's `env_file`"


class Filler:
    """Fills in the variables of a tree. Problems of form are always noted."""

    def __init__(self, variables: Mapping[str, str], problems: Problems) -> None:
        self._variables = variables
        self._problems = problems

    def fill(self, node: Node, *, needed: bool) -> Node:
        """A copy of the tree, with values filled in where they are `needed`.

        Elsewhere only the form of references is judged and their scalars are UNRESOLVED, as are
        those whose variables are not set. Keys that start with `x-` are passed over.
        """
        match node:
            case Scalar():
                return self.scalar(node, needed=needed)
            case Sequence():
                return Sequence(node.mark, tuple(self.fill(i, needed=needed) for i in node.items))
            case Table():
                return self.table(node, needed=needed)

    def table(self, table: Table, *, needed: bool) -> Table:
        """A filled copy of a map."""
        entries = {
            key: entry
            if is_free(key)
            else Entry(key, entry.mark, self.fill(entry.value, needed=needed))
            for key, entry in table.entries.items()
        }
        return Table(table.mark, entries)

    def scalar(self, scalar: Scalar, *, needed: bool) -> Scalar:
        """One scalar, filled in."""
        if "${" not in scalar.text or scalar.origin is not Origin.WRITTEN:
            return scalar
        try:
            if needed:
                text, whole = expand(scalar.text, self._variables)
                origin = Origin.REFERENCE if whole else Origin.FILLED
                return replace(scalar, text=text, plain=whole, origin=origin)
            _parse(scalar.text, 0, 0)
        except ReferenceProblemError as error:
            self._problems.add(scalar.mark, str(error), error.hint)
        return replace(scalar, origin=Origin.UNRESOLVED)
