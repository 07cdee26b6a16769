"""The values that reading a JUnit report yields, and the elements that decide how a case ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

OUTSIDE = "(outside of any case)"
"""The name of a failure that stands in no case: a set-up of a whole suite, as a rule."""

FAILURES: Final = frozenset({"failure", "error"})
FLAKES: Final = frozenset({"flakyFailure", "flakyError"})
RERUNS: Final = frozenset({"rerunFailure", "rerunError"})


@dataclass(frozen=True, slots=True)
class Said:
    """One element that says how a case ended: `tag` is its name, `text` what stands in it."""

    tag: str
    type: str
    message: str
    text: str


@dataclass(frozen=True, slots=True)
class ReportedCase:
    """One test case as a report has it; nothing is redacted yet, all texts are bounded.

    `suites` are the names of the suites around it, the outermost first; `words` what its
    attributes `status` and `result` say, their letters alone; `whole`: its end was read.
    """

    name: str
    classname: str
    file: str
    host: str
    suites: tuple[str, ...]
    time: str
    words: frozenset[str]
    said: tuple[Said, ...]
    output: str
    properties: tuple[tuple[str, str], ...]
    whole: bool


@dataclass(frozen=True, slots=True)
class ReportEnd:
    """What a report came to beside its cases.

    `broken` says why it could not be read to its end; `missing` cases are declared in it and not
    there; `unexplained` are failures and errors declared beyond those that its cases show.
    """

    cases: int
    missing: int
    unexplained: int
    broken: str | None


class Markup(Protocol):
    """Takes the elements of a report one by one, for whoever wants more of it than the cases."""

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """An element begins."""
        ...

    def text(self, text: str) -> None:
        """A piece of text in it."""
        ...

    def end(self, tag: str) -> None:
        """It ends."""
        ...
