"""One suite, start to judgement: run, cases run again, graded and written down."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256

from loopctl.evidence.judge import judge
from loopctl.journal.store import Journal
from loopctl.model.artifact import Revision
from loopctl.model.events import Intent, SuiteFinished, SuiteStarted
from loopctl.model.evidence import (
    CaseStatus,
    Collection,
    GradedCase,
    SuiteEnd,
    SuiteJudgement,
    SuiteOutcome,
)
from loopctl.model.plan import SuiteKind, SuiteSpec
from loopctl.model.references import Endpoint
from loopctl.ports.logs import Receipts
from loopctl.ports.suite import Suite, SuiteContext, SuiteError
from loopctl.process import Stop, TaskScope
from loopctl.stages.case_grading import CaseGrader
from loopctl.stages.suite_files import suite_digest


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What every suite of a run is told. `health_paths` by service, `gated` URLs by service."""

    run_id: str
    environment: str
    loopback: bool
    health_paths: Mapping[str, str]
    gated: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class UnderTest:
    """Where the suite meets the services: their addresses, and the revisions that must answer."""

    endpoints: Mapping[str, Endpoint]
    revisions: Mapping[str, Revision]


_TELLS_NOTHING = (CaseStatus.SKIPPED, CaseStatus.TIMEOUT, CaseStatus.LOST)
"""Not run, or ended before it could report whom it had met."""


def nobody_met(cases: Iterable[GradedCase]) -> bool:
    """Whether cases came to their end and none of all of them reached a target."""
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
        self, adapters: Mapping[SuiteKind, Suite], receipts: Receipts, facts: RunFacts
    ) -> None:
        self._adapters = adapters
        self._receipts = receipts
        self._facts = facts

    def collect(self, spec: SuiteSpec, journal: Journal, stop: Stop) -> Collection | None:
        """What the suite would run, without its services. Raises `SuiteError`."""
        gated = {name: Endpoint.of(url) for name, url in self._facts.gated.items()}
        context = self._context(spec, UnderTest(gated, {}), journal)
        return self._adapters[spec.kind].collect(spec, context, stop)

    def run(self, spec: SuiteSpec, where: UnderTest, journal: Journal, stop: Stop) -> Ran:
        """Run it; a suite that cannot be started is unproven, with the reason."""
        context = self._context(spec, where, journal)
        folder = str(context.folder.relative_to(journal.folder))
        expected = journal.fold.cycle().suites[spec.id].collected
        started = SuiteStarted(folder, expected, suite_digest(spec))
        journal.append(started, suite=spec.id)
        paths = tuple(path for path in self._facts.health_paths.values() if path)
        targets = {name: where.revisions.get(name) for name in spec.evidence.target}
        grader = CaseGrader(spec, targets, self._receipts, journal, self._facts.loopback, paths)
        end = self._to_the_end(spec, context, grader, journal, stop)
        judgement = judge(spec, grader.graded.values(), end, expected)
        journal.append(SuiteFinished(judgement, end), suite=spec.id)
        return Ran(judgement, nobody_met(grader.graded.values()))

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
        """The suite, and the cases that ended badly once more, as often as `retries` allows.

        Nothing is run again when the suite could not be run or had no time left, nor when no case
        reached its target: that is no flake.
        """
        end = self._attempt(spec, context, grader, journal, stop)
        if end.usage_error is not None or nobody_met(grader.graded.values()):
            return end
        for number in range(1, spec.retries + 1):
            only = grader.to_run_again()
            left_s = spec.suite_timeout_s - end.duration_s
            if not only or end.stopped is not None or left_s <= 0:
                break
            stop.remaining(0)
            grader.attempt = number
            shorter = replace(spec, suite_timeout_s=left_s)
            retry = self._of_retry(context, number, only, journal)
            end = _merged(end, number, self._attempt(shorter, retry, grader, journal, stop))
        return end

    def _attempt(
        self,
        spec: SuiteSpec,
        context: SuiteContext,
        grader: CaseGrader,
        journal: Journal,
        stop: Stop,
    ) -> SuiteEnd:
        key = "/".join([str(journal.cycle), spec.id, *_retry(grader.attempt)])
        flusher = Stop()
        try:
            with journal.effect(Intent("suite", key), suite=spec.id), TaskScope(stop) as scope:
                scope.start(f"flush {spec.id}", lambda _: grader.keep_flushing(flusher))
                try:
                    # Its own stop: a journal that takes no more cases ends the suite at once.
                    return self._adapters[spec.kind].run(spec, context, grader.add, scope.stop)
                finally:
                    flusher.stop("the suite has ended")
                    grader.flush()
        except SuiteError as error:
            return SuiteEnd(
                complete=False,
                exit_code=None,
                duration_s=0.0,
                detail=error.what,
                usage_error=error.what,
            )

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
        )

    def _of_retry(
        self, first: SuiteContext, number: int, only: tuple[str, ...], journal: Journal
    ) -> SuiteContext:
        """What a retry is given: a folder and traces of its own, and the cases it is about."""
        (name,) = _retry(number)
        seed = self._seed(journal, first.variables["LOOPCTL_SUITE"], name)
        return replace(
            first,
            variables={**first.variables, "TRACEPARENT": _traceparent(seed)},
            folder=first.folder / name,
            trace_seed=seed,
            only=only,
        )

    def _seed(self, journal: Journal, *parts: str) -> str:
        # Receipts of an attempt that was killed must not vouch for the one that follows.
        times = f"resumed-{journal.fold.times_resumed}"
        text = "/".join([self._facts.run_id, times, str(journal.cycle), *parts])
        return sha256(text.encode()).hexdigest()[:32]


def _traceparent(seed: str) -> str:
    return f"00-{seed}-{seed[:16]}-01"


def _retry(number: int) -> tuple[str, ...]:
    """The name of a retry, none for the first run."""
    return (f"retry-{number}",) if number else ()


def _merged(end: SuiteEnd, number: int, retry: SuiteEnd) -> SuiteEnd:
    """The end of a suite after a retry: of both processes, and of all that were collected."""
    said = retry.usage_error or retry.detail
    return replace(
        end,
        complete=end.complete and retry.complete,
        duration_s=end.duration_s + retry.duration_s,
        stopped=end.stopped or retry.stopped,
        detail="; ".join(filter(None, [end.detail, said and f"retry {number}: {said}"])),
    )
