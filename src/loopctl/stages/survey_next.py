"""What to type after a look: the safe step first, and one that works without loopctl. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

from loopctl.inert import for_terminal
from loopctl.journal.commands import Commands
from loopctl.model.finding import Finding
from loopctl.stages.finding_out import ByHand
from loopctl.stages.survey import Surveyed
from loopctl.stages.survey_looked import Looked

_MOST = 6
_WORST = {"unhealthy": 0, "absent": 1, "unknown": 2, "healthy": 3}


@dataclass(frozen=True, slots=True)
class Around:
    """What is known around a survey: the loop's commands, the paths of health checks by service.

    `latest_run` is the newest run of the loop on the environment, None where none is kept here.
    """

    commands: Commands
    health_paths: Mapping[str, str]
    by_hand: ByHand
    latest_run: str | None


def next_commands(
    surveyed: Surveyed, findings: Sequence[Finding], around: Around
) -> tuple[str, ...]:
    """At most six, about the service that is worst off."""
    commands, blamed = around.commands, frozenset(finding.service for finding in findings)
    worst = min(surveyed.services.values(), key=lambda each: _badness(each, blamed), default=None)
    if worst is None:
        return (commands.run(),)
    look = worst.look
    well = _is_well(worst, blamed)
    said = [commands.rollback()] if goes_back(surveyed, blamed) else []
    if look.state != "absent":
        said += [_mend(worst), around.by_hand(look.name, _telling(worst)) or ""]
    if look.state == "unknown" or worst.unknown:
        said.append(commands.doctor())
    if around.latest_run is not None and look.traffic and not well:
        said.append(f"{commands.logs(around.latest_run, look.name)} --follow")
    if surveyed.held is not None:
        said.append(commands.watch(surveyed.held.run_id))
    elif look.state == "absent":
        said.append(commands.run_anew())
    elif look.state != "unknown" and not (well and look.verified):
        said.append(commands.run())
    if look.url:
        path = around.health_paths.get(look.name, "/")
        said.append(f"curl -i {shlex.quote(for_terminal(look.url.rstrip('/') + path))}")
    return tuple(dict.fromkeys(each for each in said if each))[:_MOST]


def _badness(looked: Looked, blamed: Set[str | None]) -> tuple[int, bool]:
    return (_WORST[looked.look.state], _is_well(looked, blamed))


def _is_well(looked: Looked, blamed: Set[str | None]) -> bool:
    look = looked.look
    return look.state == "healthy" and not look.faults and look.name not in blamed


def goes_back(surveyed: Surveyed, blamed: Set[str | None]) -> bool:
    """Whether a rollback is the safe step: what is broken is unverified, and a good one is there.

    Never while a run is going on, which puts back by itself what it has changed.
    """
    if surveyed.held is not None:
        return False
    return any(_goes_back(looked, blamed) for looked in surveyed.services.values())


def _goes_back(looked: Looked, blamed: Set[str | None]) -> bool:
    look, state = looked.look, looked.state
    # What fails and takes no traffic harms nobody.
    broken = look.state == "unhealthy" or (look.name in blamed and not looked.dead)
    if not broken or state is None or look.traffic.keys() <= look.verified:
        return False
    return any(state.revision(name) is not None for name in looked.known_good)


def _mend(looked: Looked) -> str:
    return next((fault.mend for fault in looked.look.faults if fault.mend), "")


def _telling(looked: Looked) -> str | None:
    """The revision whose log tells most: a dead one, else the one with most of the traffic."""
    traffic = looked.look.traffic
    dead = [name for name in looked.dead if name in traffic] or list(looked.dead)
    serving = sorted(traffic, key=lambda name: -traffic[name])
    return next(iter([*dead, *serving]), None)
