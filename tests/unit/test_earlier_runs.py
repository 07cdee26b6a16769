"""What earlier runs tell is a help to a run, and never a condition."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import worklogs
from loop_rig import Loop, a_suite

from loopctl.errors import Stopped
from loopctl.journal.run_record import record_of
from loopctl.model.state import Verdict
from loopctl.ports.history import HistoryError


@pytest.mark.parametrize("problem", [HistoryError("a stale mount"), Stopped("deadline")])
def test_a_history_that_cannot_be_read_in_time_does_not_end_the_run(
    tmp_path: Path, problem: BaseException
) -> None:
    loop = Loop(tmp_path, suites=[a_suite(shards=2)])
    loop.history.fails["recent"] = problem
    ended = loop.run().ended
    assert ended is not None
    assert ended.verdict is Verdict.GREEN
    assert any(call.startswith("recent") for call in loop.history.calls)


def test_what_another_machine_has_verified_is_where_this_one_goes_back_to(tmp_path: Path) -> None:
    loop = Loop(tmp_path)
    name = "20240101-000000-golden-path-abcd"
    elsewhere = replace(record_of(worklogs.green().worklog()), run_id=name)
    elsewhere = replace(elsewhere, verified={"chat": "chat-00007-abc"})
    loop.history.records.append(elsewhere)
    composed = loop._composed()
    assert composed._verified() == {"chat": ("chat-00007-abc",)}
    green = composed.last_green()
    assert green is not None
    assert (green.run_id, green.folder) == (elsewhere.run_id, None)
