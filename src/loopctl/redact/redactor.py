"""Finds secrets in text, in JSON values and in streams of bytes, and puts labels there."""

import re
from collections.abc import Mapping, Sequence
from typing import Final, TypeVar, cast

from loopctl.redact.escapes import utf8
from loopctl.redact.forms import forms_of, is_everyday, line_prefixes
from loopctl.redact.learned import Learned, label
from loopctl.redact.patterns import DEFAULT_PATTERNS, by_line
from loopctl.redact.secret import Secret
from loopctl.redact.stream import Span, StreamRedactor

T = TypeVar("T")


class Redactor:
    """Replaces secret values, and what looks like a credential, by `[redacted:NAME]`.

    `values` maps names to values; each is found in all the forms of `redact.forms`, which also
    says what happens to short and trivial values. `patterns` are regular expressions of the user,
    matched line by line against UTF-8 bytes; of one with a group called `secret` only that group
    is hidden. The patterns of `redact.patterns` are always on. `learned` are values that come into
    being later: they are hidden from the moment they are known.

    Raises `ValueError` that names the pattern if one does not compile. Safe to share by threads.
    """

    def __init__(
        self,
        values: Mapping[str, str],
        patterns: Sequence[str] = (),
        learned: Learned | None = None,
    ) -> None:
        everyday = {name for name, value in values.items() if is_everyday(value)}
        self.unprotected: Final = tuple(sorted(everyday))
        """Names of values too common to be hidden; worth a warning before a run."""
        by_length = sorted(values.items(), key=lambda item: (-len(item[1]), item[0]))
        self._forms: Final = tuple(
            (label(name), form) for name, value in by_length for form in forms_of(value)
        )
        self._learned: Final = learned or Learned()
        self._user_patterns: Final = tuple(map(_compiled, patterns))
        prefixes = {prefix for value in values.values() for prefix in line_prefixes(value)}
        self._prefixes: Final = tuple(sorted(prefixes, key=len, reverse=True))
        self._longest: Final = max((form.longest for _, form in self._forms), default=0)

    def text(self, text: str) -> str:
        """Text with labels in place of secrets; unchanged if there are none."""
        return self.binary(utf8(text)).decode("utf-8", "surrogatepass")

    def binary(self, data: bytes) -> bytes:
        """The same for bytes, which need not be valid UTF-8."""
        stream = self.stream()
        return stream.feed(data) + stream.flush()

    def json(self, value: T) -> T:
        """A copy of a JSON-like value, with all its strings redacted, those of keys too.

        Keys that redaction makes equal are kept apart by a number.
        """
        return cast(T, self._json(value))

    def stream(self) -> StreamRedactor:
        """A redactor for one stream of bytes; see there."""
        return StreamRedactor(self._spans, self._prefixes, self._longest)

    def _json(self, value: object) -> object:
        match value:
            case str():
                return self.text(value)
            case Secret():
                return label(value.name).decode()
            case Mapping():
                return self._mapping(value)
            case list():
                return [self._json(item) for item in value]
            case tuple():
                return tuple(self._json(item) for item in value)
            case _:
                return value

    def _mapping(self, mapping: Mapping[object, object]) -> dict[object, object]:
        redacted: dict[object, object] = {}
        for key, value in mapping.items():
            name = wanted = self._json(key)
            number = 1
            while name in redacted:
                number += 1
                name = f"{wanted}#{number}"
            redacted[name] = self._json(value)
        return redacted

    def _spans(self, data: bytes) -> list[Span]:
        """Places to hide, by start; at one start a named value goes before a pattern."""
        spans = [
            Span(start, 0, end, named)
            for named, form in (*self._forms, *self._learned.forms)
            if form.core in data
            for start, end in (match.span() for match in form.regex.finditer(data))
        ]
        for pattern in DEFAULT_PATTERNS:
            named = label(pattern.name)
            spans += [Span(start, 1, end, named) for start, end in pattern.spans(data)]
        for regex in self._user_patterns:
            spans += [Span(start, 2, end, _PATTERN_LABEL) for start, end in by_line(regex, data)]
        spans.sort(key=lambda span: (span.start, span.rank, -span.end))
        return spans


_PATTERN_LABEL: Final = b"[redacted:pattern]"


def _compiled(pattern: str) -> re.Pattern[bytes]:
    try:
        return re.compile(utf8(pattern))
    except re.error as error:
        raise ValueError(f"redaction pattern {pattern!r} does not compile: {error}") from error
