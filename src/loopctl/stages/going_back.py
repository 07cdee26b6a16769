"""The remedy `rollback`: back to what was verified, and a look whether that is healthy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from loopctl.errors import Stopped
from loopctl.inert import one_line
from loopctl.journal.commands import Commands
from loopctl.journal.mending import Shown
from loopctl.journal.store import Journal
from loopctl.model.artifact import Revision, ServiceState
from loopctl.model.events import Intent, Routed
from loopctl.model.outcome import Outcome
from loopctl.model.plan import ServiceSpec
from loopctl.model.state import StopReason
from loopctl.ports.history import RunRecord
from loopctl.ports.identity import IdentityError
from loopctl.ports.leases import Held
from loopctl.ports.platform import Absent, Platform, PlatformError
from loopctl.ports.probe import Answer, Prober
from loopctl.process import Stop
from loopctl.stages.callers import Callers
from loopctl.stages.health_check import Asked, check_answer, quoted
from loopctl.stages.migrations import Known, schema_change
from loopctl.stages.never import Asked as AskedFor
from loopctl.stages.never import never
from loopctl.stages.probing import ask
from loopctl.stages.remedy_choice import Choice
from loopctl.stages.remedy_run import Applied
from loopctl.stages.rollback import Move, NoWayBackError, Verified, go_back, moves_back
from loopctl.stages.traffic import as_moved, traffic_moved

_LOOK_S: Final = 60.0
_PAUSE_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class WayBack:
    """What a rollback is done with. `services` are those that the run deploys."""

    run_id: str
    services: Sequence[ServiceSpec]
    commands: Commands
    platform: Platform
    verified: Callable[[], Verified]
    held: Callable[[], Held]
    prober: Prober
    callers: Callers


class RollBack:
    """Sends all traffic to the last verified revisions, and asks them how they are."""

    def __init__(self, way: WayBack) -> None:
        self._way = way

    def moved(self, journal: Journal, stop: Stop) -> Outcome | None:
        """What a stranger did since the cycle was settled, as in the pause before a resume."""
        cycle = journal.fold.cycle()
        for spec in self._way.services:
            state = self._way.platform.observe(spec.name, stop)
            if isinstance(state, Absent):
                continue
            if (moved := traffic_moved(cycle.services[spec.name], state)) is not None:
                return as_moved(spec.name, moved)
        return None

    def apply(
        self,
        choice: Choice,
        records: Sequence[RunRecord] | None,
        journal: Journal,
        stop: Stop,
    ) -> Applied:
        """Do it, unless it must not be; `records` are the earlier runs', None: not to be read."""
        intent = Intent(
            "remedy", f"{journal.cycle}/{choice.rule}", {"rule": choice.rule, "action": "rollback"}
        )
        way = self._way
        names = [spec.name for spec in way.services]
        try:
            moves = moves_back(names, way.platform, way.verified(), way.commands, stop)
            schema = self._schema(moves, records, journal, stop)
        except NoWayBackError as error:
            return Applied("failed", str(never(AskedFor("rollback", unverified=error.what))))
        except PlatformError as error:
            return Applied("failed", error.what)
        if (forbidden := never(AskedFor("rollback", schema=schema))) is not None:
            return Applied("proposed", f"{choice.detail}; not done by itself: {forbidden}")
        try:
            with journal.effect(intent):
                for move in moves:
                    self._send(move, journal, stop)
        except PlatformError as error:
            return Applied("failed", error.what)
        shown = self._look(moves, stop)
        detail = "; ".join(map(str, moves))
        done = Applied("done", detail, ends=StopReason.ROLLED_BACK)
        return replace(done, mended=shown.mended, seen=shown.seen)

    def _send(self, move: Move, journal: Journal, stop: Stop) -> None:
        want = dict(move.want or {})
        if not want:
            return
        key = f"{journal.cycle}/{move.service}/rollback"
        with journal.effect(Intent("route", key, want), service=move.service):
            state = go_back(move, self._way.platform, self._way.held, stop)
        if state is not None:
            journal.append(Routed(state, "rollback"), service=move.service)

    def _schema(
        self,
        moves: Sequence[Move],
        records: Sequence[RunRecord] | None,
        journal: Journal,
        stop: Stop,
    ) -> str | None:
        """Why one of the moves may lead over a change of a schema."""
        wanted = {move.service: move for move in moves if move.want is not None}
        for spec in self._way.services:
            move = wanted.get(spec.name)
            if move is None or not spec.migrations:
                continue
            known = Known(self._way.run_id, journal.fold.snapshot().cycles, records)
            target = next(iter(move.want or {}))
            serving = self._serving(move, stop)
            if (why := schema_change(spec.name, target, serving, known)) is not None:
                return why
        return None

    def _serving(self, move: Move, stop: Stop) -> list[Revision | str]:
        state = self._way.platform.observe(move.service, stop)
        if not isinstance(state, ServiceState):
            return list(move.now)
        return [state.revision(name) or name for name in move.now]

    def _look(self, moves: Sequence[Move], stop: Stop) -> Shown:
        """Whether users are met by something healthy now."""
        specs = {spec.name: spec for spec in self._way.services}
        shown = [self._asked(specs[move.service], move, stop) for move in moves]
        wrong = next((one for one in shown if one.mended is not True), None)
        return wrong or Shown(mended=True, seen="; ".join(one.seen for one in shown))

    def _asked(self, spec: ServiceSpec, move: Move, stop: Stop) -> Shown:
        met = ", ".join(one_line(name, 63) for name in (move.want or move.now))
        said = "nobody asked it"
        try:
            with stop.child(min(_LOOK_S, spec.health.timeout_s)) as limited:
                while True:
                    healthy, said = self._answer(spec, limited)
                    if healthy:
                        return Shown(mended=True, seen=f"{met} is healthy ({said})")
                    limited.wait(_PAUSE_S)
        except Stopped:
            return Shown(mended=False, seen=f"{met} serves and is not healthy: {said}")
        except (PlatformError, IdentityError) as error:
            return Shown(None, f"{met} could not be asked: {error.what}")

    def _answer(self, spec: ServiceSpec, stop: Stop) -> tuple[bool, str]:
        state = self._way.platform.observe(spec.name, stop)
        if isinstance(state, Absent):
            return False, "it is not there"
        caller = self._way.callers.of(spec, stop)
        answer = ask(self._way.prober, state.url, spec.health, stop, caller)
        fault = check_answer(
            answer, Asked(spec.name, spec.health, cold=True, caller=caller, url=state.url)
        )
        if fault is None and isinstance(answer, Answer):
            return True, f"HTTP {answer.status} in {answer.latency_s:.3f} s"
        return fault is None, one_line(fault.summary if fault else quoted(answer), 160)
