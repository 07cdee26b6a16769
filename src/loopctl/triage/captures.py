"""Reads what was captured of a failure, kept as a file: what signatures are tried against.

Two forms: ours, one JSON object a line with its `kind` first (stage, log, request, fault, facts,
suite, case, measure), and whatever `triage --logs` reads: text, JSON, an export.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Final, Literal

from loopctl.model.artifact import ContentProof
from loopctl.model.baseline import Baseline
from loopctl.model.evidence import (
    CaseStatus,
    Control,
    Grade,
    GradedCase,
    SuiteJudgement,
    SuiteOutcome,
)
from loopctl.model.finding import Fault, FaultKind, Quote
from loopctl.model.logs import LogEntry, RequestEntry
from loopctl.model.state import State
from loopctl.triage.export.opening import STDIN, NoLogError
from loopctl.triage.export.reading import read_export
from loopctl.triage.export.symptoms import captures_of, symptoms_of
from loopctl.triage.symptoms import (
    Measure,
    RequestLog,
    ServiceFacts,
    ServiceLog,
    SuiteResult,
    Symptoms,
)

START: Final = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
_OURS: Final = b'{"kind"'
Json = Mapping[str, Any]


def entries(
    lines: Sequence[str],
    service: str = "chat",
    stream: Literal["stdout", "stderr", "system"] = "stderr",
    revision: str = "chat-00002-abc",
    step_s: float = 0.001,
    first: int = 1,
) -> list[LogEntry]:
    """Log entries, one a line, numbered from `first`."""
    return [
        LogEntry(
            START + timedelta(seconds=step_s * number), service, revision, stream, text, number
        )
        for number, text in enumerate(lines, first)
    ]


def read_capture(file: Traversable, baseline: Baseline | None = None) -> Symptoms:
    """What the file holds; raises OSError, or ValueError where it is not what it seems to be."""
    with file.open("rb") as opened:
        ours = opened.read(len(_OURS)) == _OURS
    if ours:
        lines = file.read_text(encoding="utf-8").splitlines()
        return _ours([json.loads(line) for line in lines if line.strip()], baseline)
    try:
        export = read_export(Path(STDIN), io.BytesIO(file.read_bytes()))
    except NoLogError as error:
        raise ValueError(error.problem.message) from error
    return symptoms_of(captures_of(replace(export, name=file.name)), baseline)[0]


def _ours(rows: Sequence[Json], baseline: Baseline | None) -> Symptoms:
    of = {kind: [row for row in rows if row["kind"] == kind] for kind in {r["kind"] for r in rows}}
    return Symptoms(
        stage=State(of["stage"][0]["stage"]) if "stage" in of else None,
        faults=tuple(map(_fault, of.get("fault", ()))),
        logs=_logs(of.get("log", ())),
        requests=_requests(of.get("request", ())),
        suites=_suites(of.get("suite", ()), of.get("case", ())),
        facts=tuple(map(_facts, of.get("facts", ()))),
        measures=tuple(
            Measure(m["metric"], m["value"], m["limit"], m["met"], "criteria")
            for m in of.get("measure", ())
        ),
        baseline=baseline,
    )


def _fault(row: Json) -> Fault:
    quotes = tuple(Quote(*quote) for quote in row.get("quotes", ()))
    kind = FaultKind(row["fault"])
    return Fault(kind, row["summary"], row.get("service"), row.get("value"), quotes)


def _logs(rows: Sequence[Json]) -> tuple[ServiceLog, ...]:
    found: dict[str, list[LogEntry]] = {}
    for row in rows:
        service = row.get("service", "chat")
        mine = found.setdefault(service, [])
        stream = row.get("stream", "stderr")
        mine.extend(entries([row["text"]], service, stream, first=len(mine) + 1))
    return tuple(
        ServiceLog(service, f"logs/1/{service}.jsonl", lines) for service, lines in found.items()
    )


def _requests(rows: Sequence[Json]) -> tuple[RequestLog, ...]:
    fields = [{key: value for key, value in row.items() if key != "kind"} for row in rows]
    requests = tuple(
        RequestEntry(at=START, service="chat", revision="chat-00002-abc", **each) for each in fields
    )
    return (RequestLog("chat", "logs/1/chat.requests.jsonl", requests),) if requests else ()


def _suites(suites: Sequence[Json], cases: Sequence[Json]) -> tuple[SuiteResult, ...]:
    return tuple(
        SuiteResult(
            suite["id"],
            f"suites/1/{suite['id']}",
            tuple(_case(case) for case in cases if case["suite"] == suite["id"]),
            SuiteJudgement(
                SuiteOutcome(suite["outcome"]),
                tuple(suite.get("reasons", ())),
                suite["collected"],
                {CaseStatus(k): v for k, v in suite.get("counts", {}).items()},
            ),
            suite.get("service", "chat"),
        )
        for suite in suites
    )


def _case(row: Json) -> GradedCase:
    grade, control = row.get("grade"), row.get("control")
    return GradedCase(
        row["id"],
        CaseStatus(row["status"]),
        row.get("duration_s", 0.2),
        START,
        grade=Grade(grade) if grade else None,
        reason=row.get("reason"),
        message=row.get("message"),
        where=row.get("where"),
        detail=row.get("detail"),
        output=row.get("output", ""),
        trace=row.get("trace"),
        control=Control(control, row["reason"]) if control else None,
    )


def _facts(row: Json) -> ServiceFacts:
    proof = None
    if "source_tree" in row:
        stale = tuple(row.get("stale", ()))
        proof = ContentProof("chat", row["source_tree"], row["image_tree"], stale=stale)
    return ServiceFacts("chat", row.get("told"), tuple(row.get("listening", ())), proof)
