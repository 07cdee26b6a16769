"""JUnit XML, read as a stream: what is there before a break counts, and what is missing is told.

There is no standard, only dialects: surefire, pytest, jest-junit, Playwright, node, gotestsum,
nextest, ctest, mocha and more. What they share is read here; `junit_cases` says what it means.
Nothing is ever fetched or expanded: a DOCTYPE, and with it every entity, is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import BinaryIO, Final
from xml.parsers import expat

from loopctl.process import Stop
from loopctl.suites.bounded_text import BoundedText, bounded
from loopctl.suites.junit.counts import SuiteCounts
from loopctl.suites.junit.report import (
    FAILURES,
    FLAKES,
    OUTSIDE,
    RERUNS,
    Markup,
    ReportedCase,
    ReportEnd,
    Said,
)
from loopctl.suites.junit.text import text_of

LARGEST = 256 * 1024 * 1024
"""Bytes of one report that are read; what comes after counts as lost."""

_DEEPEST = 64
# Of attributes as short as they can be, so many bytes take twenty times as much memory.
_LONGEST_TOKEN = 6 * 1024 * 1024
_MOST_CASES = 100_000
_MOST_SAID = 50
_MOST_PROPERTIES = 200

_SUITES: Final = frozenset({"testsuites", "testsuite"})
_PROBLEMS: Final = FAILURES | FLAKES | RERUNS
_SAID: Final = _PROBLEMS | {"skipped"}
_OUTPUTS: Final = frozenset({"system-out", "system-err"})


class _BrokenError(Exception):
    """The report cannot be read any further; the argument says why."""


def read_report(
    file: BinaryIO, on: Callable[[ReportedCase], None], stop: Stop, also: Markup | None = None
) -> ReportEnd:
    """Read a report to its end or to the break, handing over each case.

    A case that was begun before the break is handed over too, not whole. `file` must be seekable.
    Raises `OSError`, and `Stopped` when `stop` stops.
    """
    reader = _Reader(on, also)
    try:
        for text in text_of(file, LARGEST):
            stop.remaining(0)
            reader.feed(text)
        if file.read(1):
            raise _BrokenError(f"it is larger than {LARGEST // 2**20} MiB")
        reader.end()
    except expat.ExpatError as problem:
        place = f"line {problem.lineno}, column {problem.offset + 1}"
        return reader.ended(f"{expat.ErrorString(problem.code)} at {place}")
    except UnicodeError as problem:
        return reader.ended(f"it cannot be decoded: {problem}")
    except _BrokenError as problem:
        return reader.ended(str(problem))
    return reader.ended(None)


@dataclass(slots=True)
class _Case:
    """A case while it is read."""

    attributes: dict[str, str]
    depth: int
    said: list[tuple[str, str, str, BoundedText]] = field(default_factory=list)
    output: BoundedText = field(default_factory=lambda: BoundedText(0, 16_000))
    properties: list[tuple[str, BoundedText]] = field(default_factory=list)

    def is_news(self, tag: str) -> bool:
        """Whether it is the first failure: whatever else was said, that one decides."""
        return tag in FAILURES and not any(said[0] in FAILURES for said in self.said)


class _Reader:
    """The state of one report while the parser goes through it."""

    def __init__(self, on: Callable[[ReportedCase], None], also: Markup | None) -> None:
        self._on = on
        self._also = also
        self._fed = 0
        self._cases = 0
        self._suites: list[SuiteCounts] = []
        self._whole = SuiteCounts.of("", {})
        self._case: _Case | None = None
        # Where the text of each open element goes.
        self._open: list[BoundedText | None] = []
        # The name overrides what the file declares: it is text already.
        self._parser = expat.ParserCreate("utf-8")
        self._parser.buffer_text = True
        self._parser.StartDoctypeDeclHandler = self._doctype
        self._parser.StartElementHandler = self._start
        self._parser.CharacterDataHandler = self._text
        self._parser.EndElementHandler = self._end

    def feed(self, text: str) -> None:
        data = text.encode("utf-8")
        self._fed += len(data)
        self._parser.Parse(data)
        # The parser holds what it has no end of: an attribute of any length, say.
        if self._fed - max(self._parser.CurrentByteIndex, 0) > _LONGEST_TOKEN:
            raise _BrokenError(f"one piece of it is larger than {_LONGEST_TOKEN // 2**20} MiB")

    def end(self) -> None:
        self._parser.Parse(b"", True)  # noqa: FBT003 - expat takes no names

    def ended(self, broken: str | None) -> ReportEnd:
        """What it came to, once nothing more is read."""
        if self._case is not None:
            self._close_case(whole=False)
        while self._suites:
            self._close_suite()
        whole = self._whole
        return ReportEnd(self._cases, whole.missing, whole.unexplained, broken)

    def _doctype(self, *_: object) -> None:
        raise _BrokenError("it has a DOCTYPE, which is refused")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        if len(self._open) >= _DEEPEST:
            raise _BrokenError(f"its elements are nested more than {_DEEPEST} deep")
        name = tag.rpartition(":")[2]
        if not self._open and name not in _SUITES:
            raise _BrokenError(f"it is no JUnit XML: its root is <{name[:60]}>")
        if self._also is not None:
            self._also.start(tag, attributes)
        inherited = self._open[-1] if self._open else None
        if self._case is not None:
            self._open.append(self._inside(self._case, name, attributes, inherited))
        elif name in _SUITES:
            self._suites.append(SuiteCounts.of(name, attributes))
            self._open.append(None)
        else:
            self._open.append(self._outside(name, attributes))

    def _outside(self, name: str, attributes: dict[str, str]) -> BoundedText | None:
        if name == "testcase":
            self._case = _Case(attributes, len(self._open))
        elif name in _PROBLEMS:
            self._case = _Case({"name": OUTSIDE}, len(self._open))
            return self._inside(self._case, name, attributes, None)
        return None

    def _inside(
        self, case: _Case, name: str, attributes: dict[str, str], inherited: BoundedText | None
    ) -> BoundedText | None:
        """Note an element within a case; where its text goes."""
        if name in _SAID and (len(case.said) < _MOST_SAID or case.is_news(name)):
            text = BoundedText(4_000, 12_000)
            about = (attributes.get("type", ""), attributes.get("message", ""))
            case.said.append((name, bounded(about[0], 500), bounded(about[1], 4_000), text))
            return text
        if name in _OUTPUTS:
            case.output.add(f"--- {name} ---\n")
            return case.output
        if name == "property" and len(case.properties) < _MOST_PROPERTIES:
            value = BoundedText(4_000, 0)
            value.add(attributes.get("value", ""))
            case.properties.append((bounded(attributes.get("name", ""), 500), value))
            return value
        return inherited

    def _text(self, text: str) -> None:
        if self._also is not None:
            self._also.text(text)
        if (into := self._open[-1]) is not None:
            into.add(text)

    def _end(self, tag: str) -> None:
        if self._also is not None:
            self._also.end(tag)
        self._open.pop()
        if self._case is not None:
            if self._case.depth == len(self._open):
                self._close_case(whole=True)
        elif tag.rpartition(":")[2] in _SUITES:
            self._close_suite()

    def _close_suite(self) -> None:
        counted = self._suites.pop()
        counted.close()
        (self._suites[-1] if self._suites else self._whole).take(counted)

    def _close_case(self, *, whole: bool) -> None:
        case, self._case = self._case, None
        assert case is not None
        self._suites[-1].count(
            problems=sum(tag in _PROBLEMS for tag, *_ in case.said),
            reruns=sum(tag in FLAKES | RERUNS for tag, *_ in case.said),
        )
        self._cases += 1
        self._on(_reported(case, self._suites, whole=whole))
        if whole and self._cases >= _MOST_CASES:
            raise _BrokenError(f"it has more than {_MOST_CASES} cases")


def _word(told: str) -> str:
    """`Not Run`, `not_run` and `notRun` are one word."""
    return "".join(filter(str.isalpha, told.lower()))


def _reported(case: _Case, suites: list[SuiteCounts], *, whole: bool) -> ReportedCase:
    def told(name: str, limit: int) -> str:
        return bounded(case.attributes.get(name, "").strip(), limit)

    around = [suite for suite in suites if suite.tag == "testsuite"]
    files = (told("file", 2_000), *(suite.file for suite in reversed(around)))
    return ReportedCase(
        name=told("name", 2_000),
        classname=told("classname", 2_000),
        file=next(filter(None, files), ""),
        host=around[-1].host if around else "",
        suites=tuple(suite.name for suite in around if suite.name),
        time=told("time", 40),
        words=frozenset(_word(told(name, 40)) for name in ("status", "result")) - {""},
        said=tuple(Said(tag, kind, said, text.value) for tag, kind, said, text in case.said),
        output=case.output.value,
        properties=tuple((name, value.value) for name, value in case.properties),
        whole=whole,
    )
