"""What many runs say together, what of them does not count, and what is unknown."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import worklogs
from worklogs import case

from loopctl.api.listing import runs, runs_document, runs_lines
from loopctl.journal.history import SUMMARY_NAME, RunSummary, read_summaries
from loopctl.journal.trends import Trend, trends
from loopctl.journal.wording import iso
from loopctl.model.evidence import CaseStatus, SuiteOutcome
from loopctl.model.state import StopReason, Verdict
from loopctl.reports.summary import summary_of, to_json
from loopctl.reports.trends_text import sparkline, trend_lines

BEGAN = worklogs.BEGAN


def run(number: int, verdict: str | None = "green", **facts: object) -> RunSummary:
    """One an hour; each takes ten seconds and as many more as its number."""
    began = BEGAN + timedelta(hours=number)
    made = RunSummary(
        run_id=f"{began:%Y%m%d-%H%M%S}-shop-{number:04x}",
        loop="shop",
        environment="local",
        verdict=verdict,
        started_at=iso(began),
        ended_at=iso(began + timedelta(seconds=10 + number)),
        duration_s=10.0 + number,
        counts={"collected": 4, "passed": 4, "flaky": 0},
    )
    return replace(made, **facts)  # type: ignore[arg-type]


def trend(oldest_first: Sequence[RunSummary]) -> Trend:
    (found,) = trends(tuple(oldest_first)[::-1])
    return found


def of(verdicts: str) -> Trend:
    """Of runs by letter: green, red, interrupted."""
    names = {"g": "green", "r": "red", "i": "interrupted"}
    return trend([run(number, names[letter]) for number, letter in enumerate(verdicts)])


def test_whole_runs_that_ended_count_and_no_others() -> None:
    told = trend(
        [
            run(0),
            run(1, "red"),
            run(2, "unproven"),
            run(3, "preflight"),
            run(4, "locked"),
            run(5, "interrupted"),
            run(6, partial=True),
            run(7, None, state="running"),
            run(8, None, state="interrupted"),
        ]
    )
    assert (told.pass_rate.green, told.pass_rate.counted, told.pass_rate.rate) == (1, 4, 0.25)
    assert told.pass_rate.not_counted == {
        "locked": 1,
        "interrupted": 1,
        "partial": 1,
        "running": 1,
        "killed": 1,
    }


def test_without_a_run_that_counts_nothing_is_made_up() -> None:
    told = trend([run(0, "interrupted"), run(1, partial=True)])
    assert told.pass_rate.rate is None
    assert told.durations.median_s is None
    assert told.time_to_green.median_s is None
    text = "\n".join(trend_lines([told], encoding="utf-8"))
    assert "pass rate unknown: no whole run has ended" in text


def test_durations_are_of_green_runs_and_tell_how_they_moved() -> None:
    told = trend([run(0), run(1), run(2, "red", duration_s=900.0), run(3), run(4)]).durations
    assert (told.runs, told.median_s) == (4, 12.0)
    assert told.moved_s == 3.0, "13.5 after 10.5"
    assert told.start_to_green_s == 12.0
    assert trend([run(0), run(1), run(2)]).durations.moved_s is None


def test_time_to_green_is_from_the_first_failure_after_a_green_to_the_next_green() -> None:
    told = of("grrgrg").time_to_green
    assert (told.times, told.longest_s) == (2, 7202.0)
    assert told.median_s == 5401.5
    assert told.open_since is None
    assert of("rrg").time_to_green.times == 0, "when that began nobody knows"
    going = of("grr").time_to_green
    assert (going.times, going.open_since) == (0, "2025-09-10T21:30:11.000Z")
    assert of("grirg").time_to_green.longest_s == 3 * 3600 + 3, "an interrupted one is no end"


def test_streaks_pass_over_what_does_not_count() -> None:
    assert of("grrirgr").streaks.longest_not_green == 3
    assert of("grrirgr").streaks.now_not_green == 1
    assert of("rgig").streaks.now_green == 2


def test_flaky_cases_are_named_where_their_runs_name_them() -> None:
    counts = {"collected": 4, "passed": 2, "flaky": 2}
    told = trend(
        [
            run(0, counts=counts, flaky=("p1::a", "p1::b")),
            run(1, counts=counts, flaky=("p1::a",)),
            run(2, counts=counts),
            run(3, counts={}),
        ]
    ).flaky
    assert (told.runs, told.cases, told.unnamed) == (3, {"p1::a": 2, "p1::b": 1}, 2)


def test_a_summary_names_its_flaky_cases_within_its_size() -> None:
    script = worklogs.Script().until_health({worklogs.OLD: 100}).healthy()
    flaky = [case(f"test_{n}", CaseStatus.FLAKY) for n in range(9)]
    script.verify([*flaky, case("x" * 300, CaseStatus.FLAKY)], SuiteOutcome.PASSED)
    worklog = script.ended(Verdict.GREEN, 0, StopReason.GREEN).worklog()
    summary = summary_of(worklog)
    assert summary.flaky == tuple(f"p1-critical::tests/test_chat.py::test_{n}" for n in range(5))
    large = replace(
        summary, flaky=("f" * 100,) * 5, verified={f"s{n}": "r" * 60 for n in range(20)}
    )
    assert json.loads(to_json(large))["cut"][0] == "flaky"
    assert len(to_json(large)) <= 2048


def test_each_loop_and_environment_has_a_trend_of_its_own() -> None:
    told = trends([run(3), run(2, environment="staging"), run(1, "red"), run(0, loop="other")])
    assert [(each.loop, each.environment, each.runs) for each in told] == [
        ("shop", "local", 2),
        ("shop", "staging", 1),
        ("other", "local", 1),
    ]


def test_the_drawing_has_letters_where_the_terminal_has_no_blocks() -> None:
    told = trend([run(0), run(1, "red"), run(2, "unproven"), run(3, partial=True), run(4)])
    assert sparkline(told, "utf-8") == "█▃▅·█"
    assert sparkline(told, "ascii") == sparkline(told, None) == "Gru.G"
    long = sparkline(trend([run(n) for n in range(99)]), "ascii")
    assert long == "..." + "G" * 60


def test_since_when_it_is_not_green_is_told_to_the_second() -> None:
    lines = runs_lines([run(1, "red"), run(0)], with_trends=True, encoding="utf-8")
    assert any("not green since 2025-09-10 21:30:11Z" in line for line in lines)


def test_text_is_inert_and_bounded() -> None:
    hostile = [
        run(n, counts={"flaky": 9}, flaky=("p::\x1b[31m" + "x" * 99,), loop=f"l{n // 2}\x1b[0m")
        for n in range(60)
    ]
    lines = runs_lines(hostile[::-1], with_trends=True, encoding="utf-8")
    assert not any("\x1b" in line for line in lines)
    assert len(lines) < 60 + 8 * 6
    assert all(len(line) <= 600 for line in lines)


def test_only_as_many_runs_are_read_as_are_asked_for(tmp_path: Path) -> None:
    summaries = [run(number, environment="ab"[number % 2]) for number in range(9)]
    for summary in summaries:
        folder = tmp_path / "runs" / summary.run_id
        folder.mkdir(parents=True)
        (folder / SUMMARY_NAME).write_bytes(to_json(summary))
    assert read_summaries(tmp_path) == tuple(summaries[::-1])
    assert runs(tmp_path, limit=2) == tuple(summaries[:-3:-1])
    assert [each.environment for each in runs(tmp_path, environment="b", limit=3)] == ["b"] * 3
    assert runs(tmp_path, loop="none") == ()
    document = json.loads(json.dumps(runs_document(runs(tmp_path))))
    assert [each["run_id"] for each in document["runs"]] == [r.run_id for r in summaries[::-1]]
    assert document["trends"][0]["pass_rate"]["rate"] == 1.0
