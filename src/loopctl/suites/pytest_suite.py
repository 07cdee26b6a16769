"""Suites of `kind: pytest`, run by the user's own interpreter with one plugin of ours in it."""

from __future__ import annotations

import contextlib
import functools
import os
import shlex
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from loopctl.errors import Problem
from loopctl.model.evidence import Case, CaseStatus, Collection, SuiteEnd
from loopctl.model.plan import SuiteSpec
from loopctl.model.references import Endpoint, mentioned
from loopctl.ports.suite import Suite, SuiteContext, SuiteError, Withhold
from loopctl.private_folder import private_folder
from loopctl.process import Stop, in_parallel
from loopctl.redact import Redactor
from loopctl.suites.capture import Capture
from loopctl.suites.case_names import CaseNames
from loopctl.suites.interpreter import Interpreter, ask, locate, missing_interpreter, shortcoming
from loopctl.suites.progress import Progress
from loopctl.suites.pytest_command import pytest_command
from loopctl.suites.pytest_process import Watch, run_pytest
from loopctl.suites.pytest_run import PytestRun
from loopctl.suites.records import gather, records
from loopctl.suites.shards import Share, merged, shard_count, shares
from loopctl.suites.spool import Event, SpoolReader
from loopctl.suites.stand_in import ERROR, SUCCESS, StandIn, stand_in
from loopctl.suites.suite_environment import absent_folder, users_environment

# pytest's exit codes for "all well" and "no tests were collected".
_COLLECTED = frozenset({0, 5})


class PytestSuite(Suite):
    """Runs pytest suites; safe to share by threads.

    `environ` is what the tests' environment is made from, loopctl's own by default.
    """

    def __init__(self, redactor: Redactor, environ: Mapping[str, str] | None = None) -> None:
        self._redactor = redactor
        self._environ = dict(os.environ if environ is None else environ)
        self._asked: dict[Path, Interpreter | str] = {}
        self._asking = threading.Lock()
        self._told: dict[str, CaseNames] = {}
        self._collected: dict[str, tuple[str, ...]] = {}

    def check(self, spec: SuiteSpec, stop: Stop) -> Sequence[Problem]:
        """Folder, arguments, interpreter and pytest; each problem with what would fix it."""
        where = f"suite {spec.id}"
        if (absent := absent_folder(spec)) is not None:
            return [absent]
        problems = []
        try:
            shlex.split(spec.run)
        except ValueError as problem:
            said = f"run: {spec.run!r}: {problem}"
            problems.append(Problem(said, where=where, hint="quote it as for a shell"))
        shown = spec.python or sys.executable
        executable = locate(spec.python, spec.cwd)
        if executable is None:
            return [*problems, missing_interpreter(shown, where)]
        lacks = shortcoming(self._ask(executable, spec.cwd, stop), shown, where)
        return [*problems, *([lacks] if lacks else [])]

    def collect(self, spec: SuiteSpec, context: SuiteContext, stop: Stop) -> Collection:
        """What pytest would run, by its own `--collect-only`.

        Services that are not up yet are given addresses that exist nowhere, so that collection
        can go on while they are built. Raises `SuiteError` when pytest refuses its arguments.
        """
        executable = self._executable(spec)
        context = replace(context, endpoints=_with_placeholders(spec, context))
        left_out: list[Case] = []
        progress = Progress(self._redactor, left_out.append, _drop, str(spec.cwd))
        watch = Watch(Capture(None, self._redactor), Capture(None, self._redactor), float("inf"))
        with private_folder() as private, stop.child(spec.suite_timeout_s) as limit:
            path = private / "spool.jsonl"
            extra = ("--collect-only", "-q")
            command = pytest_command(executable, spec, context, self._environ, path, extra=extra)
            with contextlib.closing(SpoolReader(path)) as spool:
                ended = run_pytest(command, spool, progress, watch, limit)
        stop.remaining(0)
        if ended.stopped is not None:
            raise _not_collected(spec, f"no end after {spec.suite_timeout_s:g} s")
        errors = [case for case in left_out if case.status is not CaseStatus.SKIPPED]
        if ended.code not in _COLLECTED and not errors and not progress.not_started:
            said = watch.stderr.last_line() or watch.stdout.last_line()
            raise _not_collected(spec, said or f"pytest ended with exit code {ended.code}")
        self._collected[spec.id] = tuple(progress.not_started)
        names = tuple(progress.name_of(test) for test in progress.not_started)
        return Collection(names, progress.deselected or 0, tuple(errors))

    def run(
        self, spec: SuiteSpec, context: SuiteContext, on: Callable[[Case], None], stop: Stop
    ) -> SuiteEnd:
        """Run it; what it prints and reports is kept, redacted, in the context's folder.

        Leaves `stdout.txt`, `stderr.txt` and `events.jsonl` there, private to the user; while
        shards run, each has its own in a folder `shard-N`. With `context.only` it hands over no
        other case, and its end is about those: it is not complete when pytest no longer collects
        one of them.
        """
        if context.withhold not in (Withhold.ERRORS, Withhold.SUCCESSES):
            return self._run(spec, context, on, stop, None)
        with stand_in(stop, ERROR if context.withhold is Withhold.ERRORS else SUCCESS) as place:
            return self._run(spec, context, on, stop, place)

    def _run(
        self,
        spec: SuiteSpec,
        context: SuiteContext,
        on: Callable[[Case], None],
        stop: Stop,
        place: StandIn | None,
    ) -> SuiteEnd:
        executable = self._executable(spec)
        names, only = self._chosen(spec, context)
        split = self._shares(spec, context, names, stop)
        wanted = on if context.only is None else _of(frozenset(context.only), on)
        told: dict[str, object] = {}
        parts: list[Progress] = []

        def part(folder: Path, share: Share | None, inner: Stop) -> SuiteEnd:
            with records(folder, self._redactor) as kept, private_folder() as private:
                progress = Progress(
                    self._redactor, wanted, kept.keep, str(spec.cwd), names, told_errors=told
                )
                parts.append(progress)
                watch = Watch(kept.stdout, kept.stderr, spec.test_timeout_s)
                given = (executable, spec, context, self._environ, private, progress, watch)
                return PytestRun(*given, only, share, place).to_the_end(inner)

        if len(split) < 2:
            return part(context.folder, None, stop)
        began = time.monotonic()
        folders = [context.folder / f"shard-{number}" for number in range(1, len(split) + 1)]
        tasks = {
            folder.name: functools.partial(part, folder, share)
            for folder, share in zip(folders, split, strict=True)
        }
        ends = in_parallel(stop, len(split), tasks)
        gather(context.folder, folders, self._redactor)
        end = merged(list(ends.values()), time.monotonic() - began)
        ran = frozenset(test for progress in parts for test in progress.collected)
        return self._sewn(spec, context, end, ran, stop)

    def _sewn(
        self,
        spec: SuiteSpec,
        context: SuiteContext,
        end: SuiteEnd,
        ran: frozenset[str],
        stop: Stop,
    ) -> SuiteEnd:
        """The end of the shards together, not complete when they did not split one same suite.

        Ids that are others in every process (of random numbers, say) cannot be dealt out: one test
        would run twice and another never, with the right number in all. Asked only where the
        shards ran other tests than were told beforehand, which may also be so because tests are
        made of what a service says: then all processes agree on them.
        """
        if not end.complete or ran == frozenset(self._collected[spec.id]):
            return end
        self.collect(spec, context, stop)
        strange = ran.symmetric_difference(self._collected[spec.id])
        if not strange:
            return end
        said = (
            f"its shards cannot tell who runs what: the ids of {len(strange)} tests are others in"
            " each process (make them the same, or set `shards: 1`)"
        )
        return replace(end, complete=False, detail="; ".join(filter(None, (end.detail, said))))

    def _shares(
        self, spec: SuiteSpec, context: SuiteContext, names: CaseNames, stop: Stop
    ) -> Sequence[Share]:
        """What each shard runs; nothing to split where all runs in one process."""
        if spec.shards == 1 or context.only is not None:
            return ()
        if spec.id not in self._collected:
            # A run that was resumed has collected in another process.
            self.collect(spec, context, stop)
        ids = self._collected[spec.id]
        seconds = {
            test: context.past_s[name] for test in ids if (name := names.of(test)) in context.past_s
        }
        processors = len(os.sched_getaffinity(0))
        return shares(ids, seconds, shard_count(spec.shards, ids, seconds, processors))

    def _chosen(
        self, spec: SuiteSpec, context: SuiteContext
    ) -> tuple[CaseNames, tuple[str, ...] | None]:
        """The names that the suite's tests bear, and those to run by pytest's own ids."""
        if context.only is None:
            names = self._told[spec.id] = CaseNames(self._redactor)
            return names, None
        names = self._told.get(spec.id) or CaseNames(self._redactor)
        return names, tuple(names.raw(name) for name in context.only)

    def _executable(self, spec: SuiteSpec) -> Path:
        executable = locate(spec.python, spec.cwd)
        if executable is None:
            problem = missing_interpreter(spec.python or sys.executable, f"suite {spec.id}")
            raise SuiteError(problem.message, where=problem.where, hint=problem.hint)
        return executable

    def _ask(self, executable: Path, cwd: Path, stop: Stop) -> Interpreter | str:
        with self._asking:
            if executable not in self._asked:
                env = users_environment(self._environ)
                told = ask(executable, cwd, env, stop)
                clean = self._redactor.text(told) if isinstance(told, str) else told
                self._asked[executable] = clean
            return self._asked[executable]


def _of(ids: frozenset[str], on: Callable[[Case], None]) -> Callable[[Case], None]:
    """Hands on the cases of these ids alone: a retry meets every collection error once more."""

    def hand_on(case: Case) -> None:
        if case.id in ids:
            on(case)

    return hand_on


def _with_placeholders(spec: SuiteSpec, context: SuiteContext) -> Mapping[str, Endpoint]:
    # `.invalid` is kept free of hosts by RFC 2606.
    texts = (spec.run, *(spec.env or {}).values())
    wanted = frozenset(spec.evidence.target).union(*map(mentioned, texts))
    nowhere = {name: Endpoint.of(f"http://{name.lower()}.invalid") for name in wanted}
    return nowhere | dict(context.endpoints)


def _drop(_event: Event) -> None:
    """What happens while collecting is not kept: the run itself will tell it again."""


def _not_collected(spec: SuiteSpec, said: str) -> SuiteError:
    return SuiteError(
        f"pytest collected nothing it could tell: {said}",
        where=f"suite {spec.id}",
        hint=f"in {spec.cwd}: {spec.python or sys.executable} -m pytest --collect-only {spec.run}",
    )
