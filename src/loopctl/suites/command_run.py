"""One run of a command suite: the process, then what its reports say."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from signal import Signals

from loopctl.evidence.status import first_line
from loopctl.model.evidence import Case, CaseStatus, SuiteEnd
from loopctl.model.plan import SuiteSpec
from loopctl.ports.suite import SuiteContext, SuiteError
from loopctl.process import Child, Exit, Stop, signal_name, utc_now
from loopctl.redact import Redactor
from loopctl.suites.junit.cases import CaseMaker, TheCommand
from loopctl.suites.junit.copy import JUnitCopies
from loopctl.suites.junit.properties import TraceClaims
from loopctl.suites.junit.report import ReportedCase, ReportEnd
from loopctl.suites.junit.reports import Survey, read_reports, reports_at
from loopctl.suites.records import Records
from loopctl.suites.shell_line import JUNIT, program_of

_NAMED = 3


@dataclass(frozen=True, slots=True)
class CommandRun:
    """What one run is made of. `report` is in `private`, where what is not yet redacted may be.

    `foreign` are trace ids that no case can call its own.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str]
    spec: SuiteSpec
    context: SuiteContext
    private: Path
    report: Path
    records: Records
    redactor: Redactor
    foreign: tuple[str, ...]

    def to_the_end(self, on: Callable[[Case], None], stop: Stop) -> SuiteEnd:
        """Run it, then hand over the cases of its reports.

        At the suite's deadline the whole group is ended, and what was reported until then counts.
        Raises `Stopped` when `stop` stops, once every process is dead.
        """
        clock, began = time.monotonic(), utc_now()
        with stop.child(self.spec.suite_timeout_s) as limit:
            ended = self._process(limit)
        stop.remaining(0)
        out_of_time = ended.stopped is not None
        told = _Told(on, self.context.only)
        command = TheCommand(program_of(self.spec.run), self.spec.cwd, began, ended.duration_s)
        files = reports_at(self.report)
        maker, report, copies = self._read(files, command, told, stop)
        if report.missing:
            told.take(maker.missing(report.missing, report.cases + report.missing))
        is_read = bool(report.cases or report.missing)
        usage_error = None
        if not is_read and not out_of_time:
            usage_error = self._no_result(ended, report, bool(files))
        details = self._details(ended, report, told, is_read)
        return SuiteEnd(
            complete=not (details or out_of_time or usage_error),
            exit_code=ended.code,
            duration_s=time.monotonic() - clock,
            collected=report.cases + report.missing if is_read else None,
            stopped="suite timeout" if out_of_time else None,
            detail="; ".join([*details, *self._of_retry()]),
            usage_error=usage_error,
            notes=(*maker.notes, *([copies.error] if copies.error else [])),
        )

    def _process(self, limit: Stop) -> Exit:
        out, err = self.records.stdout, self.records.stderr
        try:
            child = Child(
                self.argv,
                cwd=self.spec.cwd,
                env=self.env,
                on_stdout=out.feed,
                on_stderr=err.feed,
                private=self.private,
            )
        except (OSError, ValueError) as problem:
            raise SuiteError(
                f"the command cannot be started: {problem}",
                where=f"suite {self.spec.id}",
                hint="check the suite's `run`, `cwd` and `env`",
            ) from problem
        try:
            return child.wait(limit)
        finally:
            out.process_ended()
            err.process_ended()

    def _read(
        self, files: Sequence[Path], command: TheCommand, told: _Told, stop: Stop
    ) -> tuple[CaseMaker, ReportEnd, JUnitCopies]:
        survey = Survey(TraceClaims(self.foreign))
        moment = command.began.timestamp()
        read_reports(files, survey.note, stop, began=moment)
        maker = CaseMaker(self.redactor, command, survey.claims, many_hosts=len(survey.hosts) > 1)
        copies = JUnitCopies(self.context.folder, self.redactor)

        def take(reported: ReportedCase) -> None:
            told.take(maker.case(reported))

        return maker, read_reports(files, take, stop, copies, began=moment), copies

    def _no_result(self, ended: Exit, report: ReportEnd, has_files: bool) -> str:
        """Why there is no case at all, in words: nothing was left, nothing readable, or nothing in
        it.
        """
        if report.broken is not None:
            return f"the report was not read: {self.redactor.text(report.broken)}"
        said = self.records.stderr.last_line() or self.records.stdout.last_line()
        quote = f": {first_line(said)}" if said else ""
        if has_files:
            wrong = report.unexplained
            but = f", but {wrong} failures or errors that it does not show" if wrong else ""
            return f"it {_manner(ended)} and its report has no case in it{but}{quote}"
        return f"it {_manner(ended)} and left no report{quote or f' where {JUNIT} stands'}"

    def _details(self, ended: Exit, report: ReportEnd, told: _Told, is_read: bool) -> Sequence[str]:
        """What keeps the run from being complete."""
        # Of a report that was not read the usage error tells all there is.
        details = self._of_report(report) if is_read else []
        if ended.code != 0 and ended.stopped is None and is_read:
            if not told.failed:
                details.append(f"{_manner(ended)} although no case failed")
            elif (signal := _killed_by(ended.code, told.failed)) is not None:
                # Failing cases, which may be tolerated, do not explain such an end.
                details.append(f"it was killed by {signal}, and may not have run all its cases")
        if told.absent:
            names = ", ".join(list(told.absent)[:_NAMED])
            details.append(f"{len(told.absent)} to be run again, not in the report: {names}")
        streams = (("stdout", self.records.stdout), ("stderr", self.records.stderr))
        for name, capture in streams:
            if capture.error is not None:
                details.append(f"{name}.txt is cut off: {capture.error.strerror}")
        return details

    def _of_report(self, report: ReportEnd) -> list[str]:
        details = []
        if report.broken is not None:
            said = self.redactor.text(report.broken)
            details.append(f"the report breaks off, and what came after is lost: {said}")
        elif report.unexplained:
            details.append(
                "the report is at odds with itself: failures or errors that it declares and no"
                f" case shows: {report.unexplained}"
            )
        if report.missing:
            declared = report.cases + report.missing
            details.append(f"{report.missing} of {declared} cases are not in the report")
        return details

    def _of_retry(self) -> Sequence[str]:
        if self.context.only is None:
            return ()
        some = f"{len(self.context.only)} of its cases"
        return (
            f"a command runs whole or not at all: it was run again for {some}, which count,"
            " and what failed besides",
        )


class _Told:
    """Hands on the cases of a run: all of them, or of a retry those that it is about.

    Of a retry also what fails in it: that was seen, whoever was asked for. And of cases that are
    called the same the report need not tell the same one first.
    `absent` are those of them that have not come; `failed` counts every failed case.
    """

    def __init__(self, on: Callable[[Case], None], only: Sequence[str] | None) -> None:
        self._on = on
        self._only = only
        self.absent = dict.fromkeys(only or ())
        self.failed = 0

    def take(self, case: Case) -> None:
        """Take a case from the report."""
        self.failed += case.status is CaseStatus.FAILED
        if self._only is None:
            self._on(case)
        elif case.id in self.absent:
            del self.absent[case.id]
            self._on(case)
        elif case.status is CaseStatus.FAILED:
            self._on(case)


def _killed_by(code: int, failed: int) -> str | None:
    """The signal that ended the command, or what the shell ran; a shell tells it as 128 + N.

    Some runners exit with the number of cases that failed.
    """
    number = -code if code < 0 else code - 128
    is_told = number in set(Signals) and (code < 0 or code != failed)
    return signal_name(number) if is_told else None


def _manner(ended: Exit) -> str:
    """How the command ended, in words."""
    if ended.code >= 0:
        return f"exited with {ended.code}"
    return f"was killed by {signal_name(-ended.code)}"
