"""One suite, start to judgement: run, cases run again, graded and written down."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path

from loopctl.errors import PortError
from loopctl.evidence.case_rules import CaseRules
from loopctl.evidence.judge import judge
from loopctl.journal.store import Journal
from loopctl.model.artifact import Revision
from loopctl.model.events import Intent, NotChecked, Note, SuiteFinished, SuiteStarted
from loopctl.model.evidence import (
    Case,
    CaseStatus,
    Collection,
    GradedCase,
    SuiteEnd,
    SuiteJudgement,
    SuiteOutcome,
)
from loopctl.model.plan import ServiceSpec, SuiteKind, SuiteSpec
from loopctl.model.references import Endpoint
from loopctl.ports.logs import Receipts
from loopctl.ports.suite import Suite, SuiteContext, SuiteError
from loopctl.process import Stop, TaskScope
from loopctl.stages.callers import ANONYMOUS, Callers
from loopctl.stages.case_grading import CaseGrader
from loopctl.stages.control_run import CONTROL, ControlRun
from loopctl.stages.suite_files import suite_digest
from loopctl.stages.token_files import token_files


@dataclass(frozen=True, slots=True)
class Earlier:
    """What earlier runs tell of the suites, each by the suite's id.

    `seconds` that its cases took; `borne_out`, the hashes of code that a control run has borne
    out; `green`, the folder that the last green run left of it.
    """

    seconds: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    borne_out: Mapping[str, frozenset[str]] = field(default_factory=dict)
    green: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What every suite of a run is told. `health_paths` by service, `gated` URLs by service.

    In a `protected` environment no test is run again for a control run. `guarded` are the services
    that want a token, by name.
    """

    run_id: str
    environment: str
    loopback: bool
    health_paths: Mapping[str, str]
    gated: Mapping[str, str]
    protected: bool = False
    earlier: Earlier = field(default_factory=Earlier)
    guarded: Mapping[str, ServiceSpec] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class UnderTest:
    """Where the suite meets the services: their addresses, and the revisions that must answer."""

    endpoints: Mapping[str, Endpoint]
    revisions: Mapping[str, Revision]


_TELLS_NOTHING = (CaseStatus.SKIPPED, CaseStatus.TIMEOUT, CaseStatus.LOST)
"""Not run, or ended before it could report whom it had met."""


def nobody_met(spec: SuiteSpec, cases: Iterable[GradedCase]) -> bool:
    """Whether cases came to their end and none of all of them reached a target.

    Of a command nobody can tell: whom it meets is not seen.
    """
    if spec.kind is SuiteKind.COMMAND:
        return False
    told = [c.met_target for c in cases if c.met_target or c.status not in _TELLS_NOTHING]
    return bool(told) and not any(told)


@dataclass(frozen=True, slots=True)
class Ran:
    """A suite that was run; `nobody_met`: there were cases, and none reached a target."""

    judgement: SuiteJudgement
    nobody_met: bool


class SuiteRunner:
    """Runs and collects suites of every kind there is an adapter for."""

    def __init__(
        self,
        adapters: Mapping[SuiteKind, Suite],
        receipts: Receipts,
        facts: RunFacts,
        callers: Callers = ANONYMOUS,
    ) -> None:
        self._adapters = adapters
        self._receipts = receipts
        self._facts = facts
        self._callers = callers

    def collect(self, spec: SuiteSpec, journal: Journal, stop: Stop) -> Collection | None:
        """What the suite would run, without its services. Raises `SuiteError`."""
        gated = {name: Endpoint.of(url) for name, url in self._facts.gated.items()}
        context = self._context(spec, UnderTest(gated, {}), journal)
        with self._introduced(spec, context, journal, stop) as introduced:
            return self._adapters[spec.kind].collect(spec, introduced, stop)

    def run(
        self, spec: SuiteSpec, where: UnderTest, journal: Journal, stop: Stop, *, alone: bool = True
    ) -> Ran:
        """Run it; a suite that cannot be started is unproven, with the reason.

        `alone`: no other suite runs at the same time.
        """
        context = self._context(spec, where, journal)
        folder = str(context.folder.relative_to(journal.folder))
        expected = journal.fold.cycle().suites[spec.id].collected
        started = SuiteStarted(folder, expected, suite_digest(spec))
        journal.append(started, suite=spec.id)
        targets = {name: where.revisions.get(name) for name in spec.evidence.target}
        rules = CaseRules(
            spec.evidence,
            {name: revision.name if revision else None for name, revision in targets.items()},
            self._facts.loopback,
            self._health_paths(spec),
            alone and spec.shards == 1,
        )
        grader = CaseGrader(spec, targets, self._receipts, journal, rules)
        try:
            with self._introduced(spec, context, journal, stop) as introduced:
                end = self._to_the_end(spec, introduced, grader, journal, stop)
                grader.join_late(stop)
                if _may_be_controlled(spec, end):
                    self._control(spec, introduced, grader, journal, stop)
        except SuiteError as error:
            end = _not_started(error)
        for note in end.notes:
            journal.append(Note(f"{spec.id}: {note}"), suite=spec.id)
        judgement = judge(spec, grader.graded.values(), end, expected)
        journal.append(SuiteFinished(judgement, end), suite=spec.id)
        return Ran(judgement, nobody_met(spec, grader.graded.values()))

    @contextlib.contextmanager
    def _introduced(
        self, spec: SuiteSpec, context: SuiteContext, journal: Journal, stop: Stop
    ) -> Iterator[SuiteContext]:
        """With a token for every service that wants one. Raises `SuiteError` for want of one."""
        guarded = self._facts.guarded
        wanted = {name: guarded[name] for name in context.endpoints if name in guarded}

        def told(what: str) -> None:
            journal.append(Note(f"{spec.id}: {what}"), suite=spec.id)

        with contextlib.ExitStack() as until:
            try:
                files = until.enter_context(token_files(wanted, self._callers, stop, told))
            except PortError as error:
                raise SuiteError(error.what, where=error.where, hint=error.hint) from error
            yield replace(context, token_files=files)

    def _health_paths(self, spec: SuiteSpec) -> tuple[str, ...]:
        """The paths that prove little. A request that the loop file declares is the test itself."""
        if spec.probe is not None:
            return ()
        return tuple(path for path in self._facts.health_paths.values() if path)

    def not_run(self, spec: SuiteSpec, why: str, journal: Journal) -> SuiteJudgement:
        """A suite that is passed over, with its reason."""
        collected = journal.fold.cycle().suites[spec.id].collected or 0
        judgement = SuiteJudgement(SuiteOutcome.NOT_RUN, (why,), collected)
        journal.append(SuiteFinished(judgement, None), suite=spec.id)
        return judgement

    def _to_the_end(
        self,
        spec: SuiteSpec,
        context: SuiteContext,
        grader: CaseGrader,
        journal: Journal,
        stop: Stop,
    ) -> SuiteEnd:
        """The suite, and the cases that ended badly once more, as often as they may be.

        Nothing is run again when the suite could not be run or had no time left, nor when no case
        reached its target: that is no flake.
        """
        end = self._attempt(spec, context, grader, journal, stop)
        if end.usage_error is not None or nobody_met(spec, grader.graded.values()):
            return end
        while only := grader.to_run_again():
            left_s = spec.suite_timeout_s - end.duration_s
            if end.stopped is not None or left_s <= 0:
                break
            stop.remaining(0)
            grader.attempt = number = grader.attempt + 1
            shorter = replace(spec, suite_timeout_s=left_s)
            retry = self._apart(context, _retry(number), journal)
            again = self._attempt(shorter, replace(retry, only=only), grader, journal, stop)
            end = _merged(end, number, again)
        return end

    def _control(
        self,
        spec: SuiteSpec,
        context: SuiteContext,
        grader: CaseGrader,
        journal: Journal,
        stop: Stop,
    ) -> None:
        """Run what has passed once more with its targets refused."""
        if self._facts.protected:
            why = f"{self._facts.environment} is protected: no test is run twice there"
            journal.append(NotChecked(f"control run of {spec.id}", why), suite=spec.id)
            return

        def again(shorter: SuiteSpec, its: SuiteContext, on: Callable[[Case], None]) -> SuiteEnd:
            adapter = self._adapters[spec.kind]
            key = f"{journal.cycle}/{spec.id}/{its.folder.name}"
            return _told(key, spec, journal, lambda: adapter.run(shorter, its, on, stop))

        known = self._facts.earlier.borne_out.get(spec.id, frozenset())
        run = ControlRun(spec, known)
        its = self._apart(context, CONTROL, journal)
        grader.controlled(run(grader.graded, grader.passed, its, again))

    def _attempt(
        self,
        spec: SuiteSpec,
        context: SuiteContext,
        grader: CaseGrader,
        journal: Journal,
        stop: Stop,
    ) -> SuiteEnd:
        parts = [_retry(grader.attempt)] if grader.attempt else []
        key = "/".join([str(journal.cycle), spec.id, *parts])
        flusher = Stop()

        def run() -> SuiteEnd:
            with TaskScope(stop) as scope:
                scope.start(f"flush {spec.id}", lambda _: grader.keep_flushing(flusher))
                try:
                    # Its own stop: a journal that takes no more cases ends the suite at once.
                    return self._adapters[spec.kind].run(spec, context, grader.add, scope.stop)
                finally:
                    flusher.stop("the suite has ended")
                    grader.flush()

        return _told(key, spec, journal, run)

    def _context(self, spec: SuiteSpec, where: UnderTest, journal: Journal) -> SuiteContext:
        seed = self._seed(journal, spec.id)
        paths = {self._facts.health_paths.get(name) for name in spec.evidence.target}
        return SuiteContext(
            endpoints=where.endpoints,
            variables={
                "LOOPCTL_RUN_ID": self._facts.run_id,
                "LOOPCTL_ENV": self._facts.environment,
                "LOOPCTL_SUITE": spec.id,
                "TRACEPARENT": _traceparent(seed),
            },
            folder=journal.folder / "suites" / str(journal.cycle) / spec.id,
            trace_seed=seed,
            health_paths=tuple(sorted(path for path in paths if path)),
            baseline=self._facts.earlier.green.get(spec.id),
            past_s=self._facts.earlier.seconds.get(spec.id, {}),
        )

    def _apart(self, first: SuiteContext, name: str, journal: Journal) -> SuiteContext:
        """What another run of the same suite is given: a folder and traces of its own."""
        seed = self._seed(journal, first.variables["LOOPCTL_SUITE"], name)
        return replace(
            first,
            variables={**first.variables, "TRACEPARENT": _traceparent(seed)},
            folder=first.folder / name,
            trace_seed=seed,
        )

    def _seed(self, journal: Journal, *parts: str) -> str:
        # Receipts of an attempt that was killed must not vouch for the one that follows.
        times = f"resumed-{journal.fold.times_resumed}"
        text = "/".join([self._facts.run_id, times, str(journal.cycle), *parts])
        return sha256(text.encode()).hexdigest()[:32]


def _told(key: str, spec: SuiteSpec, journal: Journal, run: Callable[[], SuiteEnd]) -> SuiteEnd:
    """A run of a suite, told to the journal before and after; one that cannot start has an end."""
    try:
        with journal.effect(Intent("suite", key), suite=spec.id):
            return run()
    except SuiteError as error:
        return _not_started(error)


def _not_started(error: SuiteError) -> SuiteEnd:
    return SuiteEnd(
        complete=False,
        exit_code=None,
        duration_s=0.0,
        detail=error.what,
        usage_error=error.what,
    )


def _may_be_controlled(spec: SuiteSpec, end: SuiteEnd) -> bool:
    return spec.evidence.control != "off" and end.usage_error is None and end.stopped is None


def _traceparent(seed: str) -> str:
    return f"00-{seed}-{seed[:16]}-01"


def _retry(number: int) -> str:
    """The name of a retry, from 1."""
    return f"retry-{number}"


def _merged(end: SuiteEnd, number: int, retry: SuiteEnd) -> SuiteEnd:
    """The end of a suite after a retry: of both processes, and of all that were collected."""
    said = retry.usage_error or retry.detail
    return replace(
        end,
        complete=end.complete and retry.complete,
        duration_s=end.duration_s + retry.duration_s,
        stopped=end.stopped or retry.stopped,
        detail="; ".join(filter(None, [end.detail, said and f"retry {number}: {said}"])),
        notes=(*end.notes, *retry.notes),
    )
