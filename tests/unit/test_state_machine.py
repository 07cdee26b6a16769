"""Runner, journal and fold through thousands of interleavings of trouble.

Stages end as scripted, in a world where every deployment, all traffic and the lease are watched.
`LOOPCTL_TEST_PROFILE=long` tries many more.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from loop_rig import IN_MEMORY, a_disk_that_can_fill_up
from machine_rig import SERVICES, Play
from machine_troubles import KILLS, REST, Process, Strangers, Trouble, check_steps

from loopctl.errors import UsageError
from loopctl.journal.fold import fold
from loopctl.journal.tail import read
from loopctl.journal.worklog import CycleRecord, Worklog
from loopctl.machine.resume import entry_of
from loopctl.machine.transitions import TRANSITIONS
from loopctl.model.events import CasesGraded, Note, RunEnded
from loopctl.model.state import OutcomeKind as Kind
from loopctl.model.state import State, StopReason, Verdict
from loopctl.ports.leases import HeldByOther

NAMES = [service.name for service in SERVICES]
STAGES = [state for state in State if not state.is_end]
LOOKS = (*STAGES[STAGES.index(State.DEPLOY) : 7], State.DIAGNOSE, State.REMEDIATE)
LATE = (Kind.GO_DEPLOY, Kind.GO_HEALTH, Kind.GO_VERIFY)
LEAVES_THE_PATH = [
    (state, kind)
    for state, kind in TRANSITIONS
    if state in (*State,)[:7]
    # Waves and signals come about by themselves; a run that enters late is none to be promoted.
    if kind not in (Kind.OK, Kind.MORE_WAVES, Kind.INTERRUPTED)
    if state is not State.PREFLIGHT or kind not in LATE
]
LATER = [(s, k) for s, k in LEAVES_THE_PATH if s in (State.VERIFY, State.PROMOTE, State.CONFIRM)]
GOES_WRONG_AFTERWARDS = [
    (state, kind)
    for state, kind in TRANSITIONS
    if state in (State.COLLECT, State.SETTLE, State.DIAGNOSE)
    if kind in (Kind.ERRORED, Kind.MOVED)
]
REMEDIES = [
    kind
    for state, kind in TRANSITIONS
    if state is State.REMEDIATE and kind not in (Kind.INTERRUPTED, *LATE[1:])
]
"""How REMEDIATE can end in a run that may promote."""

CYCLES = st.lists(
    st.tuples(
        st.one_of(st.sampled_from(LATER), st.sampled_from(LEAVES_THE_PATH)),
        st.one_of(st.none(), st.none(), st.none(), st.sampled_from(GOES_WRONG_AFTERWARDS)),
        st.one_of(st.sampled_from([Kind.GO_BUILD, Kind.GO_DEPLOY]), st.sampled_from(REMEDIES)),
    ),
    max_size=3,
)


def troubles(*what: str) -> st.SearchStrategy[list[Trouble]]:
    """One to three of them in one process."""
    one = st.builds(
        Trouble,
        st.sampled_from(what),
        st.sampled_from(STAGES),
        st.integers(1, 10),
        st.sampled_from(NAMES),
    )
    return st.lists(one, min_size=1, max_size=3)


Cycle = tuple[tuple[State, Kind], tuple[State, Kind] | None, Kind]

GOOD = (Kind.OK, Kind.MORE_WAVES, Kind.PARTIAL, Kind.GO_BUILD)
NOT_SYNCED = (CasesGraded, Note)


class Runs(RuleBasedStateMachine):
    """One run, by as many processes as it takes, and its undisturbed twin."""

    def __init__(self) -> None:
        super().__init__()
        self.rest = contextlib.ExitStack()
        self.root = Path(self.rest.enter_context(tempfile.TemporaryDirectory(dir=IN_MEMORY)))
        self.numbers = itertools.count(1)

    @initialize(cycles=CYCLES)
    def a_run_is_given_its_script(self, cycles: Sequence[Cycle]) -> None:
        self.script: dict[tuple[State, int], Kind] = {}
        for number, (first, second, remedy) in enumerate(cycles, 1):
            for state, kind in filter(None, (first, second, (State.REMEDIATE, remedy))):
                self.script[state, number] = kind
        self.play = Play(self.root / str(next(self.numbers)), self.script)
        self.strangers = Strangers(self.play)
        self.met: set[str] = set()
        self.process: Process | None = None
        self.forbidden: int | None = None

    @property
    def end(self) -> RunEnded | None:
        """How it ended, if nothing can follow."""
        worklog = self.process.ended if self.process else None
        ended = worklog.ended if worklog else None
        return ended if ended is None or ended.verdict is not Verdict.INTERRUPTED else None

    @property
    def was_killed(self) -> bool:
        return self.process is not None and self.process.ended is None

    @precondition(lambda self: self.end is None)
    @rule(befalls=troubles(*KILLS))
    def a_process_is_killed(self, befalls: Sequence[Trouble]) -> None:
        self.a_process_goes_on(befalls)

    @precondition(lambda self: self.end is None)
    @rule(befalls=troubles(*KILLS, *REST))
    def a_process_meets_trouble(self, befalls: Sequence[Trouble]) -> None:
        self.a_process_goes_on(befalls)

    def a_process_goes_on(self, befalls: Sequence[Trouble]) -> None:
        with a_disk_that_can_fill_up() as fill:
            self.process = Process(self.play, befalls, self.strangers, lambda: fill(self.play.path))
            self.process.live()
        self.met |= self.process.met
        if self.play.leases.held and self.play.leases.held.run_id == "run-8":
            self.play.leases.held = None
        self.see_that_its_journal_is_sound()
        self.see_that_nothing_was_done_twice_or_too_late()
        if self.process.ended is not None:
            self.see_what_users_are_left_with(self.process.ended)

    @precondition(lambda self: self.was_killed and self.forbidden is None)
    @rule(share=st.floats(0, 1))
    def what_was_not_synced_is_lost(self, share: float) -> None:
        """The power goes with the process; the line that it was about may be torn anywhere."""
        assert self.process is not None
        events = list(read(self.play.path))
        if self.process.died_in_a_write:
            events = events[:-1]
            self.process.died_in_a_write = False
        synced = max((e.seq for e in events if not isinstance(e.payload, NOT_SYNCED)), default=0)
        content = self.play.path.read_bytes()
        kept = sum(map(len, content.splitlines(keepends=True)[:synced]))
        with self.play.path.open("r+b") as file:
            file.truncate(kept + round(share * (len(content) - kept)))

    @precondition(lambda self: self.end is None)
    @rule(what=st.sampled_from(REST[-2:]), service=st.sampled_from(NAMES))
    def a_stranger_comes_by_in_a_pause(self, what: str, service: str) -> None:
        self.met.add(what)
        if self.play.begun and is_seen_in(self.play, service):
            self.forbidden = self.play.platform.count
        self.strangers.act(what, service)

    @precondition(lambda self: self.end is None and self.play.begun)
    @rule()
    def another_run_holds_the_lease(self) -> None:
        leases, before = self.play.leases, self.play.path.read_bytes()
        effects = self.play.platform.count
        leases.taken_by("run-8")
        self.process = None
        with pytest.raises(HeldByOther):
            self.play.process()
        assert self.play.platform.count == effects
        assert before.startswith(self.play.path.read_bytes()), "but for a torn line"
        leases.held = None

    @precondition(lambda self: self.end is not None)
    @rule(cycles=CYCLES)
    def after_its_end_another_begins(self, cycles: Sequence[Cycle]) -> None:
        self.see_that_it_is_over()
        self.a_run_is_given_its_script(cycles)

    def see_that_it_is_over(self) -> None:
        """Nobody goes on with it; and without troubles it would have come to the same end."""
        assert self.process is not None
        if self.play.journal.is_durable:
            before = self.play.path.read_bytes()
            with pytest.raises(UsageError):
                self.play.process()
            assert self.play.path.read_bytes() == before
        if not self.met - set(KILLS):
            twin = Play(self.root / str(next(self.numbers)), self.script)
            assert end_of(self.play, self.process.ended) == end_of(twin, twin.process())

    def see_that_its_journal_is_sound(self) -> None:
        events = list(read(self.play.path))
        check_steps(events)
        assert not self.play.crashes
        if self.play.journal.is_durable and events:
            assert fold(events) == self.play.journal.fold.snapshot()

    def see_that_nothing_was_done_twice_or_too_late(self) -> None:
        assert self.process is not None
        platform = self.play.platform
        assert all(count == platform.count for count in self.process.untouched)
        assert self.forbidden in (None, platform.count), "a stranger had written to it"
        if "disk" not in self.met:
            assert max(platform.made.values(), default=0) <= 1

    def see_what_users_are_left_with(self, worklog: Worklog) -> None:
        ended, last = worklog.ended, worklog.last
        assert ended is not None
        assert self.process is not None
        if ended.verdict is Verdict.INTERRUPTED and "disk" not in self.met:
            assert self.process.met & {"SIGINT", "SIGTERM", "deadline", "lease"}
        if self.process.lost_too_early and not self.process.met & {"SIGINT", "SIGTERM"}:
            assert ended.stop_reason is StopReason.ENVIRONMENT_MOVED
        if ended.stop_reason is StopReason.ENVIRONMENT_MOVED:
            return
        promoted = [self.base_of(name) for name in NAMES]
        if last is not None and all(s.kind in (*GOOD, None) for s in last.stages):
            assert (
                ended.verdict is Verdict.GREEN
                or not self.play.journal.is_durable
                or (ended.verdict is Verdict.INTERRUPTED)
            )
            promoted = [verified_by(last, name) or self.base_of(name) for name in NAMES]
        else:
            assert ended.verdict is not Verdict.GREEN
        assert [self.play.platform.traffic(name) for name in NAMES] == promoted
        assert not any(left_over(self.play, name) for name in NAMES)

    def base_of(self, service: str) -> dict[str, int]:
        """Who serves it where this run may not change that."""
        return self.strangers.base[service]

    def teardown(self) -> None:
        with self.rest:
            for _ in range(3):
                if self.end is None:
                    self.a_process_goes_on([])
            assert self.end is not None
            self.see_that_it_is_over()


def is_seen_in(play: Play, service: str) -> bool:
    """Whether a process that goes on now must see that a stranger has written to the service."""
    worklog = fold(read(play.path))
    if worklog.last is None:
        return False
    entry, record = entry_of(worklog), worklog.last.services[service]
    # COLLECT and SETTLE go by the traffic alone.
    looks = entry.cycle > worklog.last.number or entry.state in LOOKS
    return looks and record.seen is not None and not record.writing


def left_over(play: Play, service: str) -> list[str]:
    """What the run has deployed and neither promoted nor discarded."""
    state = play.platform.states[service]
    serving = play.platform.traffic(service)
    return [r.name for r in state.revisions if r.key and r.name not in serving] if state else []


def verified_by(cycle: CycleRecord, service: str) -> dict[str, int] | None:
    """The traffic of a service whose candidate was verified to be promoted."""
    partial = any(stage.kind is Kind.PARTIAL for stage in cycle.stages)
    revision = cycle.services[service].revision
    return None if revision is None or partial else {revision.name: 100}


def end_of(play: Play, worklog: Worklog | None) -> tuple[object, ...]:
    """All that a run comes to."""
    assert worklog is not None
    ended, platform = worklog.ended, play.platform
    assert ended is not None
    return (
        *(ended.verdict, ended.exit_code, ended.stop_reason, ended.restored, ended.detail),
        *([platform.traffic(name) for name in NAMES], platform.made),
        *([platform.revisions(name) for name in NAMES], len(worklog.cycles)),
    )


LONG = os.environ.get("LOOPCTL_TEST_PROFILE") == "long"
TestRuns = Runs.TestCase
TestRuns.settings = settings(
    max_examples=3000 if LONG else 30,
    stateful_step_count=20,
    deadline=None,
    derandomize=not LONG,
    database=None,
    suppress_health_check=list(HealthCheck),
)
