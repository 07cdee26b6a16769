"""The runner: it asks the table, writes every step down, and always comes to SETTLE."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from loop_rig import a_disk_that_can_fill_up, a_service, run_started

from loopctl.errors import Stopped, StorageError
from loopctl.journal.store import Journal
from loopctl.journal.worklog import CycleRecord
from loopctl.machine.resume import Entry
from loopctl.machine.runner import Rejoin, Runner, Stage, Walk
from loopctl.model.events import Event, SourceRead, StageEntered, StageFinished
from loopctl.model.outcome import Outcome
from loopctl.model.state import OutcomeKind, State
from loopctl.ports.leases import LeaseLost
from loopctl.ports.platform import PlatformError
from loopctl.process import Stop
from loopctl.redact import Redactor

Do = Callable[[CycleRecord, Stop], OutcomeKind]

USUAL: Mapping[State, OutcomeKind] = {
    State.SETTLE: OutcomeKind.OK,
    State.REMEDIATE: OutcomeKind.FAILED,
}


class ScriptedStage(Stage):
    """Ends as it is told, or as the usual stage of its state does."""

    def __init__(self, state: State, do: Do | None, seen: list[State]) -> None:
        self._state = state
        self._do = do
        self._seen = seen

    def __call__(self, cycle: CycleRecord, journal: Journal, stop: Stop) -> Outcome:
        self._seen.append(self._state)
        usual = USUAL.get(self._state, OutcomeKind.OK)
        return Outcome(self._do(cycle, stop) if self._do else usual, self._state.value)


class Rig:
    """A walk over scripted stages."""

    def __init__(self, folder: Path, script: Mapping[State, Do], stop: Stop | None = None) -> None:
        self.seen: list[State] = []
        self.crashes: list[BaseException] = []
        self.events: list[Event] = []
        self.at: Callable[[Event], None] = lambda _: None
        self.stop = stop or Stop()
        self.journal = Journal(folder / "journal.jsonl", Redactor({}), [self._heard])
        self.journal.append(run_started([a_service()], []))
        self.on_crash: Callable[[BaseException], None] = self.crashes.append
        self._script = script

    def _heard(self, event: Event) -> None:
        self.events.append(event)
        self.at(event)

    def walk(self, entry: Entry = Entry(), rejoin: Rejoin | None = None) -> Walk:  # noqa: B008
        stages = {
            state: ScriptedStage(state, self._script.get(state), self.seen)
            for state in State
            if not state.is_end
        }
        runner = Runner(stages, self.journal, self.stop, self.on_crash)
        # Rejoin looks at the record of a cycle that has begun.
        self.journal.cycle = entry.cycle
        if rejoin is not None:
            self.journal.append(SourceRead("tree", None, dirty=False, files=1), service="chat")
        return runner.walk(entry, rejoin)

    def kinds(self) -> dict[State, OutcomeKind]:
        finished = [e.payload for e in self.events if isinstance(e.payload, StageFinished)]
        return {end.stage: end.kind for end in finished}

    def details(self) -> dict[State, str]:
        finished = [e.payload for e in self.events if isinstance(e.payload, StageFinished)]
        return {end.stage: end.detail for end in finished}


def ends(kind: OutcomeKind) -> Do:
    return lambda _cycle, _stop: kind


def raises(error: BaseException) -> Do:
    def do(_cycle: CycleRecord, _stop: Stop) -> OutcomeKind:
        raise error

    return do


GREEN_PATH = [
    State.PREFLIGHT,
    State.BUILD,
    State.DEPLOY,
    State.HEALTH,
    State.VERIFY,
    State.PROMOTE,
    State.CONFIRM,
]


def test_when_all_is_well_the_path_is_walked_once(tmp_path: Path) -> None:
    rig = Rig(tmp_path, {})
    assert rig.walk() == Walk(State.GREEN)
    assert rig.seen == GREEN_PATH


def test_every_step_is_written_down_with_where_it_leads(tmp_path: Path) -> None:
    rig = Rig(tmp_path, {})
    rig.walk()
    steps = [e.payload for e in rig.events if isinstance(e.payload, StageEntered | StageFinished)]
    assert [step.stage for step in steps] == [s for s in GREEN_PATH for _ in range(2)]
    assert isinstance(steps[-1], StageFinished)
    assert steps[-1].to is State.GREEN


@pytest.mark.parametrize("state", GREEN_PATH[1:])
@pytest.mark.parametrize(
    "error", [PlatformError("x"), KeyError("x"), StorageError("x"), Stopped("deadline")]
)
def test_whatever_a_stage_raises_settle_runs(
    tmp_path: Path, state: State, error: BaseException
) -> None:
    rig = Rig(tmp_path, {state: raises(error)})
    assert rig.walk().end is State.STOPPED
    # Without a disk no remedy is tried.
    tried = [] if isinstance(error, StorageError) else [State.REMEDIATE]
    afterwards = rig.seen[rig.seen.index(State.COLLECT) :]
    assert afterwards == [State.COLLECT, State.SETTLE, State.DIAGNOSE, *tried]


def test_an_outcome_without_a_row_is_a_fault_of_loopctl_and_settle_runs(tmp_path: Path) -> None:
    rig = Rig(tmp_path, {State.PROMOTE: ends(OutcomeKind.MORE_WAVES)})
    walk = rig.walk()
    assert walk.internal is not None
    assert "more-waves" in walk.internal
    assert len(rig.crashes) == 1
    assert State.SETTLE in rig.seen


def test_a_crash_that_cannot_be_kept_does_not_keep_settle_from_running(tmp_path: Path) -> None:
    rig = Rig(tmp_path, {State.VERIFY: raises(KeyError("x"))})

    def full(_: BaseException) -> None:
        raise StorageError("no space")

    rig.on_crash = full
    assert rig.walk().internal is not None
    assert State.SETTLE in rig.seen


@pytest.mark.parametrize("state", GREEN_PATH)
def test_a_lost_lease_ends_the_walk_at_once(tmp_path: Path, state: State) -> None:
    rig = Rig(tmp_path, {state: raises(LeaseLost("taken", hint="see run 8"))})
    assert rig.walk().end is State.STOPPED
    assert rig.details()[state] == "taken"
    assert rig.seen[-1] is state
    assert rig.kinds()[state] is OutcomeKind.MOVED


@pytest.mark.parametrize("kind", [OutcomeKind.OK, OutcomeKind.FAILED, OutcomeKind.UNPROVEN])
def test_what_a_stage_says_after_a_signal_is_the_signals_doing(
    tmp_path: Path, kind: OutcomeKind
) -> None:
    stop = Stop()

    def signalled(_cycle: CycleRecord, _stop: Stop) -> OutcomeKind:
        stop.stop("SIGINT")
        return kind

    rig = Rig(tmp_path, {State.VERIFY: signalled}, stop)
    rig.walk()
    assert rig.seen[-2:] == [State.VERIFY, State.SETTLE]
    assert rig.kinds()[State.VERIFY] is OutcomeKind.INTERRUPTED


def test_a_signal_before_the_first_step_begins_nothing(tmp_path: Path) -> None:
    stop = Stop()
    stop.stop("SIGINT")
    rig = Rig(tmp_path, {}, stop)
    assert rig.walk().end is State.STOPPED
    assert rig.seen == []


def test_a_signal_gives_the_restore_five_seconds(tmp_path: Path) -> None:
    stop = Stop()
    left: list[float] = []

    def verify(_cycle: CycleRecord, _own: Stop) -> OutcomeKind:
        stop.stop("SIGTERM")
        return OutcomeKind.OK

    def settle(_cycle: CycleRecord, own: Stop) -> OutcomeKind:
        left.append(own.remaining(1000.0))
        return OutcomeKind.OK

    Rig(tmp_path, {State.VERIFY: verify, State.SETTLE: settle}, stop).walk()
    assert 4.0 < left[0] <= 5.0


def test_at_the_deadline_the_restore_has_five_minutes_of_its_own(tmp_path: Path) -> None:
    left: list[float] = []

    def settle(_cycle: CycleRecord, own: Stop) -> OutcomeKind:
        left.append(own.remaining(1000.0))
        return OutcomeKind.OK

    def health(_cycle: CycleRecord, own: Stop) -> OutcomeKind:
        own.wait(30.0)
        return OutcomeKind.OK

    rig = Rig(tmp_path, {State.SETTLE: settle, State.HEALTH: health}, Stop(0.1))
    rig.walk()
    assert rig.kinds()[State.HEALTH] is OutcomeKind.ERRORED
    assert 290.0 < left[0] <= 300.0


def test_a_deadline_amid_the_tests_is_unproven_not_an_error(tmp_path: Path) -> None:
    rig = Rig(tmp_path, {State.VERIFY: raises(Stopped("deadline"))})
    rig.walk()
    assert rig.kinds()[State.VERIFY] is OutcomeKind.UNPROVEN


def test_a_signal_ends_the_collecting_of_evidence(tmp_path: Path) -> None:
    stop = Stop()

    def collect(_cycle: CycleRecord, own: Stop) -> OutcomeKind:
        stop.stop("SIGINT")
        own.wait(30.0)
        return OutcomeKind.OK

    script = {State.VERIFY: ends(OutcomeKind.FAILED), State.COLLECT: collect}
    rig = Rig(tmp_path, script, stop)
    rig.walk()
    assert rig.seen[-2:] == [State.COLLECT, State.SETTLE]


def test_a_lease_lost_as_a_stage_ends_makes_its_good_end_none(tmp_path: Path) -> None:
    stop = Stop()

    def confirm(_cycle: CycleRecord, _own: Stop) -> OutcomeKind:
        stop.stop("lease lost")
        return OutcomeKind.OK

    rig = Rig(tmp_path, {State.CONFIRM: confirm}, stop)
    assert rig.walk().end is State.STOPPED
    assert rig.kinds()[State.CONFIRM] is OutcomeKind.MOVED


def test_a_remedy_that_sends_it_back_begins_the_next_cycle(tmp_path: Path) -> None:
    verdicts = iter([OutcomeKind.FAILED, OutcomeKind.OK])
    cycles: list[int] = []

    def verify(cycle: CycleRecord, _own: Stop) -> OutcomeKind:
        cycles.append(cycle.number)
        return next(verdicts)

    rig = Rig(tmp_path, {State.VERIFY: verify, State.REMEDIATE: ends(OutcomeKind.GO_BUILD)})
    assert rig.walk().end is State.GREEN
    assert cycles == [1, 2]


def test_waves_are_counted_from_zero_and_end_with_the_last(tmp_path: Path) -> None:
    more = iter([OutcomeKind.MORE_WAVES, OutcomeKind.MORE_WAVES, OutcomeKind.OK])
    rig = Rig(tmp_path, {State.HEALTH: lambda _c, _s: next(more)})
    rig.walk()
    entered = [e for e in rig.events if isinstance(e.payload, StageEntered)]
    waves = [e.wave for e in entered if e.payload.stage is State.DEPLOY]  # type: ignore[union-attr]
    assert waves == [0, 1, 2]
    assert entered[-1].wave is None


@pytest.mark.parametrize("state", GREEN_PATH[1:])
def test_a_stage_that_cannot_be_begun_on_disk_is_not_begun(tmp_path: Path, state: State) -> None:
    rig = Rig(tmp_path, {})
    before = GREEN_PATH[GREEN_PATH.index(state) - 1]

    with a_disk_that_can_fill_up() as fill:

        def at(event: Event) -> None:
            if isinstance(event.payload, StageFinished) and event.payload.stage is before:
                fill(rig.journal.path)

        rig.at = at
        rig.walk()
    assert state not in rig.seen
    assert State.SETTLE in rig.seen
    record = rig.journal.fold.cycle().failed_stage
    assert record is not None
    assert (record.stage, record.kind) == (state, OutcomeKind.ERRORED)


def test_a_restore_whose_journal_fails_is_done_again_without_it(tmp_path: Path) -> None:
    tries: list[int] = []

    def settle(_cycle: CycleRecord, _own: Stop) -> OutcomeKind:
        tries.append(1)
        if len(tries) == 1:
            raise StorageError("no space")
        return OutcomeKind.OK

    rig = Rig(tmp_path, {State.VERIFY: ends(OutcomeKind.FAILED), State.SETTLE: settle})
    rig.walk()
    assert len(tries) == 2
    assert rig.kinds()[State.SETTLE] is OutcomeKind.OK
    assert not rig.journal.is_durable


def entered(rig: Rig) -> list[State]:
    return [e.payload.stage for e in rig.events if isinstance(e.payload, StageEntered)]


def test_without_a_disk_no_remedy_is_tried_and_no_other_cycle_begun(tmp_path: Path) -> None:
    rig = Rig(
        tmp_path,
        {State.VERIFY: ends(OutcomeKind.FAILED), State.REMEDIATE: ends(OutcomeKind.GO_BUILD)},
    )
    with a_disk_that_can_fill_up() as fill:
        rig.at = lambda e: (
            fill(rig.journal.path) if e.payload == StageEntered(State.VERIFY) else None
        )
        assert rig.walk().end is State.STOPPED
    assert State.SETTLE in rig.seen
    assert State.REMEDIATE not in rig.seen
    assert rig.kinds()[State.REMEDIATE] is OutcomeKind.ERRORED


@pytest.mark.parametrize("state", [State.DEPLOY, State.HEALTH, State.VERIFY, State.CONFIRM])
def test_a_run_that_goes_on_looks_at_the_world_before_it_acts(tmp_path: Path, state: State) -> None:
    rig = Rig(tmp_path, {})
    walk = rig.walk(Entry(state, after="killed"), lambda _c, _s: Outcome(OutcomeKind.MOVED, "x"))
    assert walk.end is State.STOPPED
    assert rig.seen == [], "it touches nothing"
    assert (entered(rig), rig.kinds()) == ([state], {state: OutcomeKind.MOVED})


def test_what_is_gone_is_deployed_again_from_the_first_wave(tmp_path: Path) -> None:
    rig = Rig(tmp_path, {})
    entry = Entry(State.HEALTH, wave=1, after="killed")
    rig.walk(entry, lambda _c, _s: Outcome(OutcomeKind.GO_DEPLOY))
    assert rig.seen[0] is State.DEPLOY
    assert next(e.wave for e in rig.events if isinstance(e.payload, StageEntered)) == 0


@pytest.mark.parametrize("state", [State.PREFLIGHT, State.BUILD, State.SETTLE, State.REMEDIATE])
def test_stages_that_act_on_nothing_that_was_left_do_not_look(tmp_path: Path, state: State) -> None:
    rig = Rig(tmp_path, {})
    rig.walk(Entry(state, after="killed"), lambda _c, _s: pytest.fail("it looked"))
    assert rig.seen[0] is state


def test_a_look_that_fails_is_how_its_stage_ends(tmp_path: Path) -> None:
    rig = Rig(tmp_path, {})

    def look(_cycle: CycleRecord, _stop: Stop) -> Outcome | None:
        raise PlatformError("silent")

    rig.walk(Entry(State.VERIFY, after="killed"), look)
    assert rig.kinds()[State.VERIFY] is OutcomeKind.ERRORED
    assert State.SETTLE in rig.seen


@pytest.mark.parametrize(
    ("settled", "cycles"), [(OutcomeKind.OK, 2), (OutcomeKind.ERRORED, 1), (OutcomeKind.MOVED, 1)]
)
def test_a_new_cycle_begins_only_after_a_restore_that_worked(
    tmp_path: Path, settled: OutcomeKind, cycles: int
) -> None:
    rig = Rig(tmp_path, {State.SETTLE: ends(settled)})
    rig.walk(Entry(State.SETTLE, again=True, after="killed"))
    assert rig.journal.fold.snapshot().cycles[-1].number == cycles
