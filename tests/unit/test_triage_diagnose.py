"""A diagnosis says what the evidence shows, and says that it does not know the rest."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from triage_fixtures import START, entries, symptoms_of

from loopctl.model.baseline import Baseline
from loopctl.model.evidence import CaseStatus, GradedCase, Sample
from loopctl.model.finding import Fault, FaultKind, Finding, Quote
from loopctl.model.questions import SAID_FIRST
from loopctl.model.state import State
from loopctl.triage.assemble import assemble
from loopctl.triage.baseline import learn
from loopctl.triage.diagnose import Diagnosis, diagnose
from loopctl.triage.loading import load_catalogue
from loopctl.triage.symptoms import ServiceLog, SuiteResult, Symptoms

CATALOGUE = load_catalogue()


def of(name: str, baseline: Baseline | None = None) -> Diagnosis:
    return diagnose(symptoms_of(name, baseline), CATALOGUE)


def first(name: str) -> Finding:
    return of(name).findings[0]


def green() -> Baseline:
    (log,) = symptoms_of("green.jsonl").logs
    return learn([(log.service, assemble(log.entries))])


def failing(number: int, message: str) -> GradedCase:
    return GradedCase(
        f"tests/test_a.py::test_{number}", CaseStatus.FAILED, 0.1, START, message=message
    )


def verify(*cases: GradedCase, lines: tuple[str, ...] = ()) -> Symptoms:
    return Symptoms(
        State.VERIFY,
        logs=(ServiceLog("chat", "logs/1/chat.jsonl", entries(list(lines))),),
        suites=(SuiteResult("p1", "suites/1/p1", cases, service="chat"),),
    )


def test_forty_tests_that_fail_for_one_reason_are_one_finding() -> None:
    (finding,) = of("ws-1000.jsonl").findings
    assert finding.signature == "ws.closed-1000"
    assert len(finding.cases) == 40
    assert len(finding.evidence) <= 10


def test_a_service_that_dies_at_start_is_found_by_its_last_words() -> None:
    finding = first("exit-3.jsonl")
    assert finding.title == "The process ended with exit code 3"
    assert finding.evidence[0].source == "logs/1/chat.jsonl#2"
    assert finding.evidence[0].quote.startswith("ERROR Application startup failed")


def test_an_import_error_explains_the_exit_code_which_is_evidence_beneath_it() -> None:
    (finding,) = of("import-error.jsonl").findings
    assert finding.signature == "deploy.import-time-error"
    assert finding.title.endswith("RuntimeError in chat/faults.py:__init__:53")
    assert finding.evidence[0].source == "logs/1/chat.jsonl#14"
    assert any("exit code 1" in quote.quote for quote in finding.evidence)
    assert finding.confidence > 0.9


def test_missing_configuration_is_told_by_name_all_of_them() -> None:
    finding = first("missing-config.jsonl")
    assert finding.title == "Required configuration is missing: JWT_SECRET_STAGING, REDIS_PASSWORD"
    assert finding.remedy is not None
    assert finding.remedy.action == "person"


def test_a_wrong_port_names_both_ports() -> None:
    answers = [why.answer for why in first("wrong-port.jsonl").whys]
    assert "it was told PORT=18471 and listens on 18472" in answers


def test_a_port_that_is_taken_explains_the_exit_and_quotes_who_said_so() -> None:
    (finding,) = of("port-in-use.jsonl").findings
    assert finding.signature == "deploy.port-in-use"
    assert "('127.0.0.1', 8000): address already in use" in finding.evidence[0].quote
    (finding,) = of("port-in-use-traceback.jsonl").findings
    assert finding.signature == "deploy.port-in-use"


def test_a_service_that_dies_later_did_not_die_of_a_port_it_once_found_taken() -> None:
    assert first("port-tried-again.jsonl").signature == "deploy.exit-code"


def test_a_client_that_closes_with_1011_accuses_nobody() -> None:
    signatures = [finding.signature for finding in of("message-wrapper.jsonl").findings]
    assert signatures == ["ws.message-format"]


def test_two_different_errors_of_tests_are_two_findings() -> None:
    broken = of("test-broken.jsonl").findings
    assert sorted(len(finding.cases) for finding in broken) == [1, 3]
    assert all(finding.not_evidence for finding in broken)


def test_what_nobody_knows_is_given_no_cause_but_the_lines_that_may_tell() -> None:
    found = of("unknown.jsonl", green())
    first_, second = found.findings
    assert (first_.signature, first_.title, first_.confidence) == (None, "No known cause", 0.0)
    assert (first_.whys, first_.remedy) == ((), None)
    assert (len(first_.cases), len(second.cases)) == (40, 1)
    assert "ERROR ledger out of balance by 1" in [quote.quote for quote in first_.evidence]
    told = [unknown.partition(": ")[0] for unknown in found.unknown]
    assert "what made 40 tests fail" in told
    assert "what made 1 test fail" in told


def _with_the_share_of_errors(*cases: GradedCase) -> list[str | None]:
    said = "criterion missed: error_rate is 0.5, wanted <= 0 (2 samples)"
    quote = Quote("condition", "criteria/error_rate", said)
    missed = Fault(FaultKind.CRITERION, said, quotes=(quote,))
    symptoms = dataclasses.replace(verify(*cases), faults=(missed,))
    return [finding.evidence[0].quote for finding in diagnose(symptoms, CATALOGUE).findings]


def test_the_share_of_failed_requests_is_no_failure_beside_those_requests() -> None:
    case = failing(1, "it said good-bye")
    request = dataclasses.replace(case, samples=(Sample("error", 1.0),))
    assert _with_the_share_of_errors(request) == ["it said good-bye"]
    assert len(_with_the_share_of_errors(case)) == 2, "its error is another's"


def test_why_a_socket_was_closed_is_told_as_the_service_said_it() -> None:
    said = "closed the socket: 1000 'main cleanup' (received 1000 (OK) main cleanup; then sent)"
    (finding,) = diagnose(verify(failing(1, said)), CATALOGUE).findings
    assert finding.whys[0].answer == 'their socket is closed with 1000 "main cleanup"'


def test_green_lines_are_not_shown_as_novel() -> None:
    found = of("unknown.jsonl", green())
    assert [line.quote.source for line in found.novel] == [
        "logs/1/chat.jsonl#15",
        "logs/1/chat.jsonl#19",
    ]
    assert found.ranked_by.startswith("novelty")


def test_without_a_green_run_the_diagnosis_says_so() -> None:
    found = of("unknown.jsonl")
    assert "no green run" in found.ranked_by
    assert any("no green run" in unknown for unknown in found.unknown)


def test_a_traceback_that_green_runs_show_too_is_not_a_cause() -> None:
    known = symptoms_of("service-traceback.jsonl").logs[0]
    baseline = learn([(known.service, assemble(known.entries))])
    signatures = [f.signature for f in of("service-traceback.jsonl", baseline).findings]
    assert signatures == [None]


def test_a_fault_that_no_signature_knows_is_still_told_with_its_quote() -> None:
    fault = Fault(FaultKind.CONTROL_PLANE, "chat: try again later", "chat")
    (finding,) = diagnose(Symptoms(State.DEPLOY, (fault,)), CATALOGUE).findings
    assert finding.title == "No known cause"
    assert finding.evidence[0].quote == "chat: try again later"


def test_a_failed_suite_is_told_by_its_tests_not_a_second_time() -> None:
    fault = Fault(FaultKind.SUITE, "p1 failed: 1 of 1", None)
    symptoms = dataclasses.replace(verify(failing(1, "assert 1 == 2")), faults=(fault,))
    (finding,) = diagnose(symptoms, CATALOGUE).findings
    assert finding.cases == ("tests/test_a.py::test_1",)


def test_no_failing_test_is_lost_when_there_are_many_reasons() -> None:
    words = [f"reason{'x' * number}" for number in range(30)]
    symptoms = verify(*(failing(number, word) for number, word in enumerate(words)))
    findings = diagnose(symptoms, CATALOGUE).findings
    assert len(findings) == 11
    assert len({case for finding in findings for case in finding.cases}) == 30


def test_a_quote_is_cut_and_says_so() -> None:
    symptoms = verify(failing(1, "boom " + "x" * 5000))
    quote = diagnose(symptoms, CATALOGUE).findings[0].evidence[0].quote
    assert len(quote) == 400
    assert quote.endswith("…")


def test_hostile_text_matches_quickly_and_nothing() -> None:
    hostile = ("A_" * 2000, "'" * 4000, "\x1b[31m" * 800, "\x00" * 4000, "{summary}" * 400)
    symptoms = verify(failing(1, "\n".join(hostile)), lines=hostile)
    assert [finding.signature for finding in diagnose(symptoms, CATALOGUE).findings] == [None]


SIGNATURE = """\
schema: 1
id: ours.stale-layer
title: Old layer
severity: low
match:
  all: [{on: log, regex: 'old code'}]
  any: [{on: log, regex: 'CACHED \\[(?P<layer>[^\\]]{1,80})\\]'}]
  none: [{on: log, regex: 'deploy in progress'}]
whys:
  - {question: 'Why did it fail?', answer: it serves old code, inferred: true}
  - {question: 'Why old code?', answer: 'layer {layer} came from the cache', evidence: layer}
  - {question: 'Why the cache?', answer: nobody knows}
remedy: {action: rebuild}
tests: {positive: [a.jsonl], negative: [b.jsonl]}
"""


def stale(folder: Path, *lines: str) -> Finding:
    file = folder / "ours.yaml"
    file.write_text(SIGNATURE, encoding="utf-8")
    catalogue = load_catalogue([file])
    return diagnose(verify(failing(1, "assert 1 == 2"), lines=lines), catalogue).findings[0]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def test_a_why_that_was_captured_is_observed_and_one_that_was_not_a_hypothesis(
    folder: Path,
) -> None:
    seen = stale(folder, "INFO old code", "CACHED [7/15]")
    assert [why.status for why in seen.whys] == ["inferred", "observed", "hypothesis"]
    assert seen.whys[1].evidence is not None
    assert seen.evidence[seen.whys[1].evidence].quote == "CACHED [7/15]"
    guessed = stale(folder, "INFO old code")
    assert [why.status for why in guessed.whys] == ["inferred", "hypothesis"]
    assert guessed.confidence < seen.confidence


def test_what_must_not_be_seen_forbids_the_cause(folder: Path) -> None:
    assert stale(folder, "INFO old code", "deploy in progress").signature is None


def green_of(*lines: str) -> Baseline:
    return learn([("chat", assemble(entries(list(lines))))])


def unstable(*lines: str) -> Diagnosis:
    said = "chat: /health answers 503, not 200, after it had been healthy for 2.1 s"
    fault = Fault(FaultKind.UNSTABLE, said, "chat", "503")
    log = ServiceLog("chat", "logs/1/chat.jsonl", entries(list(lines)))
    baseline = green_of("INFO ready", "INFO request status=200")
    return diagnose(Symptoms(State.HEALTH, (fault,), (log,), baseline=baseline), CATALOGUE)


def test_the_first_severe_line_that_no_green_run_had_goes_on_where_a_signature_ends() -> None:
    (finding,) = unstable(
        "INFO ready", "ERROR lost the connection to the store", "ERROR request status=503"
    ).findings
    assert finding.signature == "health.unstable"
    why = next(why for why in finding.whys if why.question == SAID_FIRST)
    assert why.answer == "ERROR lost the connection to the store"
    assert why.status == "observed"
    assert why.evidence is not None
    assert finding.evidence[why.evidence].source == "logs/1/chat.jsonl#2"


def test_what_a_green_run_says_too_or_what_came_after_the_cause_explains_nothing() -> None:
    asked = [
        why.question
        for lines in (["INFO ready"], ["INFO ready", "INFO something new"])
        for finding in unstable(*lines).findings
        for why in finding.whys
    ]
    assert asked
    assert SAID_FIRST not in asked
    (finding,) = of("exit-3.jsonl", green_of("INFO something else")).findings
    assert SAID_FIRST not in [why.question for why in finding.whys], "it quotes its last words"


def test_a_line_that_introduces_a_traceback_is_not_told_beside_it() -> None:
    found = of("http-500.jsonl", green())
    questions = [why.question for why in found.findings[0].whys]
    assert SAID_FIRST not in questions


def test_lines_that_differ_in_ids_alone_are_quoted_once() -> None:
    quotes = [quote.quote for quote in first("ws-1000.jsonl").evidence]
    closed = [quote for quote in quotes if "closed 1000" in quote]
    assert len(closed) < 4
