"""What each suite would run, found while there is something else to wait for."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from loopctl.errors import Stopped
from loopctl.journal.store import Journal
from loopctl.model.events import SuiteCollected
from loopctl.model.finding import Fault, FaultKind, Quote
from loopctl.model.outcome import Outcome, worst
from loopctl.model.plan import ServiceSpec, SuiteSpec
from loopctl.model.state import OutcomeKind, State
from loopctl.ports.suite import SuiteError
from loopctl.process import Stop, TaskScope, in_parallel
from loopctl.stages.suite_run import SuiteRunner

LONG_WAIT_S = 1.0

Wait = Callable[[Callable[[], None], Stop], Outcome]

_NOT_NEEDED = "what was to be tested has failed"


def collected_in(waves: Sequence[Sequence[ServiceSpec]]) -> State:
    """The stage with more time to spare: collecting takes seconds of all processors.

    BUILD, before anything is deployed, unless the first candidates must stay healthy for long,
    while nothing else is to do. The loop file's own build steps are taken to last longer still; an
    engine builds an image in less time than the suites beside it would take from it. A candidate
    with little time to answer is left alone while it is watched.
    """
    first = waves[0] if waves else ()
    builds = [spec.build for wave in waves for spec in wave]
    limits = [spec.health.max_latency_s for spec in first]
    is_built = any(build.steps for build in builds)
    is_watched = any(spec.health.stable_for_s >= LONG_WAIT_S for spec in first)
    is_hurried = any(limit is not None and limit < LONG_WAIT_S for limit in limits)
    return State.HEALTH if is_watched and not (is_built or is_hurried) else State.BUILD


@dataclass(frozen=True, slots=True)
class SuiteCollection:
    """The suites to collect, at most `jobs` side by side."""

    suites: tuple[SuiteSpec, ...]
    jobs: int
    runner: SuiteRunner

    def tasks(self, journal: Journal) -> Mapping[str, Callable[[Stop], Outcome]]:
        """One for each suite of which this cycle does not know yet what it would run."""
        known = journal.fold.cycle().suites
        return {
            f"collect {spec.id}": functools.partial(self._collect, spec, journal)
            for spec in self.suites
            if known[spec.id].collected is None
        }

    def beside(self, wait: Wait, journal: Journal, stop: Stop) -> Outcome:
        """`wait`, with the suites collected from when it calls what it is given until it ends.

        Collecting would slow down a service that starts; it is given up when `wait` has failed.
        """
        tasks = self.tasks(journal)
        collected: list[Outcome] = []
        begun = threading.Lock()

        def collect(inner: Stop) -> None:
            try:
                collected.extend(in_parallel(inner, self.jobs, tasks).values())
            except Stopped as stopped:
                if stopped.reason != _NOT_NEEDED:
                    raise

        def begin() -> None:
            if begun.acquire(blocking=False):
                scope.start("collect the suites", collect)

        with stop.child() as needed, TaskScope(needed) as scope:
            waited = wait(begin, stop)
            if waited.kind is OutcomeKind.OK:
                begin()
            else:
                needed.stop(_NOT_NEEDED)
        return worst([waited, *collected])

    def _collect(self, spec: SuiteSpec, journal: Journal, stop: Stop) -> Outcome:
        try:
            found = self.runner.collect(spec, journal, stop)
        except SuiteError as error:
            fault = Fault(FaultKind.SUITE, f"{spec.id}: {error.what}", hint=error.hint)
            return Outcome(OutcomeKind.UNPROVEN, fault.summary, (fault,))
        if found is None:
            return Outcome(OutcomeKind.OK)
        count = len(found.ids)
        journal.append(SuiteCollected(count, found.deselected, len(found.errors)), suite=spec.id)
        # A test that cannot be imported now may import once the service is there: VERIFY judges.
        if found.errors or count >= spec.collect_min:
            return Outcome(OutcomeKind.OK)
        return _too_few(spec, count, found.deselected)


def _too_few(spec: SuiteSpec, count: int, deselected: int) -> Outcome:
    what = "nothing was collected" if count == 0 else f"only {count} tests were collected"
    extra = f", {deselected} were deselected" if deselected else ""
    summary = f"{spec.id}: {what}{extra}; {spec.collect_min} are expected"
    command = f"python -m pytest --collect-only -q {spec.run}"
    fault = Fault(
        FaultKind.NOTHING_COLLECTED,
        summary,
        value=str(count),
        quotes=(Quote("test", spec.id, f"{command} → {count} collected{extra}"),),
        hint=f"cd {spec.cwd} && {command}",
    )
    return Outcome(OutcomeKind.UNPROVEN, summary, (fault,))
