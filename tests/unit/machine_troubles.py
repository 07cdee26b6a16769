"""What can befall a process of a run, and what must be so whatever befell it."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from machine_rig import Play
from scripted import Killed

from loopctl.journal.worklog import Worklog
from loopctl.machine.transitions import TRANSITIONS
from loopctl.model.events import Event, RunEnded, RunResumed, StageEntered, StageFinished
from loopctl.model.finding import FaultKind
from loopctl.model.state import OutcomeKind as Kind
from loopctl.model.state import State, Verdict

KILLS = ("kill at event", "kill before effect", "kill after effect")
REST = ("SIGINT", "SIGTERM", "deadline", "lease", "disk", "stranger moves", "stranger writes")


@dataclass(frozen=True)
class Trouble:
    """`when` counts the events of a process since it entered `stage` for the first time.

    Where it is killed amid an effect, its effects are counted.
    """

    what: str
    stage: State
    when: int
    service: str


class Strangers:
    """Who else writes to the services; `base` is the traffic that is not the run's to change."""

    def __init__(self, play: Play) -> None:
        self._platform = play.platform
        self.base = {name: self._platform.traffic(name) for name in self._platform.states}
        self._number = itertools.count(1)

    def act(self, what: str, service: str) -> None:
        """One of them moves the traffic, or writes without that."""
        if what == "stranger moves":
            self.base[service] = {f"stranger-{next(self._number)}": 100}
            self._platform.move(service, self.base[service])
        else:
            self._platform.touch(service)


class Process:
    """One process of a run, and the troubles that it meets."""

    def __init__(
        self,
        play: Play,
        troubles: Sequence[Trouble],
        strangers: Strangers,
        fill: Callable[[], None],
    ) -> None:
        self._play = play
        self._troubles = troubles
        self._strangers = strangers
        self._fill = fill
        self._since: Counter[State] = Counter()
        self._effects = 0
        self.ended: Worklog | None = None
        self.died_in_a_write = False
        self.met: set[str] = set()
        self.untouched: list[int] = []
        """The number of effects after which there must be no other."""
        self.lost_too_early = False
        """Whether the lease was lost before the last stage had ended."""
        self._done = False

    def live(self) -> None:
        """To the end of the run, or its own."""
        self._play.at, self._play.platform.at_effect = self._at, self._at_effect
        try:
            self.ended = self._play.process()
        except Killed:
            worklog = self._play.journal.fold.snapshot()
            self.ended = None if worklog.ended is None else worklog

    def _at(self, event: Event) -> None:
        self._since.update(list(self._since))
        if isinstance(event.payload, StageEntered) and event.payload.stage not in self._since:
            self._since[event.payload.stage] = 1
        if isinstance(event.payload, StageFinished):
            self._done = event.payload.to.is_end
            if event.payload.kind is Kind.MOVED:
                self.untouched.append(self._play.platform.count)
        for trouble in self._troubles:
            is_now = self._since.get(trouble.stage) == trouble.when
            if is_now and not trouble.what.endswith("effect"):
                self._befall(trouble, event)

    def _at_effect(self, side: Literal["before", "after"]) -> None:
        self._effects += side == "before"
        for trouble in self._troubles:
            if trouble.what == f"kill {side} effect" and trouble.when % 8 == self._effects:
                self._play.kill()

    def _befall(self, trouble: Trouble, event: Event) -> None:
        play = self._play
        match trouble.what:
            case "kill at event":
                self.died_in_a_write = True
                play.kill()
            case "SIGINT" | "SIGTERM":
                play.stop.stop(trouble.what)
            case "deadline":
                play.stop.expire()
            case "lease":
                if isinstance(event.payload, RunEnded) or play.lease is None:
                    return
                play.lose_the_lease()
                self.lost_too_early = not self._done
                self.untouched.append(play.platform.count)
            case "disk":
                self._fill()
            case _:
                # At any other moment nobody could tell: there is no time between look and write.
                if not isinstance(event.payload, StageEntered):
                    return
                self._strangers.act(trouble.what, trouble.service)
        self.met.add(trouble.what)


OFF_THE_PATH = (Kind.FAILED, Kind.ERRORED, Kind.UNPROVEN, Kind.INTERRUPTED, Kind.MOVED)


def may_be_begun_anew(end: StageFinished) -> bool:
    """Whether a cycle that left the path like this asks for another without any remedy."""
    disk = any(fault.kind is FaultKind.STORAGE for fault in end.faults)
    return end.kind is Kind.INTERRUPTED or end.stage is State.PREFLIGHT or disk


def check_steps(events: Sequence[Event]) -> None:
    """Every step is a row of the table, and leads where the next one is."""
    here: set[State] = {State.PREFLIGHT}
    entered: State | None = None
    # How each cycle left the green path.
    ends: dict[int, StageFinished] = {}
    for event in events:
        match event.payload:
            case StageEntered(stage=stage):
                assert entered is None
                assert stage in here or stage is State.PREFLIGHT, event
                if stage is State.PREFLIGHT:
                    earlier = ends.get(event.cycle - 1)
                    assert earlier is None or may_be_begun_anew(earlier), event
                entered = stage
            case StageFinished(stage=stage, kind=kind, to=to):
                assert stage is entered, event
                assert TRANSITIONS[stage, kind] is to
                here, entered = {to}, None
                if kind in OFF_THE_PATH:
                    ends.setdefault(event.cycle, event.payload)
            case RunResumed(stage=stage):
                # What was deployed may be gone: then that is where it goes on.
                here, entered = {stage, State.DEPLOY}, None
            case RunEnded(verdict=verdict):
                assert entered is None, event
                assert (verdict is Verdict.GREEN) <= (here <= {State.GREEN, State.DEPLOY})
            case _:
                pass
