"""Back to the last verified revision: further than this run, never to a guess."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from loopctl.errors import LoopctlError, Stopped
from loopctl.journal.commands import Commands
from loopctl.model.artifact import ServiceState
from loopctl.ports.leases import Held
from loopctl.ports.platform import Absent, Platform, PlatformError
from loopctl.process import Stop
from loopctl.stages.routing import require
from loopctl.stages.traffic import said, shares

Verified = Mapping[str, Sequence[str]]
"""The revisions that green runs have verified, by service, the newest first."""


@dataclass(frozen=True, slots=True)
class Move:
    """What going back means for one service. `want` is None when it serves what is verified."""

    service: str
    now: Mapping[str, int]
    want: Mapping[str, int] | None

    def __str__(self) -> str:
        if self.want is None:
            return f"{self.service} serves {said(self.now)}, verified already"
        return f"{self.service} from {said(self.now)} to {said(self.want)}"


class NoWayBackError(PlatformError):
    """A service has no verified revision to go back to, for certain."""


def moves_back(
    services: Sequence[str],
    platform: Platform,
    verified: Verified,
    commands: Commands,
    stop: Stop,
) -> tuple[Move, ...]:
    """What a rollback would do, the last service first; writes nothing.

    Raises `NoWayBackError` when a service has no verified revision to go back to, all or none go;
    `PlatformError` when that cannot be told.
    """
    return tuple(
        _move(name, platform, verified.get(name, ()), commands, stop) for name in reversed(services)
    )


def mended_by(
    services: Sequence[str],
    platform: Platform,
    verified: Callable[[], Verified],
    commands: Commands,
    stop: Stop,
) -> str:
    """The command by which a person puts back what SETTLE could not.

    A rollback; where that has nothing to go back to, a new run. Writes nothing, raises nothing.
    """
    try:
        moves_back(services, platform, verified(), commands, stop)
    except NoWayBackError:
        return commands.run_anew()
    except (LoopctlError, Stopped):
        # What cannot be told now a rollback may find when the person asks for it.
        return commands.rollback()
    return commands.rollback()


def _move(
    service: str, platform: Platform, verified: Sequence[str], commands: Commands, stop: Stop
) -> Move:
    state = platform.observe(service, stop)
    if isinstance(state, Absent):
        raise NoWayBackError(
            f"{service} is not deployed, there is nothing to go back to",
            where=service,
            hint=f"deploy it: {commands.run_anew()}",
        )
    now = shares(state)
    if now and now.keys() <= set(verified):
        return Move(service, now, None)
    there = next((name for name in verified if state.revision(name) is not None), None)
    if there is None:
        raise NoWayBackError(
            f"no verified revision of {service} is left to go back to",
            where=service,
            hint=f"only a green run of the whole loop verifies one: {commands.run()}",
        )
    return Move(service, now, {there: 100})


def go_back(
    move: Move, platform: Platform, held: Callable[[], Held], stop: Stop
) -> ServiceState | None:
    """Send the traffic there; the state as read back, None when there was nothing to do.

    Raises `PlatformError` when the traffic did not go where it should.
    """
    if move.want is None:
        return None
    after = platform.route(move.service, move.want, held(), stop)
    require(after, move.want)
    return after
