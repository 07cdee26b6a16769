"""Where a remedy leads: to the stage that the next cycle begins with, or to the loop's end."""

from __future__ import annotations

from collections.abc import Sequence

from loopctl.journal.store import Journal
from loopctl.journal.worklog import CycleRecord
from loopctl.model.events import Intent, RemedyDecided, Result
from loopctl.model.outcome import Outcome
from loopctl.model.state import OutcomeKind, State
from loopctl.process import Stop
from loopctl.stages.remedy_choice import Choice
from loopctl.stages.remedy_run import Applied


def going_round(choice: Choice, journal: Journal, stop: Stop) -> Applied:
    """A remedy that is nothing but going round again; it is counted by its intent."""
    key = f"{journal.cycle}/{choice.rule}"
    cycle = journal.fold.cycle()
    if cycle.remedy_begun is None:
        detail = {"rule": choice.rule, "action": choice.action}
        journal.append(Intent("remedy", key, detail))
    if choice.pause_s:
        stop.wait(choice.pause_s)
    journal.append(Result("remedy", key, ok=True))
    paused = f", after {choice.pause_s:g} s" if choice.pause_s else ""
    return Applied("done", f"{choice.detail}{paused}")


def led_to(decided: RemedyDecided, cycle: CycleRecord) -> Outcome:
    """Where a remedy that was done leads; the end of the loop where it says so, or none was."""
    if decided.result != "done" or decided.ends is not None:
        return Outcome(OutcomeKind.FAILED, f"{decided.action}: {decided.detail}")
    same_images = decided.action in ("retry", "raise-memory")
    go = _entry_of_retry(cycle) if same_images else OutcomeKind.GO_BUILD
    return Outcome(go, f"{decided.action}: {decided.detail}")


_IMAGES_ARE_SOUND = frozenset({State.DEPLOY, State.HEALTH, State.VERIFY})


def _entry_of_retry(cycle: CycleRecord) -> OutcomeKind:
    """A retry uses the images that are there, unless they are what failed."""
    failed = cycle.failed_stage
    if failed is not None and failed.stage is State.VERIFY and not _deployed(cycle):
        return OutcomeKind.GO_VERIFY  # a run --from verify, which tests what serves
    built: Sequence[bool] = [
        s.proof is not None and s.proof.holds for s in cycle.services.values() if s.source
    ]
    sound = failed is not None and failed.stage in _IMAGES_ARE_SOUND and bool(built) and all(built)
    return OutcomeKind.GO_DEPLOY if sound else OutcomeKind.GO_BUILD


def _deployed(cycle: CycleRecord) -> bool:
    return any(service.revision is not None for service in cycle.services.values())
