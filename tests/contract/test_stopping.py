"""Stopping a run of another process: it is told once, by whomever."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import worklogs

from loopctl.api import stop_run
from loopctl.errors import LockedError, Stopped
from loopctl.journal.history import JOURNAL_NAME
from loopctl.journal.store import Journal
from loopctl.model.events import RunResumed, RunStarted, StageEntered, StageFinished
from loopctl.model.state import OutcomeKind, State
from loopctl.process import Stop, identify
from loopctl.redact import Redactor


@contextmanager
def sleeping() -> Iterator[subprocess.Popen[bytes]]:
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        yield sleeper
    finally:
        sleeper.kill()
        sleeper.wait()


def started(by: subprocess.Popen[bytes]) -> RunStarted:
    known = identify(by.pid)
    assert known is not None
    return replace(worklogs.RUN, pid=known.pid, pid_started=known.started)


def went_on(by: subprocess.Popen[bytes]) -> RunResumed:
    known = identify(by.pid)
    assert known is not None
    return RunResumed("0", known.pid, known.started, "interrupted", State.BUILD)


def test_one_that_a_signal_has_reached_already_is_not_told_again(tmp_path: Path) -> None:
    """A second one would end it at once: nothing would be put back."""
    folder = tmp_path / "runs" / worklogs.RUN.run_id
    folder.mkdir(parents=True)
    with sleeping() as run, closing(Journal(folder / JOURNAL_NAME, Redactor({}))) as journal:
        journal.append(started(run))
        journal.cycle = 1
        journal.append(StageEntered(State.BUILD))
        ended = StageFinished(State.BUILD, OutcomeKind.INTERRUPTED, State.SETTLE, 1.0)
        journal.append(ended)
        with pytest.raises(Stopped):
            stop_run(folder, stop=Stop(0.3))
        assert run.poll() is None
        journal.append(went_on(run))
        with pytest.raises(Stopped):
            stop_run(folder, stop=Stop(0.3))
        assert run.wait(20) != 0, "another process goes on with it, and nobody has told that one"


def test_a_process_that_is_not_to_be_found_is_told_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / worklogs.RUN.run_id
    folder.mkdir(parents=True)
    with sleeping() as run, closing(Journal(folder / JOURNAL_NAME, Redactor({}))) as journal:
        journal.append(replace(started(run), pid_started=1))
        for _ in range(2):
            with pytest.raises(LockedError, match="cannot be told to stop"):
                stop_run(folder, stop=Stop(5.0))
        assert run.poll() is None
