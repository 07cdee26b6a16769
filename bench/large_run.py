"""A red run of any size, as its folder: journal, and the kept logs beside it. Also for tests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from loopctl.journal.history import JOURNAL_NAME
from loopctl.journal.store import Journal
from loopctl.model.events import (
    CasesGraded,
    LogsKept,
    RunEnded,
    RunStarted,
    ServiceFacts,
    StageEntered,
    StageFinished,
    SuiteFacts,
    SuiteFinished,
    SuiteStarted,
)
from loopctl.model.evidence import (
    CaseStatus,
    Grade,
    GradedCase,
    SuiteEnd,
    SuiteJudgement,
    SuiteOutcome,
)
from loopctl.model.state import OutcomeKind, State, StopReason, Verdict
from loopctl.redact import Redactor

_REVISION = "shop-00042-x7q"
_SUITES = 8
_TEST_S = 0.4
_EVERY_FAILS = 20
_TRACE = """\
    def test_{n}(client, order):
        answer = client.post("/api/v1/orders", json=order(items={n}, currency="EUR"))
>       assert answer.status_code == 201, answer.text
E       AssertionError: {{"error": "stock is held by another order", "order": {n}}}
E       assert 409 == 201
E        +  where 409 = <Response [409 Conflict]>.status_code

tests/orders/test_checkout.py:{n}: AssertionError
"""


def large_run(runs_dir: Path, tests: int, lines: int) -> Path:
    """Write it; its folder. One test in twenty fails; the log lines are spread over the tests."""
    began = datetime.now(UTC)
    run_id = f"{began:%Y%m%d-%H%M%S}-shop-0a1b"
    folder = runs_dir / "runs" / run_id
    (folder / "logs" / "1").mkdir(parents=True)
    _journal(folder, began, tests, lines)
    seconds = tests * _TEST_S / (lines or 1)
    with (folder / "logs" / "1" / "shop.jsonl").open("w") as log:
        log.writelines(
            _line(number, began + timedelta(seconds=number * seconds)) for number in range(lines)
        )
    return folder


def _journal(folder: Path, began: datetime, tests: int, lines: int) -> None:
    journal = Journal(folder / JOURNAL_NAME, Redactor({}))
    journal.append(_started(folder.name))
    journal.cycle = 1
    journal.append(StageEntered(State.VERIFY))
    for number, suite in enumerate(_suites()):
        journal.append(SuiteStarted(f"suites/1/{suite.id}"), suite=suite.id)
        cases = [_case(n, began) for n in _share(number, tests)]
        for first in range(0, len(cases), 100):
            journal.append(CasesGraded(tuple(cases[first : first + 100])), suite=suite.id)
        journal.append(_finished(cases), suite=suite.id)
    failed = OutcomeKind.FAILED
    detail = f"{tests // _EVERY_FAILS} failed"
    journal.append(StageFinished(State.VERIFY, failed, State.COLLECT, tests * _TEST_S, detail))
    kept = LogsKept("logs/1/shop.jsonl", None, lines, complete=True)
    journal.append(kept, service="shop")
    journal.cycle = 0
    ended = RunEnded(Verdict.RED, 1, StopReason.NEEDS_HUMAN, tests * _TEST_S, detail=detail)
    journal.append(ended)
    journal.close()


def _started(run_id: str) -> RunStarted:
    return RunStarted(
        run_id=run_id,
        loop="shop",
        loop_file="loops/shop.yaml",
        root="/src/shop",
        environment="staging",
        platform="cloud-run",
        loopctl="0.1.0",
        pid=1,
        pid_started=1,
        services=(ServiceFacts("shop"),),
        suites=tuple(_suites()),
        max_cycles=2,
    )


def _suites() -> Iterator[SuiteFacts]:
    for number in range(_SUITES):
        name = f"{('orders', 'stock', 'carts', 'search')[number % 4]}-{number // 4 + 1}"
        yield SuiteFacts(name, "", f"P{number // 3}", "pytest", "verify", "observed")


def _share(suite: int, tests: int) -> range:
    return range(suite * tests // _SUITES, (suite + 1) * tests // _SUITES)


def _case(number: int, began: datetime) -> GradedCase:
    at = began + timedelta(seconds=number * _TEST_S)
    name = (
        f"tests/orders/test_checkout.py::TestCheckout::test_an_order_is_kept[{number}-EUR-express]"
    )
    if number % _EVERY_FAILS:
        reason = f"receipt: POST /api/v1/orders 201 on {_REVISION}; 812 B out, 1404 B in"
        return GradedCase(name, CaseStatus.PASSED, _TEST_S, at, Grade.PROVEN, reason)
    message = f'AssertionError: {{"error": "stock is held by another order", "order": {number}}}'
    detail = _TRACE.format(n=number)
    where = f"tests/orders/test_checkout.py:{number}"
    return GradedCase(
        name, CaseStatus.FAILED, _TEST_S, at, message=message, where=where, detail=detail
    )


def _finished(cases: list[GradedCase]) -> SuiteFinished:
    counts = {status: sum(1 for c in cases if c.status is status) for status in CaseStatus}
    failed = counts[CaseStatus.FAILED]
    took = len(cases) * _TEST_S
    judgement = SuiteJudgement(
        SuiteOutcome.FAILED if failed else SuiteOutcome.PASSED,
        (f"{failed} failed",) if failed else (),
        len(cases),
        counts,
        {Grade.PROVEN: counts[CaseStatus.PASSED]},
        Grade.PROVEN,
        took,
    )
    return SuiteFinished(judgement, SuiteEnd(complete=True, exit_code=1, duration_s=took))


def _line(number: int, at: datetime) -> str:
    bad = number % 50 == 0
    text = f"INFO order {number} for customer {number % 977} took {number % 41} ms, 3 items"
    if bad:
        text = f"ERROR stock of item {number % 13} is held by another order, giving up on {number}"
    document = {
        "at": at.isoformat(),
        "service": "shop",
        "revision": _REVISION,
        "stream": "stderr" if bad else "stdout",
        "text": text,
    }
    return json.dumps(document, separators=(",", ":")) + "\n"
