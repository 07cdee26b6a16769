"""One pytest process, watched from its start to the death of all that it has started."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from loopctl.model.evidence import CaseStatus
from loopctl.ports.suite import SuiteError
from loopctl.process import Child, Exit, Stop, TaskScope
from loopctl.suites.capture import Capture
from loopctl.suites.progress import Progress
from loopctl.suites.pytest_command import PytestCommand
from loopctl.suites.spool import SpoolReader

POLL_SECONDS = 0.03
TEST_TIMEOUT = "a test ran out of time"


@dataclass(frozen=True, slots=True)
class Watch:
    """What a pytest process is watched with: its output streams and the limit for one test."""

    stdout: Capture
    stderr: Capture
    test_timeout_s: float


def run_pytest(
    command: PytestCommand, spool: SpoolReader, progress: Progress, watch: Watch, stop: Stop
) -> Exit:
    """Run it, feeding `progress` while it runs; ends it when a test takes too long or `stop` stops.

    Tests that ran out of time have been handed over as `timeout`; others that were running are
    still in `progress.running`. Raises `SuiteError` when the process cannot be started.
    """
    exits: list[Exit] = []
    over = threading.Event()
    late: Sequence[str] = ()
    with TaskScope(stop) as scope:
        child = _start(command, watch, spool.folder)

        def attend(inner: Stop) -> None:
            try:
                exits.append(child.wait(inner))
            finally:
                over.set()

        scope.start(f"await pytest {child.pid}", attend)
        while not over.is_set():
            progress.take(spool.events())
            if scope.stop.reason is not None:
                progress.interrupted()
            elif late := progress.overdue(watch.test_timeout_s):
                progress.interrupted(late)
                scope.stop.stop(TEST_TIMEOUT)
            over.wait(POLL_SECONDS)
    progress.take(spool.events())
    for capture in (watch.stdout, watch.stderr):
        capture.process_ended()
    for test in late:
        if test in progress.running:
            message = f"still running after {watch.test_timeout_s:g} s, its limit"
            progress.give_up(test, CaseStatus.TIMEOUT, message)
    return exits[0]


def _start(command: PytestCommand, watch: Watch, private: Path) -> Child:
    try:
        return Child(
            command.argv,
            cwd=command.cwd,
            env=command.env,
            on_stdout=watch.stdout.feed,
            on_stderr=watch.stderr.feed,
            private=private,
        )
    except (OSError, ValueError) as problem:
        raise SuiteError(
            f"pytest cannot be started: {problem}",
            where=command.argv[0],
            hint="check the suite's `python`, `cwd` and `env`",
        ) from problem
