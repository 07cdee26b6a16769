"""The fifteen lines say who serves, what failed and what to do; nothing that was not measured."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from pathlib import Path

import pytest
import worklogs

from loopctl.journal.brief import MOST_LINES, Role, brief
from loopctl.journal.fold import fold
from loopctl.model.events import (
    CommitChanged,
    Left,
    NovelLine,
    Payload,
    RemedyDecided,
    StageFinished,
    SuiteStarted,
)
from loopctl.model.evidence import CaseStatus, SuiteOutcome
from loopctl.model.finding import Fault, FaultKind, Quote, Why
from loopctl.model.state import OutcomeKind, State, StopReason, Verdict


@pytest.mark.parametrize("name", worklogs.ALL)
def test_no_run_needs_more_than_fifteen_lines_in_the_contracts_order(name: str) -> None:
    lines = brief(worklogs.ALL[name]().worklog()).lines

    assert len(lines) <= MOST_LINES
    order = [list(Role).index(line.role) for line in lines]
    assert order == sorted(order)


@pytest.mark.parametrize("name", worklogs.ALL)
def test_a_run_that_was_killed_anywhere_still_has_a_brief_without_a_verdict(name: str) -> None:
    events = worklogs.ALL[name]().events

    for end in range(1, len(events)):
        told = brief(fold(events[:end]))
        assert told.of(Role.USERS)
        assert told.of(Role.VERDICT)[0].startswith("none, the run has not ended")


def test_users_of_a_green_run_are_served_by_its_verified_revision() -> None:
    told = brief(worklogs.green().worklog())

    assert told.lines[0].role is Role.USERS
    assert told.lines[0].text == (
        "chat: chat-00002-new 100 % since 2025-09-10 20:30:00Z, verified, changed by this run"
    )
    assert "green, golden-path on local, cycle 1 of at most 3, exit code 0" in told.lines[1].text
    assert not told.of(Role.FAILED) + told.of(Role.CAUSE)


def test_a_red_run_quotes_the_line_that_proves_its_likely_cause_with_its_place() -> None:
    told = brief(worklogs.red().worklog())

    assert told.of(Role.CAUSE) == (
        "chat: A caller uses an argument that is gone (app.api-break, confidence 0.90)",
    )
    (quote,) = told.of(Role.QUOTE)
    assert quote == f'"{worklogs.QUOTE.quote}" at logs/1/chat.jsonl#812'
    assert any("tests/test_chat.py:41: AssertionError" in text for text in told.of(Role.FAILED))
    assert told.of(Role.RESTORE)[0].startswith("done")
    assert "not changed by this run" in told.of(Role.USERS)[0]


def test_one_next_command_works_without_loopctl() -> None:
    for name in worklogs.ALL:
        commands = brief(worklogs.ALL[name]().worklog()).of(Role.NEXT)
        assert any(command.startswith("loopctl ") for command in commands), name
        assert any(command.split()[0] in ("curl", "less", "tail") for command in commands), name


def test_the_command_finds_runs_that_are_kept_elsewhere() -> None:
    folder = Path("/var/my runs/runs", worklogs.RUN_ID)

    told = brief(worklogs.green().worklog(), folder)

    assert told.of(Role.NEXT)[0] == f"loopctl --runs-dir '/var/my runs' report {worklogs.RUN_ID}"
    assert told.of(Role.REPORT) == (str(folder / "worklog.md"),)


def test_what_shows_the_cause_comes_before_a_new_run() -> None:
    told = brief(worklogs.undelivered({worklogs.OLD: 100}).worklog())

    assert told.of(Role.NEXT) == (
        f"tail -n 50 .loopctl/runs/{worklogs.RUN_ID}/logs/1/chat.jsonl",
        f"loopctl logs {worklogs.RUN_ID} chat",
        "loopctl run golden-path --env local",
    )


def test_a_proposed_remedy_stands_between_the_cause_and_a_new_run() -> None:
    told = brief(worklogs.red().worklog())

    assert told.of(Role.NEXT) == (
        f"less .loopctl/runs/{worklogs.RUN_ID}/suites/1/p1-critical/stdout.txt",
        "git revert 19d714b3b",
        "loopctl run golden-path --env local",
    )


def test_a_new_run_names_the_protected_environment_and_where_the_runs_are() -> None:
    run = replace(worklogs.RUN, protected=True, environment="prod", loop_file="/srv/a b.yml")
    script = worklogs.Script(run).until_health({worklogs.OLD: 100})
    script.stage(State.HEALTH, OutcomeKind.FAILED, "it died")
    script.ended(Verdict.UNDELIVERED, 5, StopReason.NEEDS_HUMAN)

    told = brief(script.worklog(), Path("/var/my runs/runs", worklogs.RUN_ID))

    assert told.of(Role.NEXT)[-1] == (
        "loopctl --runs-dir '/var/my runs' run '/srv/a b.yml' --env prod --confirm prod"
    )


@pytest.mark.parametrize("kind", [FaultKind.EXIT_CODE, FaultKind.SIGNAL])
def test_the_log_of_a_service_that_died_under_test_comes_before_the_tests(kind: FaultKind) -> None:
    died = replace(worklogs.EXITED, kind=kind)
    script = worklogs.Script().until_health({worklogs.OLD: 100}).healthy()
    started = SuiteStarted("suites/1/p1-critical", 4)
    inside: list[tuple[Payload, str | None, str | None]] = [(started, None, "p1-critical")]
    script.stage(State.VERIFY, OutcomeKind.FAILED, "it died", (died,), inside).collected_logs()
    script.ended(Verdict.RED, 1, StopReason.NEEDS_HUMAN)

    first, second, _ = brief(script.worklog()).of(Role.NEXT)

    assert first == f"tail -n 50 .loopctl/runs/{worklogs.RUN_ID}/logs/1/chat.jsonl"
    assert second == f"loopctl logs {worklogs.RUN_ID} chat"


def test_a_run_that_began_nothing_tells_of_no_remedy_no_restore_and_no_cycle() -> None:
    locked = worklogs.Script()
    locked.ended(Verdict.LOCKED, 6, StopReason.LOCKED, detail="held by another run")

    for worklog in (locked.worklog(), worklogs.preflight().worklog()):
        told = brief(worklog)
        assert told.of(Role.TRIED) + told.of(Role.RESTORE) == ()
    verdict = brief(locked.worklog()).of(Role.VERDICT)[0]
    assert verdict.startswith("locked, golden-path on local, exit code 6 (locked), run ")
    assert brief(worklogs.red().worklog()).of(Role.TRIED) == ("nothing",)


def test_a_partial_run_says_so_in_its_first_line() -> None:
    first = str(brief(worklogs.partial().worklog()).lines[0])

    assert first.startswith("USERS: PARTIAL (--suite p1-critical; nothing is promoted)")


def test_a_restore_that_failed_opens_with_the_command_that_mends_it() -> None:
    told = brief(worklogs.restore_failed().worklog())

    assert str(told.lines[0]) == f"MEND: {worklogs.MEND}"
    assert "NOT verified, changed by this run" in told.lines[1].text
    assert "(restore-failed)" in told.lines[2].text


def test_what_the_platform_advises_stands_beside_the_command_that_mends_it() -> None:
    script = worklogs.restore_failed()
    fault = Fault(FaultKind.CONTROL_PLANE, "silent", "chat", hint="its log is …/host.log")
    script.events = [
        replace(e, payload=replace(e.payload, faults=(fault, fault)))
        if isinstance(e.payload, StageFinished) and e.payload.stage is State.SETTLE
        else e
        for e in script.events
    ]
    told = brief(script.worklog())

    assert told.of(Role.MEND) == (worklogs.MEND,)
    assert told.of(Role.RESTORE) == (
        "FAILED: the front door does not answer; its log is …/host.log",
    )


def test_a_first_run_ever_that_failed_says_that_it_serves_unverified() -> None:
    assert "its first revision, which serves UNVERIFIED" in (
        brief(worklogs.undelivered().worklog()).lines[0].text
    )


def test_six_of_six_skipped_is_unproven_and_without_an_invented_cause() -> None:
    told = brief(worklogs.unproven().worklog())

    assert told.verdict is Verdict.UNPROVEN
    assert "0 of 6 passed: 6 skipped" in told.of(Role.FAILED)[0]
    assert told.of(Role.CAUSE) == ("no known cause",)
    assert told.of(Role.LOG) == (
        '"main cleanup" at logs/1/chat.jsonl#3 (7 times, no green run to compare with)',
    )


def test_a_diagnosis_that_failed_itself_is_not_told_as_no_known_cause() -> None:
    log = worklogs.unproven().worklog()
    last = log.cycles[-1]
    ended = replace(
        last.stages[-1], stage=State.DIAGNOSE, kind=OutcomeKind.ERRORED, detail="x.yaml"
    )
    told = brief(
        replace(log, cycles=(*log.cycles[:-1], replace(last, stages=(*last.stages, ended))))
    )
    assert told.of(Role.CAUSE) == ("not known, the diagnosis itself has failed: x.yaml",)


def test_what_a_stage_captured_is_quoted_even_when_no_cause_is_known() -> None:
    told = brief(worklogs.undelivered({worklogs.OLD: 100}).worklog())

    assert told.of(Role.CAUSE) == ("no known cause",)
    assert told.of(Role.QUOTE) == ('"SystemExit: 3" at logs/1/chat.jsonl#2',)


def test_everything_that_is_missing_at_preflight_is_named_with_what_to_do() -> None:
    told = brief(worklogs.preflight(3).worklog())

    assert told.of(Role.USERS) == ("not looked at; this run changed nothing",)
    failed = told.of(Role.FAILED)
    assert len(failed) == 3
    assert all(f"KEY_{n}" in failed[n] and f"export KEY_{n}=" in failed[n] for n in range(3))


def test_a_log_line_that_only_repeats_what_failed_is_passed_over() -> None:
    script = worklogs.Script().until_health({worklogs.OLD: 100})
    fault = Fault(FaultKind.EXIT_CODE, "chat exited with 3 after 0.97 s", "chat")
    script.stage(State.HEALTH, OutcomeKind.FAILED, fault.summary, (fault,))
    for number, line in enumerate(("exited with 3 after 0.97 s", "out of agents"), start=3):
        script.add(NovelLine(line, 1, line, f"logs/1/chat.jsonl#{number}", baseline=True))
    script.ended(Verdict.UNDELIVERED, 5, StopReason.NEEDS_HUMAN)

    (log,) = brief(script.worklog()).of(Role.LOG)

    assert log.startswith('"out of agents" at logs/1/chat.jsonl#4')


def test_what_has_no_room_is_counted() -> None:
    told = brief(worklogs.preflight(40).worklog())

    assert len(told.lines) == MOST_LINES
    failed = told.of(Role.FAILED)
    assert failed[-1].endswith(f"(and {40 - len(failed)} more in the report)")


def test_changes_since_green_name_commits_and_configuration() -> None:
    run = replace(worklogs.RUN, green_run="RUN-7", config_changed=("loops/base.yaml",))
    script = worklogs.Script(run).until_health({worklogs.OLD: 100})
    for n in range(5):
        script.add(CommitChanged(f"{n}" * 40, f"subject {n}", "RUN-7"))
    script.stage(State.HEALTH, OutcomeKind.FAILED, "it died")
    script.ended(Verdict.UNDELIVERED, 5, StopReason.NEEDS_HUMAN)

    (text,) = brief(script.worklog()).of(Role.CHANGED)

    assert text.startswith("5 commits: 000000000000 subject 0; 111111111111 subject 1; ")
    assert "and 2 more; configuration: loops/base.yaml; since RUN-7" in text


def test_a_run_that_changed_something_and_could_not_read_it_back_does_not_claim_otherwise() -> None:
    script = worklogs.Script().until_health({worklogs.OLD: 100})
    script.ended(Verdict.INTERNAL, 70, StopReason.FATAL, detail="KeyError: 'x'")

    told = brief(script.worklog())

    assert "not known" in told.of(Role.USERS)[0]
    assert "this run did change it" in told.of(Role.USERS)[0]
    assert told.of(Role.FAILED) == ("KeyError: 'x'",)


def test_many_services_stay_on_the_first_line_and_are_counted() -> None:
    run = worklogs.RUN
    serving = tuple(
        Left(f"s{n}", {f"s{n}-1": 100}, verified=True, changed_by_run=False) for n in range(7)
    )
    script = worklogs.Script(run).stage(State.PREFLIGHT)
    script.ended(Verdict.GREEN, 0, StopReason.GREEN, left=serving)

    (users,) = brief(script.worklog()).of(Role.USERS)

    assert "s2: s2-1 100 %, verified" in users
    assert users.endswith("and 4 more services")


@pytest.mark.parametrize("long", ["", "x" * 10_000_000], ids=["short", "10 MB"])
def test_nothing_hostile_reaches_the_terminal(long: str) -> None:
    told = str(brief(worklogs.hostile(long).worklog()))

    assert len(told) < 20_000
    for char in told.replace("\n", ""):
        assert unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Zl", "Zp"), hex(ord(char))
    assert len(told.splitlines()) <= MOST_LINES


def test_where_a_whole_tail_was_kept_the_last_words_are_quoted() -> None:
    script = worklogs.red()
    tail = tuple(
        Quote("log", f"logs/1/chat.jsonl#{number}", text)
        for number, text in enumerate(("GET /a 200", "GET /b 200", "FATAL: giving up"), start=19)
    )
    said = Quote("condition", "stage/verify", "chat exited with 3")
    seen = Why("Why is it not serving?", "chat exited with 3", "observed", 3)
    worklog = script.worklog()
    cycle = worklog.cycles[-1]
    finding = replace(cycle.findings[0], evidence=(*tail, said), whys=(seen,))
    worklog = replace(worklog, cycles=(replace(cycle, findings=(finding,)),))

    assert brief(worklog).of(Role.QUOTE) == ('"FATAL: giving up" at logs/1/chat.jsonl#21',)

    pointed = replace(finding, whys=(replace(seen, evidence=0),))
    worklog = replace(worklog, cycles=(replace(cycle, findings=(pointed,)),))
    assert brief(worklog).of(Role.QUOTE) == ('"GET /a 200" at logs/1/chat.jsonl#19',)


def test_of_the_last_words_beside_an_exit_the_last_is_the_log_line() -> None:
    script = worklogs.red()
    exited = Quote("log", "varlog/system of chat-2", "Container called exit(3).")
    words = tuple(
        Quote("log", "stderr of chat-2", text) for text in ("INFO: waiting", "ERROR: no redis")
    )
    said = Quote("log", "logs/1/chat.jsonl#7", "something else")
    worklog = script.worklog()
    cycle = worklog.cycles[-1]
    seen = Why("Why is it not serving?", "it exited with 3", "observed", 0)
    finding = replace(cycle.findings[0], evidence=(exited, *words, said), whys=(seen,))
    worklog = replace(worklog, cycles=(replace(cycle, findings=(finding,)),))

    assert brief(worklog).of(Role.LOG) == ('"ERROR: no redis" at stderr of chat-2',)


def test_a_green_that_stands_on_a_tolerance_says_so_on_the_first_screen() -> None:
    worklog = worklogs.green().worklog()
    cycle = worklog.cycles[-1]
    name, suite = next(iter(cycle.suites.items()))
    failed = worklogs.case("test_tolerated", CaseStatus.FAILED)
    suites = {**cycle.suites, name: replace(suite, cases=(*suite.cases, failed))}
    worklog = replace(worklog, cycles=(replace(cycle, suites=suites),))

    (verdict,) = brief(worklog).of(Role.VERDICT)
    assert verdict.startswith("green with 1 case tolerated that did not pass, golden-path")


@pytest.mark.parametrize("name", worklogs.ALL)
def test_no_line_of_the_first_screen_is_said_twice(name: str) -> None:
    told = brief(worklogs.ALL[name]().worklog())
    assert len(set(map(str, told.lines))) == len(told.lines)


@pytest.mark.parametrize("option", ["", " --runs-dir '/var/my runs'"])
def test_a_remedy_that_is_to_run_again_is_not_proposed_beside_the_run(option: str) -> None:
    script = worklogs.red()
    again = f"loopctl{option} run golden-path --env local"
    script.events = [
        replace(e, payload=replace(e.payload, command=again, result="proposed"))
        if isinstance(e.payload, RemedyDecided)
        else e
        for e in script.events
    ]
    commands = brief(script.worklog()).of(Role.NEXT)
    assert len(set(commands)) == len(commands) == 3


def test_a_missed_criterion_is_what_failed() -> None:
    said = "criterion missed: http.p95 is 2.31 s, wanted <= 2s (200 samples)"
    quote = Quote("condition", "criteria/http.p95", said)
    missed = Fault(FaultKind.CRITERION, said, quotes=(quote,))
    script = worklogs.Script().until_health({worklogs.OLD: 100}).healthy()
    started = SuiteStarted("suites/1/p1-critical", 4)
    inside: list[tuple[Payload, str | None, str | None]] = [(started, None, "p1-critical")]
    script.stage(State.VERIFY, OutcomeKind.FAILED, said, (missed,), inside).collected_logs()
    script.ended(Verdict.RED, 1, StopReason.NEEDS_HUMAN)

    told = brief(script.worklog())

    log = f".loopctl/runs/{worklogs.RUN_ID}/logs/1/chat.jsonl"
    assert told.of(Role.NEXT)[0] == f"tail -n 50 {log}", "no test printed why it was slow"
    assert told.of(Role.FAILED) == (said,)
    assert told.of(Role.QUOTE) == (f'"{said}" at criteria/http.p95',)


def test_a_green_beside_a_quarantined_failure_says_whose_it_is_and_until_when() -> None:
    told = brief(worklogs.quarantined().worklog())

    assert told.of(Role.NOT_COUNTED) == (
        "tests/test_chat.py::test_known failed, quarantined until 2026-12-31 (ana)",
    )
    assert told.of(Role.VERDICT)[0].startswith(
        "green with 1 case quarantined that did not pass, golden-path"
    )
    assert any(str(line).startswith("NOT COUNTED: tests/") for line in told.lines)


def test_a_quarantined_failure_is_not_what_failed() -> None:
    known = ("tests/test_chat.py::test_known", "ana", "2026-12-31")
    suite = replace(worklogs.RUN.suites[0], quarantine=(known,))
    script = worklogs.Script(replace(worklogs.RUN, suites=(suite,)))
    script.until_health({worklogs.OLD: 100}).healthy()
    cases = [worklogs.case("test_known", CaseStatus.FAILED), worklogs.FAILING]
    reasons = ("1 failed: tests/test_chat.py::test_answer",)
    script.verify(cases, SuiteOutcome.FAILED, reasons, OutcomeKind.FAILED)
    script.ended(Verdict.RED, 1, StopReason.NEEDS_HUMAN)

    told = brief(script.worklog())

    assert not any("test_known" in text for text in told.of(Role.FAILED))
    assert any("test_answer failed" in text for text in told.of(Role.FAILED))
    assert "test_known" in told.of(Role.NOT_COUNTED)[0]


def test_a_lost_case_is_counted_quarantined_or_not() -> None:
    known = ("tests/test_chat.py::test_known", "ana", "2026-12-31")
    suite = replace(worklogs.RUN.suites[0], quarantine=(known,))
    script = worklogs.Script(replace(worklogs.RUN, suites=(suite,)))
    script.until_health({worklogs.OLD: 100}).healthy()
    lost = [worklogs.case("test_known", CaseStatus.LOST)]
    script.verify(lost, SuiteOutcome.UNPROVEN, ("1 lost",), OutcomeKind.UNPROVEN)

    assert brief(script.worklog()).of(Role.NOT_COUNTED) == ()
