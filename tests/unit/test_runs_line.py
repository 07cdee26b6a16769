"""What `runs` tells of a run in one line."""

from __future__ import annotations

from loopctl.reports.trends_text import cases_told


def test_a_run_that_never_came_to_its_tests_has_no_result_to_count() -> None:
    assert cases_told({"collected": 10, "passed": 0, "failed": 0}) == "no case was run"
    assert cases_told({"collected": 0}) == "no case was run"
    assert cases_told({"collected": 10, "passed": 0, "failed": 2}) == "0/10 passed"
