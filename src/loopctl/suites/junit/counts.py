"""What a `<testsuite>` says of itself, against what is found in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from loopctl.suites.bounded_text import bounded

# Catch2 and doctest count assertions in `tests`, and name their host so.
_COUNTS_ASSERTIONS = "tbd"
_DIGITS = 8


@dataclass(slots=True)
class SuiteCounts:
    """One suite while it is read; `missing` and `unexplained` hold once it is closed.

    Its numbers may be those of its own cases or of all below it, by dialect, so the larger of
    what it lacks and what its inner suites lack is what is missing.
    """

    tag: str
    name: str
    file: str
    host: str
    declared: int
    declared_bad: int
    missing: int = 0
    unexplained: int = 0
    _found: int = 0
    _problems: int = 0

    @staticmethod
    def of(tag: str, attributes: Mapping[str, str]) -> SuiteCounts:
        """The suite that begins with these attributes; what is no number counts as none."""

        def text(name: str, limit: int) -> str:
            return bounded(attributes.get(name, "").strip(), limit)

        def number(name: str) -> int:
            told = text(name, 20)
            return int(told) if told.isascii() and told.isdigit() and len(told) < _DIGITS else 0

        host = text("hostname", 200)
        return SuiteCounts(
            tag=tag,
            name=text("name", 500),
            file=text("file", 2_000),
            host=host,
            declared=0 if host == _COUNTS_ASSERTIONS else number("tests"),
            # Old mocha counts each failure as an error too, so the two are not added up.
            declared_bad=max(number("failures"), number("errors")),
        )

    def count(self, *, problems: int, reruns: int) -> None:
        """A case with so many failures. Surefire counts each run of a case as a test."""
        self._found += 1 + reruns
        self._problems += problems

    def take(self, inner: SuiteCounts) -> None:
        """A suite within this one has been closed."""
        self._found += inner._found
        self._problems += inner._problems
        self.missing += inner.missing
        self.unexplained += inner.unexplained

    def close(self) -> None:
        """Compare what is declared with what was found."""
        self.missing = max(self.missing, self.declared - self._found)
        self.unexplained = max(self.unexplained, self.declared_bad - self._problems)
