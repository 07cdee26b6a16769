"""Everything that was captured, as records of one shape that signatures can be held against."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from loopctl.model.evidence import CaseStatus, GradedCase, SuiteOutcome
from loopctl.model.finding import Fault, Quote
from loopctl.model.logs import RequestEntry
from loopctl.triage.assemble import LogEvent
from loopctl.triage.fingerprint import stack_fingerprint
from loopctl.triage.lines import Line
from loopctl.triage.severity import severity_of
from loopctl.triage.signatures import On
from loopctl.triage.symptoms import (
    Measure,
    RequestLog,
    ServiceFacts,
    ServiceLog,
    SuiteResult,
    Symptoms,
)
from loopctl.triage.templates import mask_message
from loopctl.triage.traceback import StackTrace

Value = str | int | float | bool | None

LONGEST_QUOTE: Final = 400
FAILING: Final = frozenset(
    {CaseStatus.FAILED, CaseStatus.BROKEN, CaseStatus.TIMEOUT, CaseStatus.LOST}
)
_MOST_TEST_LINES: Final = 400
_OF_TESTS: Final = re.compile(
    r"(?:^|/)(?:tests?/|test_[^/]*$|conftest\.py$|[^/]*[_.-](?:test|spec)\.)"
)


@dataclass(frozen=True, slots=True)
class Record:
    """One captured thing. `lines` are what a regex is looked for in.

    `proof` is quoted whichever line matched; without it the line that matched is. `channel` is a
    log's stream or a suite's id. `at` is when it was seen, None where nobody wrote that down.
    """

    on: On
    service: str | None
    lines: tuple[Quote, ...]
    fields: Mapping[str, Value]
    channel: str | None = None
    proof: tuple[Quote, ...] = ()
    fault: Fault | None = None
    cases: tuple[str, ...] = ()
    at: datetime | None = None


def cut(quote: Quote) -> Quote:
    """The quote as a finding carries it: at most 400 characters, said where it was cut."""
    if len(quote.quote) <= LONGEST_QUOTE:
        return quote
    return Quote(quote.kind, quote.source, quote.quote[: LONGEST_QUOTE - 1] + "…")


def records_of(symptoms: Symptoms) -> Iterator[Record]:
    """Every record but those of logs, which are streamed."""
    failing = _failing_by_trace(symptoms)
    for fault in symptoms.faults:
        yield _fault(fault, symptoms)
    for facts in symptoms.facts:
        yield from _facts(facts)
    for suite in symptoms.suites:
        yield from _suite(suite)
    for log in symptoms.requests:
        for number, request in enumerate(log.requests, log.first):
            yield _request(log, number, request, failing.get(request.trace or "", ()))
    for measure in symptoms.measures:
        yield _measure(measure, symptoms.faults)


def _failing_by_trace(symptoms: Symptoms) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for suite in symptoms.suites:
        for case in suite.cases:
            if case.trace and case.status in FAILING:
                found[case.trace] = (*found.get(case.trace, ()), case.id)
    return found


def _fault(fault: Fault, symptoms: Symptoms) -> Record:
    said = Quote("condition", symptoms.place, fault.summary)
    return Record(
        "condition",
        fault.service,
        (*_by_line(fault.quotes), said),
        {
            "fault": fault.kind.value,
            "value": fault.value,
            "summary": fault.summary,
            "stage": symptoms.stage.value if symptoms.stage else None,
        },
        proof=fault.quotes or (said,),
        fault=fault,
    )


def _by_line(quotes: tuple[Quote, ...]) -> Iterator[Quote]:
    for quote in quotes:
        for line in quote.quote.splitlines():
            yield Quote(quote.kind, quote.source, line)


def _facts(facts: ServiceFacts) -> Iterator[Record]:
    if facts.told is not None and facts.listening:
        listening = ", ".join(map(str, facts.listening))
        text = f"told PORT={facts.told}, listens on {listening}"
        told: dict[str, Value] = {
            "told_port": facts.told,
            "listening_port": listening,
            "port_differs": facts.told not in facts.listening,
        }
        yield _condition(facts.service, text, told)
    if proof := facts.proof:
        differs = [*proof.stale, *proof.missing, *proof.mode_differs]
        text = f"source tree {proof.source_tree}, image tree {proof.image_tree}"
        if proof.elsewhere is not None and not proof.of_source:
            text = f"image {proof.elsewhere.digest}, built elsewhere"
        if differs:
            text += f"; {len(differs)} files differ: {', '.join(differs[:5])}"
        compared: dict[str, Value] = {
            "source_tree": proof.source_tree,
            "image_tree": proof.image_tree,
            "content_differs": proof.broken,
            "first_stale": next(iter(proof.stale), None),
        }
        yield _condition(facts.service, text, compared)


def _condition(service: str, text: str, fields: Mapping[str, Value]) -> Record:
    return Record(
        "condition", service, (Quote("configuration", f"configuration/{service}", text),), fields
    )


def _suite(suite: SuiteResult) -> Iterator[Record]:
    judged = suite.judgement
    outcome = judged.outcome.value if judged else None
    for case in suite.cases:
        yield _case(suite, case, outcome)
    if judged is None:
        return
    skipped = judged.counts.get(CaseStatus.SKIPPED, 0)
    text = "; ".join(judged.reasons) or f"{suite.suite}: {judged.outcome.value}"
    yield Record(
        "condition",
        suite.service,
        (Quote("test", suite.source, text),),
        {
            "suite": suite.suite,
            "outcome": outcome,
            "collected": judged.collected,
            "all_skipped": 0 < judged.collected == skipped,
        },
        channel=suite.suite,
        proof=suite.said,
    )


def case_quote(suite: SuiteResult, case: GradedCase, text: str) -> Quote:
    """A line of a test's text, located by suite and id."""
    return Quote("test", f"{suite.source}#{case.id}", text)


def case_headline(case: GradedCase) -> str:
    """The line that says most of how a test ended."""
    lines = (case.message or case.detail or "").strip().splitlines()
    return lines[0] if lines else f"{case.status.value} after {case.duration_s:.1f} s"


def _case(suite: SuiteResult, case: GradedCase, outcome: str | None) -> Record:
    failing = case.status in FAILING
    if failing or case.status is CaseStatus.FLAKY:
        text = "\n".join(part for part in (case.message, case.detail, case.output) if part)
        lines = [line for line in text.splitlines() if line.strip()][:_MOST_TEST_LINES]
        lines = lines or [case_headline(case)]
    else:
        lines = [f"{case.status.value}: {case.reason}" if case.reason else case.status.value]
        if outcome != SuiteOutcome.PASSED.value:
            # A pass that does not count may say itself whom it met instead.
            lines += [line for line in case.output.splitlines() if line.strip()][:_MOST_TEST_LINES]
    return Record(
        "test",
        suite.service,
        tuple(case_quote(suite, case, line) for line in lines),
        {
            "status": case.status.value,
            "failing": failing,
            "id": case.id,
            "suite": suite.suite,
            "suite_outcome": outcome,
            "grade": case.grade.value if case.grade else None,
            "control": case.control.kind if case.control else None,
            "reason": case.reason,
            "where": case.where,
            "message": case_headline(case),
            "message_key": mask_message(case_headline(case)),
            "seconds": round(case.duration_s, 1),
        },
        channel=suite.suite,
        cases=(case.id,),
        at=case.at + timedelta(seconds=case.duration_s),
    )


def request_quote(log: RequestLog, number: int, request: RequestEntry) -> Quote:
    """A request in words, located by file and line."""
    source = f"{log.source}#{number}"
    if request.event == "close":
        return Quote("ws_close", source, _close_text(request))
    if request.line is not None:
        return Quote("log", source, request.line)
    text = f"{request.method} {request.path} {request.status} in {request.latency_s * 1000:.0f} ms"
    if request.error:
        text += f", {request.error}"
    return Quote("request", source, text)


def _request(log: RequestLog, number: int, request: RequestEntry, cases: tuple[str, ...]) -> Record:
    lines = (request_quote(log, number, request),)
    common: dict[str, Value] = {
        "method": request.method,
        "path": request.path,
        "error": request.error,
        "by_failing_case": bool(cases),
    }
    if request.event == "close":
        return Record(
            "ws_close",
            request.service or log.service,
            lines,
            common
            | {
                "code": request.close_code,
                "reason": request.close_reason or "",
                "closed_by": request.closed_by,
                "age_s": None if request.age_s is None else round(request.age_s, 3),
            },
            cases=cases,
            at=request.at,
        )
    return Record(
        "http",
        request.service or log.service,
        lines,
        common | {"status": request.status, "latency_s": round(request.latency_s, 3)},
        cases=cases,
        at=request.at,
    )


def _close_text(request: RequestEntry) -> str:
    by = f" by the {request.closed_by}" if request.closed_by else ""
    age = f" after {request.age_s:.2f} s" if request.age_s is not None else ""
    reason = f" {request.close_reason}" if request.close_reason else ""
    return f"{request.path} closed {request.close_code}{reason}{by}{age}"


def _measure(measure: Measure, faults: Sequence[Fault]) -> Record:
    """The fault that quotes the same measurement belongs to it: it is no second cause."""
    mine = (f for f in faults if any(quote.source == measure.source for quote in f.quotes))
    text = f"{measure.metric} is {measure.value}, the limit {measure.limit}"
    if measure.furthest:
        text += f"; furthest from it: {measure.furthest}"
    return Record(
        "metric",
        None,
        (Quote("condition", measure.source, text),),
        {
            "metric": measure.metric,
            "value": measure.value,
            "limit": measure.limit,
            "met": measure.met,
        },
        fault=next(mine, None),
    )


def log_quote(log: ServiceLog, line: Line) -> Quote:
    """A line of a log, located by file and number."""
    return Quote("log", f"{log.source}#{line.number}", line.text)


def log_record(log: ServiceLog, event: LogEvent, novel: bool | None) -> Record:
    """An assembled event; `novel` is None where there is no green log to compare with."""
    fields: dict[str, Value] = {
        "severity": severity_of(event).name.lower(),
        "novel": "unknown" if novel is None else "yes" if novel else "no",
        "revision": event.revision,
    }
    proof: tuple[Quote, ...] = ()
    if event.trace is not None:
        fields |= _trace_fields(event.trace)
        proof = _trace_proof(log, event.trace)
    return Record(
        "log",
        log.service,
        tuple(log_quote(log, line) for line in _told(event)),
        fields,
        channel=event.stream,
        proof=proof,
        at=event.at,
    )


def _told(event: LogEvent) -> Iterator[Line]:
    """Its lines without the code that a traceback shows: what is written there has not happened."""
    code: set[str] = set()
    if event.trace is not None:
        raised = event.trace.exceptions
        code = {frame.text for each in raised for frame in each.frames}
        # Below a frame without its code stands the exception itself.
        code -= {"", *(each.text.strip(" |") for each in raised)}
    return (line for line in event.lines if line.text.strip(" |") not in code)


def _trace_fields(trace: StackTrace) -> dict[str, Value]:
    raised, frame = trace.innermost, trace.frame
    return {
        "type": raised.type,
        "message": raised.message,
        "where": f"{frame.place}:{frame.line}" if frame else None,
        "fingerprint": stack_fingerprint(trace),
        "at_import": trace.at_import,
        "in_app": bool(frame and frame.in_app),
        "in_test": bool(frame and _OF_TESTS.search(frame.file)),
        "language": trace.language,
    }


def _trace_proof(log: ServiceLog, trace: StackTrace) -> tuple[Quote, ...]:
    """The line that names the exception, and the frame it came from."""
    raised, frame = trace.innermost, trace.frame
    wanted = [Line(raised.number, raised.text)]
    if frame is not None:
        wanted.append(Line(frame.number, frame.quote))
    return tuple(log_quote(log, line) for line in wanted)
