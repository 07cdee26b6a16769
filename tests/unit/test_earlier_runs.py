"""What earlier runs tell is a help to a run, and never a condition."""

from __future__ import annotations

from pathlib import Path

import pytest
from loop_rig import Loop, a_suite

from loopctl.errors import Stopped
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
