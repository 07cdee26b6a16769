"""What to type after a look: the safe step first, and one that works without loopctl. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping

from loopctl.inert import for_terminal
from loopctl.journal.commands import Commands
from loopctl.stages.survey import Surveyed
from loopctl.stages.survey_looked import Looked

_MOST = 5
_WORST = {"unhealthy": 0, "absent": 1, "unknown": 2, "healthy": 3}

ByHand = Callable[[str, str | None], str | None]
"""The command that shows a service's log without loopctl, of one revision where it is known."""


def next_commands(
    surveyed: Surveyed,
    commands: Commands,
    health_paths: Mapping[str, str],
    by_hand: ByHand,
    latest_run: str | None,
) -> tuple[str, ...]:
    """At most five. `latest_run` is the newest run of the loop on the environment."""
    worst = min(surveyed.services.values(), key=lambda each: _WORST[each.look.state], default=None)
    if worst is None:
        return (commands.run(),)
    look = worst.look
    said: list[str | None] = []
    if goes_back(surveyed):
        said.append(commands.rollback())
    if look.state == "unknown":
        said.append(commands.doctor())
    said += [_mend(worst), by_hand(look.name, _telling(worst)) if look.state != "absent" else None]
    if look.url:
        path = health_paths.get(look.name, "/")
        said.append(f"curl -i {shlex.quote(for_terminal(look.url.rstrip('/') + path))}")
    if latest_run is not None and look.traffic and look.state != "healthy":
        said.append(f"{commands.logs(latest_run, look.name)} --follow")
    if surveyed.held is not None:
        said.append(commands.watch(surveyed.held.run_id))
    elif look.state != "healthy" or not look.verified:
        said.append(commands.run_anew() if look.state == "absent" else commands.run())
    return tuple(dict.fromkeys(each for each in said if each))[:_MOST]


def goes_back(surveyed: Surveyed) -> bool:
    """Whether a rollback is the safe step: what is broken is unverified, and a good one is there.

    Never while a run is going on, which puts back by itself what it has changed.
    """
    if surveyed.held is not None:
        return False
    return any(_goes_back(looked) for looked in surveyed.services.values())


def _goes_back(looked: Looked) -> bool:
    look, state = looked.look, looked.state
    if look.state != "unhealthy" or state is None or look.traffic.keys() <= look.verified:
        return False
    return any(state.revision(name) is not None for name in looked.known_good)


def _mend(looked: Looked) -> str | None:
    return next((fault.mend for fault in looked.look.faults if fault.mend), None)


def _telling(looked: Looked) -> str | None:
    """The revision whose log tells most: a dead one, else the one with most of the traffic."""
    traffic = looked.look.traffic
    dead = [name for name in looked.dead if name in traffic] or list(looked.dead)
    serving = sorted(traffic, key=lambda name: -traffic[name])
    return next(iter([*dead, *serving]), None)
