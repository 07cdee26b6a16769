"""Reads pytest's output in a log: which tests failed, how, and what the session came to."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from loopctl.evidence.blame import Blame, blame, where_of
from loopctl.model.evidence import (
    CaseStatus,
    Frame,
    GradedCase,
    Raised,
    SuiteJudgement,
    SuiteOutcome,
)
from loopctl.model.finding import Quote
from loopctl.triage.export import pytest_lines as lines
from loopctl.triage.export.pieces import Piece
from loopctl.triage.export.times import UNKNOWN
from loopctl.triage.symptoms import SuiteResult

_MOST_CASES: Final = 1000
_MOST_LINES: Final = 300
_LONGEST: Final = 4096
"""Characters of a line that are looked at: some of what tells pytest's lines is not linear."""

_OF: Final = re.compile(r"ERROR (?:at (?P<phase>setup|teardown) of|collecting) (?P<name>.+)$")
_TARGETS: Final = re.compile(r"(?i)mock|fake|stub|dummy|localhost|127\.0\.0\.1|staging")
_LIVE: Final = re.compile(r"(?:DEBUG|INFO|WARNING|ERROR|CRITICAL) +\S+:\S+\.py:\d+ ")
_OF_TESTS: Final = re.compile(
    r"(?:^|/)(?:tests?/|e2e/|specs?/|testing/|test_[^/]*$|conftest\.py$|[^/]*_test\.py$)"
)
_LIBRARY: Final = re.compile(r"/site-packages/|/dist-packages/|/lib/python\d|^<")
_OF_SERVICE: Final = frozenset(
    {"AttributeError", "TypeError", "NameError", "UnboundLocalError"}
    | {"ImportError", "ModuleNotFoundError", "KeyError"}
)
UNDER_TEST: Final = "raised by the code under test"
"""The reason of a failure whose innermost frame is no test's."""

_TIMED_OUT: Final = re.compile(r"^(?:Failed: )?Timeout >?[\d.]+ ?s|pytest[_-]timeout")


@dataclass(slots=True)
class _Session:
    """What was read of one session so far."""

    section: str = ""
    block: lines.Block | None = None
    in_output: bool = False
    blocks: list[lines.Block] = field(default_factory=list)
    short: dict[str, tuple[str, str]] = field(default_factory=dict)
    collected: int | None = None
    deselected: int = 0
    ended: lines.Ended | None = None
    counted: str = ""
    counted_at: int = 0
    last: str = ""
    last_at: int = 0
    began: bool = False

    @property
    def is_one(self) -> bool:
        """Whether anything says that tests were run at all."""
        return bool(self.began or self.blocks or self.short or self.ended)


class PytestReader:
    """Takes the lines of a log one after the other, and then says which suites ran in it."""

    def __init__(self, source: str, name: str) -> None:
        self._source = source
        self._name = name
        self._sessions: list[_Session] = [_Session()]
        self._open = False

    def takes(self, piece: Piece) -> bool:
        """Take the line; whether it belongs to pytest's output, and to no service's log."""
        session = self._sessions[-1]
        text = piece.text[:_LONGEST].rstrip()
        if text[:1] == "=" and (match := lines.SECTION.match(text)) and not lines.ended(text):
            return self._section((match["name"] or match["short"]).strip(), session)
        if (ended := self._ended(text)) is not None:
            session.ended, session.section, session.block = ended, "", None
            session.last, session.last_at = text.strip("= "), piece.number
            self._open = False
            return True
        if not self._open:
            return self._alone(text, piece.number, session)
        return self._within(text, piece.number, session)

    def suites(self) -> Iterator[SuiteResult]:
        """One for each session that was seen."""
        seen = [session for session in self._sessions if session.is_one]
        for index, session in enumerate(seen, 1):
            name = self._name if len(seen) == 1 else f"{self._name} {index}"
            cases = tuple(_cases(session))
            judged = _judged(session, cases)
            yield SuiteResult(name, self._source, cases, judged, said=self._said(session))

    def _said(self, session: _Session) -> tuple[Quote, ...]:
        """The lines that count, as they stand in the log; the one that sums up first."""
        told = ((session.last, session.last_at), (session.counted, session.counted_at))
        return tuple(Quote("test", f"{self._source}#{at}", text) for text, at in told if text)

    def _section(self, name: str, session: _Session) -> bool:
        known = name.startswith(
            ("test session starts", "FAILURES", "ERRORS", "warnings summary", "short test summary")
        ) or name in ("PASSES", "XFAILURES", "slowest durations")
        if not known and not self._open:
            return False
        if name.startswith("test session starts"):
            if session.is_one:
                session = _Session()
                self._sessions.append(session)
            session.began = True
        self._open = True
        session.section, session.block, session.in_output = name, None, False
        return True

    def _ended(self, text: str) -> lines.Ended | None:
        if " in " not in text or not (text[:1].isdigit() or text[:1] in "=n"):
            return None
        return lines.ended(text)

    def _alone(self, text: str, number: int, session: _Session) -> bool:
        """A line outside a session: `-q` prints no header."""
        if text.startswith(("FAILED ", "ERROR ")) and (match := lines.SHORT.match(text)):
            if ".py" not in match["id"]:
                return False
            session.short[match["id"]] = (match["word"], match["said"] or "")
            return True
        if "collected " in text and (match := lines.COLLECTED.match(text)):
            self._count(match, text, number, session)
            return True
        if ".py::" in text and (match := lines.PROGRESS.match(text)):
            if match["word"] in ("FAILED", "ERROR"):
                session.short.setdefault(match["id"], (match["word"], ""))
            return True
        if text.startswith("E   "):
            self._failure(text, number, session)
            return True
        session.block = None
        return False

    def _within(self, text: str, number: int, session: _Session) -> bool:
        if session.section.startswith(("FAILURES", "ERRORS")):
            self._failure(text, number, session)
        elif session.section.startswith("short test summary"):
            if match := lines.SHORT.match(text):
                session.short[match["id"]] = (match["word"], match["said"] or "")
        elif session.section.startswith("test session starts"):
            if match := lines.COLLECTED.match(text):
                self._count(match, text, number, session)
            elif (match := lines.PROGRESS.match(text)) and match["word"] in ("FAILED", "ERROR"):
                session.short.setdefault(match["id"], (match["word"], ""))
            elif text[:1] in "DIWEC" and _LIVE.match(text):
                # Whom a test that passed talked to is said nowhere else.
                return _TARGETS.search(text) is None
        return True

    def _count(self, match: re.Match[str], text: str, number: int, session: _Session) -> None:
        session.began = True
        session.counted, session.counted_at = text, number
        gone = lines.DESELECTED.search(text)
        session.deselected = int(gone["count"]) if gone else 0
        session.collected = int(match["count"]) - session.deselected

    def _failure(self, text: str, number: int, session: _Session) -> None:
        if text[:1] == "_" and (match := lines.BLOCK.match(text)) and "_ _" not in text[:8]:
            self._begin(match["name"], number, session)
            return
        if _begins_unnamed(text, session.block):
            self._begin("", number, session)
        if session.block is not None:
            if text[:1] == "-" and lines.CAPTURED.match(text):
                session.in_output = True
            kept = session.block.output if session.in_output else session.block.lines
            if len(kept) < _MOST_LINES:
                kept.append(text)

    def _begin(self, name: str, number: int, session: _Session) -> None:
        is_error = session.section.startswith("ERRORS")
        session.block = lines.Block(name, is_error, number)
        session.in_output = False
        if len(session.blocks) < _MOST_CASES:
            session.blocks.append(session.block)


def _begins_unnamed(text: str, block: lines.Block | None) -> bool:
    """Whether a failure begins whose heading is missing, as in what people paste."""
    match = lines.PLACE.match(text) if text[:1] not in " >E" else None
    if block is None:
        return match is not None or text.startswith("E   ")
    if match is None or block.name:
        return False
    function = match["function"] or ""
    return function.startswith("test") and any(line.startswith("E ") for line in block.lines)


def _cases(session: _Session) -> Iterator[GradedCase]:
    """The failures in full, and those that only the short summary names."""
    left = dict(session.short)
    for block in session.blocks:
        name = _name_of(block)
        known = next((i for i in left if _is_of(i, name)), None)
        if known is not None:
            del left[known]
        yield _case(block, known or name, session.short.get(known or "", ("", ""))[1])
    for id_, (word, said) in left.items():
        raised = _raised_in(said)
        yield _graded(id_, raised, word == "ERROR", said, detail=None, output="")


def _name_of(block: lines.Block) -> str:
    if not block.name:
        places = (lines.PLACE.match(line) for line in block.lines if line[:1] not in " >E")
        named = [match["function"] or "" for match in places if match]
        return next((name for name in named if name.startswith("test")), "a test")
    match = _OF.match(block.name)
    return match["name"] if match else block.name


def _is_of(id_: str, name: str) -> bool:
    """Whether a full id is that of the name over a block: `TestClass.test_x` for `::`."""
    if id_ == name:
        return True
    _, _, rest = id_.partition("::")
    return rest.replace("::", ".") == name.replace("::", ".")


def _case(block: lines.Block, id_: str, said: str) -> GradedCase:
    told = [line[1:].strip() for line in block.lines if line.startswith("E ")]
    last = _last_group(block.lines)
    raised = _raised(block, last or ([said] if said else told))
    detail = "\n".join(block.lines)
    return _graded(id_, raised, _is_setup(block), said, detail, "\n".join(block.output))


def _is_setup(block: lines.Block) -> bool:
    return block.is_error or block.name.startswith("ERROR")


def _last_group(of: Sequence[str]) -> list[str]:
    """The `E` lines that stand last: of a chain those of what was raised in the end."""
    group: list[str] = []
    in_group = False
    for line in of:
        if line.startswith("E ") or line == "E":
            group = group if in_group else []
            group.append(line[1:].strip())
            in_group = True
        else:
            in_group = False
    return group


def _raised(block: lines.Block, told: Sequence[str]) -> Raised:
    frames: list[Frame] = []
    kind = ""
    for line in block.lines:
        if line[:1] not in " >E" and (match := lines.PLACE.match(line)):
            frames.append(Frame(match["file"], int(match["line"]), match["function"] or "?"))
            kind = match["type"] or kind
    said = "\n".join(told)
    found = _raised_in(said)
    if found.type == "AssertionError" and kind:
        return Raised(kind, said, tuple(frames))
    return Raised(found.type, found.message, tuple(frames))


def _raised_in(said: str) -> Raised:
    """The exception that a message begins with; pytest leaves an assertion's own name out."""
    match = lines.RAISED.match(said.partition("\n")[0])
    if match and _is_type(match["type"]):
        return Raised(match["type"], said.partition(": ")[2] if ": " in said else match["said"])
    bare = said.partition("\n")[0].strip()
    return Raised(bare, "") if _is_type(bare) else Raised("AssertionError", said)


def _is_type(name: str) -> bool:
    last = name.rpartition(".")[2]
    return bool(last[:1].isupper() and re.fullmatch(r"\w+", last)) and (
        last.endswith(("Error", "Exception", "Exit", "Interrupt", "Warning", "Failed", "Timeout"))
        or "." in name
        or last in ("Failed", "StopIteration", "KeyboardInterrupt", "ConnectionClosedOK")
        or last.startswith(("Connection", "Invalid", "Missing"))
    )


def _graded(
    id_: str, raised: Raised, setup: bool, said: str, detail: str | None, output: str
) -> GradedCase:
    first = raised.message.partition("\n")[0].strip()
    # As it stands in the log: that is what a person looks for.
    message = said if said and not said.endswith("...") else _verbatim(raised, first, said)
    place, reason = where_of(raised), None
    if _TIMED_OUT.search(first) or _TIMED_OUT.search(said):
        status = CaseStatus.TIMEOUT
    elif (under := _under_test(raised)) is not None:
        status, place, reason = CaseStatus.FAILED, under, UNDER_TEST
    else:
        # Nobody knows here whether the target was met: the test gets the benefit of the doubt.
        who, _ = blame(raised, in_call=not setup, met_target=True)
        status = CaseStatus.BROKEN if who is Blame.TEST else CaseStatus.FAILED
    return GradedCase(
        id_,
        status,
        0.0,
        UNKNOWN,
        message=message,
        where=place,
        reason=reason,
        detail=detail,
        output=output,
    )


def _under_test(raised: Raised) -> str | None:
    """The innermost frame, where it is neither a test's nor a library's: whose code is wrong then
    is the service's, run in the tests' own process.
    """
    if raised.type.rpartition(".")[2] not in _OF_SERVICE or len(raised.frames) < 2:
        return None
    frame = raised.frames[-1]
    if _OF_TESTS.search(frame.file) or _LIBRARY.search(frame.file):
        return None
    function = "" if frame.function == "?" else f" in {frame.function}"
    return f"{frame.file}:{frame.line}{function}"


def _verbatim(raised: Raised, first: str, said: str) -> str:
    if raised.type == "AssertionError" or raised.type in first:
        return first or raised.type
    return f"{raised.type}: {first}" if first else said or raised.type


def _judged(session: _Session, cases: Sequence[GradedCase]) -> SuiteJudgement:
    counts = session.ended.counts if session.ended else {}
    collected = session.ended.collected if session.ended else len(cases)
    if session.collected is not None:
        collected = max(collected, session.collected) if session.ended else session.collected
    skipped = counts.get("skipped", 0) + counts.get("xfailed", 0)
    failed = counts.get("failed", 0) + counts.get("error", 0)
    by_status = {
        CaseStatus.PASSED: counts.get("passed", 0) + counts.get("xpassed", 0),
        CaseStatus.FAILED: failed,
        CaseStatus.SKIPPED: skipped,
    }
    seconds = session.ended.seconds if session.ended else 0.0
    if failed or cases:
        said = f"{max(failed, len(cases))} of {collected} failed"
        return SuiteJudgement(
            SuiteOutcome.FAILED, (said,), collected, by_status, duration_s=seconds
        )
    if collected == 0 and (session.ended or session.counted):
        said = f"nothing was collected: {session.counted or session.last}"
    elif session.ended is None:
        said = "its end is not in the log"
    elif skipped >= collected:
        said = f"all {collected} were skipped: {session.last}"
    else:
        return SuiteJudgement(SuiteOutcome.PASSED, (), collected, by_status, duration_s=seconds)
    return SuiteJudgement(SuiteOutcome.UNPROVEN, (said,), collected, by_status, duration_s=seconds)
