"""What a run captured, as a case describes it: one mapping a record, its `kind` first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from loopctl.model.artifact import ContentProof
from loopctl.model.evidence import (
    CaseStatus,
    Grade,
    GradedCase,
    SuiteJudgement,
    SuiteOutcome,
)
from loopctl.model.finding import Fault, FaultKind, Quote
from loopctl.model.logs import LogEntry, RequestEntry
from loopctl.model.state import State
from loopctl.triage.symptoms import RequestLog, ServiceFacts, ServiceLog, SuiteResult, Symptoms

_AT: Final = datetime(2025, 9, 8, 13, 58, 26, tzinfo=UTC)
_SERVICE: Final = "chat"
_REVISION: Final = "chat-00002-abc"
Json = Mapping[str, Any]


def symptoms_of(rows: Sequence[Json]) -> Symptoms:
    """The symptoms of a failed cycle. Raises KeyError or ValueError for rows that are none."""
    of: dict[str, list[Json]] = {}
    for row in rows:
        of.setdefault(row["kind"], []).append({k: v for k, v in row.items() if k != "kind"})
    return Symptoms(
        stage=State[of["stage"][0]["stage"]],
        faults=tuple(map(_fault, of.get("fault", ()))),
        logs=_logs(of.get("log", ())),
        requests=_requests(of.get("request", ())),
        suites=tuple(_suite(suite, of.get("case", ())) for suite in of.get("suite", ())),
        facts=tuple(map(_facts, of.get("facts", ()))),
    )


def _fault(row: Json) -> Fault:
    quotes = tuple(Quote(*quote) for quote in row.get("quotes", ()))
    kind = FaultKind(row["fault"])
    return Fault(kind, row["summary"], row.get("service"), row.get("value"), quotes)


def _logs(rows: Sequence[Json]) -> tuple[ServiceLog, ...]:
    entries = [
        LogEntry(
            _AT + timedelta(milliseconds=number),
            _SERVICE,
            _REVISION,
            row.get("stream", "stderr"),
            row["text"],
            number,
        )
        for number, row in enumerate(rows, 1)
    ]
    return (ServiceLog(_SERVICE, "logs/1/chat.jsonl", entries),) if entries else ()


def _requests(rows: Sequence[Json]) -> tuple[RequestLog, ...]:
    requests = tuple(
        RequestEntry(at=_AT, service=_SERVICE, revision=_REVISION, **row) for row in rows
    )
    return (RequestLog(_SERVICE, "logs/1/chat.requests.jsonl", requests),) if requests else ()


def _suite(row: Json, cases: Sequence[Json]) -> SuiteResult:
    counts = {CaseStatus(status): number for status, number in row.get("counts", {}).items()}
    judgement = SuiteJudgement(
        SuiteOutcome(row["outcome"]), tuple(row.get("reasons", ())), row["collected"], counts
    )
    mine = tuple(_case(case) for case in cases if case["suite"] == row["id"])
    return SuiteResult(row["id"], f"suites/1/{row['id']}", mine, judgement, _SERVICE)


def _case(row: Json) -> GradedCase:
    return GradedCase(
        row["id"],
        CaseStatus(row["status"]),
        row.get("duration_s", 0.2),
        _AT,
        grade=Grade(row["grade"]) if "grade" in row else None,
        reason=row.get("reason"),
        message=row.get("message"),
        where=row.get("where"),
        output=row.get("output", ""),
    )


def _facts(row: Json) -> ServiceFacts:
    proof = None
    if "source_tree" in row:
        proof = ContentProof(
            _SERVICE, row["source_tree"], row["image_tree"], stale=tuple(row.get("stale", ()))
        )
    return ServiceFacts(_SERVICE, row.get("told"), tuple(row.get("listening", ())), proof)
