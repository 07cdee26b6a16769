"""Runs that are killed, anywhere, and gone on with: the same end, and nothing done twice."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fakes import EFFECTS
from loop_rig import (
    AFTER_PREFLIGHT,
    IN_MEMORY,
    Loop,
    a_case,
    a_service,
    a_suite,
    path_of,
    spared,
    two_services,
)
from scripted import Killed

from loopctl.errors import UsageError
from loopctl.journal.fold import fold
from loopctl.journal.tail import read
from loopctl.journal.worklog import Worklog
from loopctl.model.events import (
    CasesGraded,
    Event,
    Intent,
    RemedyDecided,
    Result,
    RevisionDeployed,
    Routed,
    RunResumed,
    StageFinished,
    SuiteFinished,
)
from loopctl.model.evidence import CaseStatus
from loopctl.model.options import RunOptions
from loopctl.model.plan import Priority, Remediation, RemediationMode, RemedyRule
from loopctl.model.state import OutcomeKind, State, StopReason, Verdict
from loopctl.ports.leases import HeldByOther
from loopctl.ports.platform import PlatformError

Make = Callable[[Path], Loop]
AUTO = RemediationMode.AUTO
RED = {"verdict": "red"}


def green(folder: Path) -> Loop:
    return Loop(folder)


def red(folder: Path) -> Loop:
    loop = Loop(folder)
    loop.suite.cases["p1"] = [a_case(status=CaseStatus.FAILED)]
    return loop


def first_ever(folder: Path) -> Loop:
    return Loop(folder, existing=False)


def direct(folder: Path) -> Loop:
    loop = red(folder)
    loop.strategy = "direct"
    return loop


def second_promotion_fails(folder: Path) -> Loop:
    loop = two_services(folder)
    loop.platform.fails["route worker worker-new"] = PlatformError("refused")
    return loop


def part_of_it(folder: Path) -> Loop:
    suites = [a_suite(), a_suite("p2", Priority.P2)]
    return Loop(folder, suites=suites, options=RunOptions(suites=("p1",)))


def what_serves(folder: Path) -> Loop:
    return Loop(folder, options=RunOptions(start=State.VERIFY))


def with_rules(folder: Path, *rules: RemedyRule) -> Loop:
    loop = Loop(folder, [a_service(source=folder / "chat")])
    loop.suite.cases["p1"] = [a_case(status=CaseStatus.FAILED)]
    loop.remediation = Remediation(AUTO, rules=rules)
    return loop


def mended(folder: Path) -> Loop:
    """A remedy's command repairs the source, and the second cycle is green."""
    loop = with_rules(folder, RemedyRule(RED, "run", ("./fix.sh",)))

    def mend() -> None:
        loop.tree.files["chat/main.py"] = "2"
        loop.sources.edited = "-mended"
        loop.builder.digests["chat"] = "sha256:mended"
        loop.suite.cases["p1"] = [a_case()]

    loop.command.after["run"] = mend
    return loop


def tried_again(folder: Path) -> Loop:
    return with_rules(folder, RemedyRule(RED, "retry", limit=2))


ENDS: dict[Make, tuple[int, StopReason]] = {
    green: (0, StopReason.GREEN),
    red: (1, StopReason.NEEDS_HUMAN),
    first_ever: (0, StopReason.GREEN),
    direct: (1, StopReason.NEEDS_HUMAN),
    two_services: (0, StopReason.GREEN),
    second_promotion_fails: (5, StopReason.NEEDS_HUMAN),
    part_of_it: (0, StopReason.GREEN),
    what_serves: (0, StopReason.GREEN),
    mended: (0, StopReason.GREEN),
    tried_again: (1, StopReason.NO_PROGRESS),
}
MAKES = list(ENDS)


def end_of(worklog: Worklog, loop: Loop) -> tuple[object, ...]:
    """What a run comes to, for people and for users."""
    ended = worklog.ended
    assert ended is not None
    traffic = {name: loop.platform.traffic(name) for name in loop.platform.states}
    revisions = {name: loop.platform.revisions(name) for name in loop.platform.states}
    cycles = [cycle.number for cycle in worklog.cycles]
    left = [(each.verified, each.changed_by_run) for each in ended.left]
    return (
        *(ended.verdict, ended.exit_code, ended.stop_reason, ended.restored),
        *(traffic, revisions, cycles, left),
    )


def deploys_of(loop: Loop) -> Counter[str]:
    """How often each service was deployed."""
    return Counter(call.split()[1] for call in loop.platform.effects("deploy"))


def gone_on(loop: Loop, pause: Callable[[], object] = lambda: None) -> Worklog:
    """Run it until it is killed, go on with it, and see that its journal is sound.

    `pause` is what happens to the world meanwhile.
    """
    with pytest.raises(Killed):
        loop.run()
    loop.at = lambda _: None
    pause()
    worklog = loop.resume()
    assert fold(read(loop.path)) == worklog
    assert not loop.crashes
    return worklog


TURNING_POINTS = (
    *(Intent, Result, RevisionDeployed, Routed, CasesGraded, SuiteFinished),
    *(StageFinished, RemedyDecided),
)
"""Where a kill can leave something half done; the other kinds are notes of what was seen."""

EVERYWHERE = (mended,)


@pytest.fixture
def in_memory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as folder:
        yield Path(folder)


@pytest.mark.parametrize("make", MAKES, ids=lambda make: make.__name__)
def test_killed_at_any_event_it_comes_to_the_end_of_an_undisturbed_run(
    in_memory: Path, make: Make
) -> None:
    undisturbed = made(make, in_memory / "whole")
    expected = end_of(undisturbed.run(), undisturbed)
    assert expected[1:3] == ENDS[make]
    for event in undisturbed.events[:-1]:
        if make in EVERYWHERE or isinstance(event.payload, TURNING_POINTS):
            loop = made(make, in_memory / str(event.seq))
            loop.kill_at(event.seq)
            assert end_of(gone_on(loop), loop) == expected, event
            assert deploys_of(loop) == deploys_of(undisturbed), event


def made(make: Make, folder: Path) -> Loop:
    folder.mkdir()
    return make(folder)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    ("make", "call"),
    [
        (green, "deploy chat"),
        (direct, "deploy chat"),
        (first_ever, "deploy chat"),
        (two_services, "deploy worker"),
        (green, "route chat chat-new"),
        (two_services, "route worker worker-new"),
        (direct, "route chat chat-old"),
        (second_promotion_fails, "route chat chat-old"),
        (red, "discard chat"),
        (second_promotion_fails, "discard worker"),
    ],
)
def test_killed_amid_an_effect_it_is_done_once(
    tmp_path: Path, make: Make, call: str, when: str
) -> None:
    undisturbed = made(make, tmp_path / "whole")
    expected = end_of(undisturbed.run(), undisturbed)
    loop = made(make, tmp_path / "killed")
    if when == "after":
        loop.platform.after[call] = loop.kill
    else:
        loop.platform.hooks[call.replace("deploy", "refuse")] = loop.kill

    def forget() -> None:
        loop.platform.hooks.clear()
        loop.platform.after.clear()

    worklog = gone_on(loop, forget)
    assert end_of(worklog, loop) == expected
    assert deploys_of(loop) == deploys_of(undisturbed)


def test_killed_again_and_again_it_still_comes_to_its_end(tmp_path: Path) -> None:
    undisturbed = made(mended, tmp_path / "whole")
    expected = end_of(undisturbed.run(), undisturbed)
    loop = made(mended, tmp_path / "killed")
    living = [3]

    def at(_: Event) -> None:
        living[0] -= 1
        if living[0] == 0:
            loop.kill()

    loop.at = at
    with pytest.raises(Killed):
        loop.run()
    for _ in range(100):
        # Every process writes a little more than the one before it.
        living[0] = 4 + len(list(read(loop.path))) // 12
        try:
            worklog = loop.resume()
        except Killed:
            continue
        break
    else:
        pytest.fail("it never came to its end")
    assert len(worklog.resumed) > 5
    assert end_of(worklog, loop) == expected
    assert deploys_of(loop) == deploys_of(undisturbed)


@pytest.mark.parametrize("signal", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("state", AFTER_PREFLIGHT)
def test_an_interrupted_run_is_gone_on_with_in_a_new_cycle(
    tmp_path: Path, state: State, signal: str
) -> None:
    loop = Loop(tmp_path, max_cycles=1)
    loop.when_entered(state, lambda: loop.stop.stop(signal))
    loop.run()
    spared(loop)
    loop.at = lambda _: None
    worklog = loop.resume()
    assert worklog.ended is not None
    assert worklog.ended.verdict is Verdict.GREEN
    assert [cycle.number for cycle in worklog.cycles] == [1, 2]
    assert [cycle.number for cycle in worklog.counted_cycles] == [2], "it said nothing"
    assert [resumed.after for resumed in worklog.resumed] == ["interrupted"]


def test_killed_while_it_put_back_after_a_signal_it_does_so_and_begins_anew(
    tmp_path: Path,
) -> None:
    loop = Loop(tmp_path)
    loop.when_entered(State.CONFIRM, lambda: loop.stop.stop("SIGINT"))
    loop.platform.hooks["route chat chat-old"] = loop.kill
    worklog = gone_on(loop, loop.platform.hooks.clear)
    assert worklog.ended is not None
    assert worklog.ended.verdict is Verdict.GREEN
    assert [cycle.number for cycle in worklog.cycles] == [1, 2]
    assert path_of(worklog.cycles[0])[-1] == (State.SETTLE, OutcomeKind.INTERRUPTED)
    assert loop.platform.traffic("chat") == {"chat-new-2": 100}


def writes_elsewhere(loop: Loop) -> None:
    loop.platform.touch("chat")


def moves_traffic(loop: Loop) -> None:
    loop.platform.move("chat", {"stranger": 100})


@pytest.mark.parametrize("state", AFTER_PREFLIGHT[2:])
@pytest.mark.parametrize("stranger", [moves_traffic, writes_elsewhere])
def test_what_a_stranger_did_in_the_pause_is_left_alone(
    tmp_path: Path, state: State, stranger: Callable[[Loop], None]
) -> None:
    loop = Loop(tmp_path)
    loop.when_entered(state, loop.kill)
    ended = gone_on(loop, lambda: stranger(loop)).ended
    assert ended is not None
    assert (ended.exit_code, ended.stop_reason) == (3, StopReason.ENVIRONMENT_MOVED)
    promoted = ["route chat chat-new=100"] if state is State.CONFIRM else []
    assert loop.platform.effects(*EFFECTS) == ["deploy chat none", *promoted]


def test_a_restore_that_was_killed_does_not_overwrite_a_strangers_traffic(tmp_path: Path) -> None:
    loop = red(tmp_path)
    loop.when_entered(State.SETTLE, loop.kill)
    ended = gone_on(loop, lambda: moves_traffic(loop)).ended
    assert ended is not None
    assert (ended.exit_code, ended.stop_reason) == (3, StopReason.ENVIRONMENT_MOVED)
    assert loop.platform.effects(*EFFECTS) == ["deploy chat none"]


def test_what_was_deployed_and_is_gone_is_deployed_again(tmp_path: Path) -> None:
    loop = Loop(tmp_path)
    loop.when_entered(State.VERIFY, loop.kill)

    def reboot() -> None:
        loop.platform.states["chat"] = None

    ended = gone_on(loop, reboot).ended
    assert ended is not None
    assert ended.verdict is Verdict.GREEN
    assert loop.platform.traffic("chat") == {"chat-new-2": 100}


def test_while_the_platform_cannot_tell_nothing_is_deployed_twice(tmp_path: Path) -> None:
    loop = Loop(tmp_path)
    loop.platform.after["deploy"] = loop.kill

    def silent() -> None:
        loop.platform.after.clear()
        loop.platform.unsure = 2

    ended = gone_on(loop, silent).ended
    assert ended is not None
    assert ended.verdict is Verdict.GREEN
    assert deploys_of(loop) == {"chat": 1}
    assert len(loop.platform.effects("find")) == 3


def test_without_the_lease_a_killed_run_stays_as_it_is(tmp_path: Path) -> None:
    loop = Loop(tmp_path)
    loop.when_entered(State.VERIFY, loop.kill)
    with pytest.raises(Killed):
        loop.run()
    loop.leases.taken_by("run-8")
    before = loop.path.read_bytes(), loop.platform.effects(*EFFECTS)
    with pytest.raises(HeldByOther, match="run-8"):
        loop.resume()
    assert (loop.path.read_bytes(), loop.platform.effects(*EFFECTS)) == before


@pytest.mark.parametrize("make", [green, red], ids=lambda make: make.__name__)
def test_a_run_that_has_ended_by_itself_is_not_gone_on_with(tmp_path: Path, make: Make) -> None:
    loop = make(tmp_path)
    loop.run()
    before = loop.path.read_bytes()
    with pytest.raises(UsageError) as refused:
        loop.resume()
    assert "has ended" in refused.value.problems[0].message
    assert loop.path.read_bytes() == before


@pytest.mark.parametrize("torn", [b"", b"{", b'{"seq":99,"at":"2025', b"\xff\xfe"])
def test_a_line_that_was_torn_by_the_kill_is_passed_over(tmp_path: Path, torn: bytes) -> None:
    loop = Loop(tmp_path)
    loop.when_entered(State.VERIFY, loop.kill)

    def tear() -> None:
        with loop.path.open("ab") as file:
            file.write(torn)

    ended = gone_on(loop, tear).ended
    assert ended is not None
    assert ended.verdict is Verdict.GREEN


def test_only_the_time_that_it_ran_counts_for_its_deadline(tmp_path: Path) -> None:
    loop = Loop(tmp_path)
    loop.when_entered(State.VERIFY, loop.kill)
    with pytest.raises(Killed):
        loop.run()
    killed_after = loop.journal.fold.snapshot().ran_s
    loop.at = lambda _: None
    worklog = loop.resume()
    assert worklog.ended is not None
    resumed = next(e for e in loop.events if isinstance(e.payload, RunResumed))
    assert killed_after <= resumed.ran <= worklog.ended.duration_s <= worklog.ran_s


def test_a_run_whose_time_is_up_is_put_back_when_it_is_gone_on_with(tmp_path: Path) -> None:
    loop = Loop(tmp_path)
    loop.when_entered(State.CONFIRM, loop.kill)
    with pytest.raises(Killed):
        loop.run()
    loop.at, loop.deadline_s = (lambda _: None), 0.0
    ended = loop.resume().ended
    assert ended is not None
    assert (ended.stop_reason, ended.restored) == (StopReason.DEADLINE, "done")
    spared(loop)


def test_a_suite_that_was_killed_is_run_whole_again_and_counted_once(tmp_path: Path) -> None:
    tests = tmp_path / "tests"
    tests.mkdir()
    suites = [a_suite(cwd=tests), a_suite("p2", Priority.P2, cwd=tests)]
    loop = Loop(tmp_path, suites=suites)
    loop.suite.cases["p2"] = [a_case("test_a"), a_case("test_b")]
    loop.suite.after["run p2"] = loop.kill
    worklog = gone_on(loop, loop.suite.after.clear)
    assert worklog.last is not None
    assert loop.suite.effects("run") == ["run p1", "run p2", "run p2"], "p1 had ended"
    assert len(worklog.last.suites["p2"].cases) == 2
    assert worklog.last.suites["p1"].judgement is not None


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_remedy_that_was_killed_is_taken_up_or_run_again(tmp_path: Path, when: str) -> None:
    loop = mended(tmp_path)
    mend = loop.command.after["run"]

    def mend_and_die() -> None:
        mend()
        loop.kill()

    if when == "before":
        loop.command.hooks["run"] = loop.kill
    else:
        loop.command.after["run"] = mend_and_die
    worklog = gone_on(loop, loop.command.hooks.clear)
    assert worklog.ended is not None
    assert worklog.ended.verdict is Verdict.GREEN
    assert len(loop.command.effects("run")) == (2 if when == "before" else 1)
    remedy = worklog.cycles[0].remedy
    assert remedy is not None
    assert (remedy.result, remedy.changed_source) == ("done", True)
