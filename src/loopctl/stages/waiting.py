"""The remedy `wait`: a rollout that goes on is seen to its end, and nothing is begun beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from loopctl.errors import Stopped
from loopctl.journal.store import Journal
from loopctl.model.artifact import DeployKey
from loopctl.model.events import Intent, Result
from loopctl.model.plan import ServiceSpec
from loopctl.model.state import StopReason
from loopctl.ports.platform import Absent, Platform, PlatformError, Unknown
from loopctl.process import Stop
from loopctl.stages.remedy_choice import Choice
from loopctl.stages.remedy_run import Applied

LONGEST_S: Final = 600.0
ASK_AGAIN_S: Final = 1.0


def waited(
    choice: Choice,
    services: Sequence[ServiceSpec],
    platform: Platform,
    journal: Journal,
    stop: Stop,
) -> Applied:
    """Ask until no deployment of this cycle is under way any more, for ten minutes at the most."""
    key = f"{journal.cycle}/{choice.rule}"
    cycle = journal.fold.cycle()
    if cycle.remedy_begun is None:
        detail = {"rule": choice.rule, "action": choice.action}
        journal.append(Intent("remedy", key, detail))
    begun = [
        (spec.name, DeployKey.of(deploy_key))
        for spec in services
        if (deploy_key := cycle.services[spec.name].deploy_key) is not None
    ]
    try:
        with stop.child(LONGEST_S) as limited:
            said = [_seen_to_its_end(name, each, platform, limited) for name, each in begun]
    except Stopped:
        stop.remaining(0)
        journal.append(Result("remedy", key, ok=False))
        return Applied("failed", f"a rollout still goes on after {LONGEST_S:g} s")
    except PlatformError as error:
        journal.append(Result("remedy", key, ok=False))
        return Applied("failed", error.what)
    journal.append(Result("remedy", key, ok=True))
    seen = "; ".join(said) or "no deployment of this cycle was begun"
    return Applied(
        "done", f"nothing is under way any more: {seen}", ends=StopReason.NEEDS_HUMAN, mended=True
    )


def _seen_to_its_end(service: str, key: DeployKey, platform: Platform, stop: Stop) -> str:
    while isinstance(found := platform.find(key, stop), Unknown):
        stop.wait(ASK_AGAIN_S)
    state = "was discarded" if isinstance(found, Absent) else "is there"
    return f"what was deployed of {service} {state}"
