"""The parts of `report.html`: log lines beside a failure, panels by cause, the chain's links."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import worklogs

from loopctl.journal.worklog import CycleRecord, Worklog
from loopctl.model.artifact import ContentProof
from loopctl.model.events import LogsKept, StageEntered, SuiteStarted
from loopctl.model.evidence import CaseStatus
from loopctl.model.finding import Quote
from loopctl.model.state import State
from loopctl.reports.page.cases import suite_cases
from loopctl.reports.page.chain import chains
from loopctl.reports.page.course import courses
from loopctl.reports.page.failures import failures
from loopctl.reports.page.said_then import MOST_LINES, Beside, Moment, said_beside

TRACE = "0af7651916cd43dd8448eb211c80319c"
MOMENT = Moment(worklogs.BEGAN, 0.5, TRACE)


def cycle_of(log: Worklog) -> CycleRecord:
    assert log.last is not None
    return log.last


def with_log(folder: Path, lines: Sequence[bytes], path: str = "logs/1/chat.jsonl") -> CycleRecord:
    """A cycle that kept these lines as the log of its service."""
    file = folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"".join(lines))
    cycle = cycle_of(worklogs.red().worklog())
    kept = LogsKept(path, "logs/1/none.jsonl", len(lines), complete=True)
    return replace(cycle, services={"chat": replace(cycle.services["chat"], logs=kept)})


def line(after_s: float, text: str, **keys: object) -> bytes:
    at = (worklogs.BEGAN + timedelta(seconds=after_s)).isoformat()
    entry = {"at": at, "service": "chat", "revision": "r", "stream": "stderr", "text": text, **keys}
    return json.dumps(entry, separators=(",", ":")).encode() + b"\n"


def beside(folder: Path, *lines: bytes) -> Beside:
    (found,) = said_beside(folder, with_log(folder, lines), [MOMENT])
    assert found is not None
    return found


def test_only_lines_of_the_same_seconds_stand_beside_it_and_those_before_and_after_are_aside(
    tmp_path: Path,
) -> None:
    at = [-2.0, -0.9, 0.2, 1.4, 1.6, 3600.0]
    found = beside(tmp_path, *(line(after, f"after {after}") for after in at))
    assert [(said.text, said.aside) for said in found.lines] == [
        ("after -0.9", True),
        ("after 0.2", False),
        ("after 1.4", True),
    ]
    assert found.left_out == 0


def test_of_too_many_lines_those_that_tell_most_are_kept_and_the_others_counted(
    tmp_path: Path,
) -> None:
    plain = [line(0.2, f"INFO all is well {n}") for n in range(5000)]
    bad = [line(-0.5, "ERROR the pool is empty"), line(-0.5, "  at pool.py:7")]
    own = line(1.0, f'INFO request trace="00-{TRACE}-01"')
    found = beside(tmp_path, *plain, *bad, own)
    assert len(found.lines) == MOST_LINES
    assert found.left_out == 5003 - MOST_LINES
    marks = {said.text: said.mark for said in found.lines}
    assert marks["ERROR the pool is empty"] == marks["  at pool.py:7"] == "bad"
    assert marks[f'INFO request trace="00-{TRACE}-01"'] == "own"
    assert [said.at for said in found.lines] == sorted(said.at for said in found.lines)


def test_a_line_that_a_finding_quotes_is_marked_as_evidence(tmp_path: Path) -> None:
    cycle = with_log(tmp_path, [line(0.1, "quiet"), line(0.1, "it says why")])
    quote = Quote("log", "logs/1/chat.jsonl#2", "it says why")
    cycle = replace(cycle, findings=(replace(worklogs.FINDING, evidence=(quote,)),))
    (found,) = said_beside(tmp_path, cycle, [MOMENT])
    assert found is not None
    assert [(said.mark, said.source) for said in found.lines] == [
        ("", "logs/1/chat.jsonl#1"),
        ("quoted", "logs/1/chat.jsonl#2"),
    ]


def test_damaged_endless_and_foreign_lines_cost_nothing_but_themselves(tmp_path: Path) -> None:
    endless = line(0.1, "é" * 3_000_000)
    whole = b'{"at":"2025-09-10T20:30:00+00:00"'
    found = beside(tmp_path, b"\0" * 100 + b"\n", whole + b"}\n", whole + b"\n", endless)
    (said,) = found.lines
    assert said.text.startswith("éé")
    assert len(said.text) < 10_000
    assert said.source.endswith("#4")


def test_a_clock_that_tells_nonsense_costs_no_report(tmp_path: Path) -> None:
    moments = [
        Moment(at, took)
        for at in (datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC))
        for took in (float("nan"), float("inf"), -1.0)
    ]
    found = said_beside(tmp_path, with_log(tmp_path, [line(0.1, "x")]), moments)
    assert [each.lines for each in found if each is not None] == [()] * 6


def test_a_log_outside_the_run_or_not_there_is_not_read(tmp_path: Path) -> None:
    for path in ("../chat.jsonl", "logs/1/../../../chat.jsonl"):
        run = tmp_path / "run"
        run.mkdir(exist_ok=True)
        (found,) = said_beside(run, with_log(run, [line(0.1, "secret")], path), [MOMENT])
        assert found is None
    cycle = with_log(tmp_path, [])
    assert said_beside(tmp_path / "gone", cycle, [MOMENT]) == (None,)
    said_nothing = said_beside(tmp_path, cycle, [MOMENT])[0]
    assert said_nothing is not None
    assert said_nothing.lines == ()


def test_forty_failures_of_one_cause_share_a_panel_and_others_are_grouped_by_what_they_say() -> (
    None
):
    explained = [worklogs.case(f"test_{n}", CaseStatus.FAILED) for n in range(40)]
    alike = [
        worklogs.case(f"test_o{n}", CaseStatus.FAILED, message=f"order {n} is late")
        for n in range(5)
    ]
    log = worklogs.red().worklog()
    cycle = cycle_of(log)
    suite = replace(cycle.suites["p1-critical"], cases=(*alike, *explained))
    finding = replace(worklogs.FINDING, cases=tuple(case.id for case in explained))
    cycle = replace(cycle, suites={"p1-critical": suite}, findings=(finding,))
    found = failures(replace(log, cycles=(cycle,)), None)
    assert found is not None
    assert [(panel.number, panel.total) for panel in found.panels] == [(1, 40), (None, 5)]
    assert [len(panel.full) + len(panel.others) for panel in found.panels] == [40, 5]
    assert found.left_out == 0


def test_the_tests_that_did_not_pass_come_first_and_more_than_fit_are_counted() -> None:
    log = worklogs.green().worklog()
    cycle = cycle_of(log)
    many = [worklogs.case(f"test_{n}", reason="<" * 200) for n in range(5000)]
    failed = worklogs.case("test_bad", CaseStatus.FAILED)
    suite = replace(cycle.suites["p1-critical"], cases=(*many, failed))
    (listed,) = suite_cases(replace(cycle, suites={"p1-critical": suite}), 480_000)
    assert listed.rows[0].id.endswith("::test_bad")
    assert 100 < len(listed.rows) < 1000
    assert len(listed.rows) + listed.left_out == 5001


def test_a_stage_tells_its_wave_only_where_there_are_several() -> None:
    worklog = worklogs.green().worklog()
    (cycle,) = worklog.cycles

    def names(*waves: int | None) -> list[str]:
        stages = [replace(s, wave=w) for s, w in zip(cycle.stages, waves, strict=False)]
        (course,) = courses(replace(worklog, cycles=(replace(cycle, stages=tuple(stages)),)))
        return [bar.name for bar in course.bars if not bar.beneath]

    assert names(None, None, 0, 0) == ["preflight", "build", "deploy", "health"]
    assert names(None, None, 0, 1)[2:] == ["deploy, wave 1", "health, wave 2"]


def test_what_has_not_ended_is_not_said_to_be_interrupted() -> None:
    script = worklogs.Script().until_health({worklogs.OLD: 100}).healthy()
    script.add(StageEntered(State.VERIFY))
    script.add(SuiteStarted("suites/1/p1-critical"), suite="p1-critical")
    (course,) = courses(script.worklog())
    assert [bar.outcome for bar in course.bars][-2:] == ["not ended", "not ended"]


def test_each_link_of_the_chain_says_how_far_it_was_checked() -> None:
    (green,) = chains(worklogs.green().worklog())
    assert {link.checked for link in green.links} == {"checked"}
    assert green.again_checked == "checked"

    log = worklogs.green().worklog()
    cycle = cycle_of(log)
    proof = ContentProof("chat", worklogs.TREE, "sha256:" + "c" * 64, stale=("chat/live.py",))
    stale = replace(cycle.services["chat"], proof=proof, chain=None)
    (found,) = chains(replace(log, cycles=(replace(cycle, services={"chat": stale}),)))
    link = next(link for link in found.links if link.name == "image tree")
    assert (link.checked, found.again_checked) == ("broken", "not checked")
    assert link.how == "the content is NOT the source's; 1 file stale, first chat/live.py"

    (nothing,) = chains(worklogs.preflight().worklog())
    assert {link.checked for link in nothing.links} == {"not checked"}
