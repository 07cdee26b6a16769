"""A whole suite: as many pytest processes as it takes to start every test once."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from loopctl.model.evidence import CaseStatus, SuiteEnd
from loopctl.model.plan import SuiteSpec
from loopctl.ports.suite import SuiteContext
from loopctl.process import Exit, Stop, signal_name
from loopctl.suites.progress import Progress
from loopctl.suites.pytest_command import pytest_command
from loopctl.suites.pytest_process import TEST_TIMEOUT, Watch, run_pytest
from loopctl.suites.shards import Share
from loopctl.suites.spool import SpoolReader
from loopctl.suites.stand_in import StandIn

MOST_PROCESSES = 6
_NAMED = 3
_NOT_FATAL = frozenset({0, 1, 5})
_FAILED = 1


@dataclass(frozen=True, slots=True)
class PytestRun:
    """What one run of a suite is made of. `private` is a folder for what is not yet redacted.

    `only` are the tests to run, by pytest's own ids; None: all of them, or those of its `share`.
    `place` is where the stand-in is, of a run that withholds the services' answers.
    """

    executable: Path
    spec: SuiteSpec
    context: SuiteContext
    environ: Mapping[str, str]
    private: Path
    progress: Progress
    watch: Watch
    only: tuple[str, ...] | None = None
    share: Share | None = None
    place: StandIn | None = None

    def to_the_end(self, stop: Stop) -> SuiteEnd:
        """Run every test that it is about.

        After a crash or a hang, pytest is started again for those left. Raises `Stopped` when
        `stop` stops, once every process is dead.
        """
        began = time.monotonic()
        processes = 0
        with stop.child(self.spec.suite_timeout_s) as limit:
            while True:
                ended_before = self.progress.ended_count
                ended = self._one_process(processes, limit)
                stop.remaining(0)
                processes += 1
                self._settle(ended, limit)
                moved = self.progress.ended_count > ended_before
                if not (moved and processes < MOST_PROCESSES and self._is_cut_short(ended, limit)):
                    break
            return self._end(ended, processes, limit, time.monotonic() - began)

    def _one_process(self, number: int, limit: Stop) -> Exit:
        if number:
            self.progress.next_process()
        wanted = self._wanted(number)
        only = None
        if wanted is not None:
            only = self.private / f"only-{number}.json"
            only.write_text(json.dumps(wanted), encoding="utf-8")
        path = self.private / f"spool-{number}.jsonl"
        given = (self.executable, self.spec, self.context, self.environ, path)
        command = pytest_command(*given, only=only, place=self.place)
        spool = SpoolReader(path)
        try:
            return run_pytest(command, spool, self.progress, self.watch, limit)
        finally:
            self.progress.strangers += spool.strangers
            spool.close()

    def _wanted(self, number: int) -> Mapping[str, object] | None:
        """What a process is told to run, as `loopctl_select` reads it; None: everything."""
        if number:
            return {"mine": list(self.progress.not_started)}
        if self.share is not None:
            return asdict(self.share)
        return None if self.only is None else {"mine": list(self.only)}

    def _settle(self, ended: Exit, limit: Stop) -> None:
        """Account for the tests whose process ended under them."""
        for test in self.progress.running:
            if limit.reason is not None:
                self.progress.give_up(test, CaseStatus.TIMEOUT, self._time_was_up())
            elif ended.stopped is None:
                self.progress.give_up(test, CaseStatus.LOST, f"pytest {_manner(ended)} under it")
            elif self.spec.repeatable:
                self.progress.requeue(test)
            else:
                message = (
                    "was running when its process was ended, as another test ran out of time"
                    " (with `repeatable: true` it would be run again)"
                )
                self.progress.give_up(test, CaseStatus.LOST, message)

    def _time_was_up(self) -> str:
        if self.only is None:
            return f"still running when the suite's {self.spec.suite_timeout_s:g} s were up"
        left = f"{self.spec.suite_timeout_s:.3g} s"
        return f"still running when the {left} that were left of the suite's time were up"

    def _is_cut_short(self, ended: Exit, limit: Stop) -> bool:
        crashed = ended.stopped is not None or not self.progress.session_ended
        return crashed and limit.reason is None and bool(self.progress.not_started)

    def _end(self, ended: Exit, processes: int, limit: Stop, duration_s: float) -> SuiteEnd:
        progress = self.progress
        reported = progress.session_ended or ended.stopped == TEST_TIMEOUT
        usage_error = self._usage_error(ended)
        return SuiteEnd(
            complete=reported
            and not progress.not_started
            and not self._missing
            and limit.reason is None
            and usage_error is None
            and progress.is_whole
            and not progress.resumes
            and not self._fails_for_no_test(ended)
            and (ended.code in _NOT_FATAL or ended.stopped is not None),
            exit_code=ended.code,
            duration_s=duration_s,
            collected=progress.collected_count,
            deselected=progress.deselected,
            stopped="suite timeout" if limit.reason is not None else None,
            detail="; ".join(self._details(ended, processes)),
            usage_error=usage_error,
            notes=tuple(progress.bad_samples),
        )

    def _fails_for_no_test(self, ended: Exit) -> bool:
        """Whether pytest says that something failed, and no test did: a limit of coverage, say.

        Of some of the tests alone such a limit says nothing.
        """
        own_end = ended.stopped is None and self.progress.session_ended
        said = own_end and ended.code == _FAILED and self.only is None
        return said and not self.progress.has_failures

    @property
    def _missing(self) -> list[str]:
        """The tests it is to run that pytest did not collect, by pytest's own ids."""
        return [test for test in self.only or () if not self.progress.was_collected(test)]

    def _usage_error(self, ended: Exit) -> str | None:
        """Why pytest could not run at all, in its own words; None when it did."""
        progress = self.progress
        if ended.stopped is not None or progress.collect_errors or progress.ended_count:
            return None
        refused = ended.code in (2, 3, 4)
        if not refused and (progress.plugin_seen or ended.code < 0):
            return None
        said = self.watch.stderr.last_line() or progress.internal_error
        return said or self.watch.stdout.last_line() or f"pytest {_manner(ended)}"

    def _details(self, ended: Exit, processes: int) -> list[str]:
        progress = self.progress
        details = []
        if processes > 1:
            details.append(f"pytest was started {processes} times, as it was cut short")
        if ended.stopped is None and not (progress.session_ended and ended.code in _NOT_FATAL):
            details.append(f"pytest {_manner(ended)}")
        if self._fails_for_no_test(ended):
            details.append(f"pytest {_manner(ended)} although no test failed")
        if left := progress.not_started:
            details.append(f"{len(left)} collected but never started: {self._named(left)}")
        if gone := self._missing:
            details.append(f"{len(gone)} to be run again, not collected: {self._named(gone)}")
        if not progress.is_whole:
            details.append("its event stream has lines missing, or some that pytest did not write")
        if progress.resumes:
            options = ", ".join(f"--{name}" for name in progress.resumes)
            details.append(f"{options} runs what is left of an earlier run, not the whole suite")
        for name, capture in (("stdout", self.watch.stdout), ("stderr", self.watch.stderr)):
            if capture.error is not None:
                details.append(f"{name}.txt is cut off: {capture.error.strerror}")
        return details

    def _named(self, tests: Sequence[str]) -> str:
        names = ", ".join(self.progress.name_of(test) for test in tests[:_NAMED])
        return names + (f" and {len(tests) - _NAMED} more" if len(tests) > _NAMED else "")


def _manner(ended: Exit) -> str:
    """How a process ended, in words."""
    if ended.code >= 0:
        return f"ended with exit code {ended.code}"
    return f"was killed by {signal_name(-ended.code)}"
