"""How one test ended, from what its phases did; `broken` is told from `failed` by who is at fault.

| what happened | status |
|---|---|
| set-up, call or tear-down raised, the service is at fault (`blame`) | failed |
| set-up, call or tear-down raised, the test is at fault | broken |
| a phase raised, and a hook of the suite reported it as passed | failed or broken, as above |
| passes though marked `xfail(strict=True)` | failed |
| skipped, or failed as `xfail` expects | skipped |
| an attempt failed, the last one passed (a rerun inside pytest) | flaky |
| no phase failed or skipped, and no call phase was reported | lost |
| anything else, a lax xpass too | passed |

The first phase that raised decides. `timeout` is not for here: only the process that watches a
test can tell it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from loopctl.evidence.blame import Blame, blame, short_type
from loopctl.model.evidence import CaseStatus, GradedCase, PhaseRecord, Raised, TestPhase

NOT_COLLECTED = "not collected: "
"""How the message of a case begins that stands for all tests of a module, or of a class."""

_LONGEST_MESSAGE = 500
# The exception itself shows as a tuple with an object in it; pytest's own text says it.
_NO_FIXTURE = re.compile(r"fixture '[^'\n]*' not found")


@dataclass(frozen=True, slots=True)
class Ending:
    """A status, the reason in words (None for a plain pass), and the phase that decided."""

    status: CaseStatus
    message: str | None = None
    decided_by: PhaseRecord | None = None


def stands_for_many(case: GradedCase) -> bool:
    """Whether it is no test but a place whose tests nobody has seen: no quarantine is for that."""
    return (case.message or "").startswith(NOT_COLLECTED)


def met_in(phase: PhaseRecord) -> bool:
    """Whether the phase reached a service under test, or a child of it may have."""
    spoke = any(c.target and c.failed is None for c in phase.contacts)
    # A mocked transport answers too, in the name of the target.
    answered = not phase.mocks and any(e.target and e.status is not None for e in phase.exchanges)
    return spoke or answered or bool(phase.children)


def status_of(phases: Sequence[PhaseRecord], *, met_before: bool = False) -> Ending:
    """How a test ended that ran these phases, in their order.

    `met_before`: the very same exception was raised earlier by a phase that met the target. A
    fixture of wider scope that fails once is not asked again: its error is only repeated.
    """
    last = last_attempt(phases)
    ended = _ending_of(last, met_before=met_before)
    earlier = phases[: len(phases) - len(last)]
    if ended.status is CaseStatus.PASSED and (bad := _first_failed(earlier)) is not None:
        return Ending(CaseStatus.FLAKY, f"passed when run again; before: {_said(bad)}", bad)
    return ended


def last_attempt(phases: Sequence[PhaseRecord]) -> Sequence[PhaseRecord]:
    """The phases since the last set-up: a plugin may run a test several times."""
    starts = [index for index, phase in enumerate(phases) if phase.phase is TestPhase.SETUP]
    return phases[starts[-1] :] if starts else phases


def _ending_of(phases: Sequence[PhaseRecord], *, met_before: bool) -> Ending:
    bad = _first_failed(phases)
    if bad is not None:
        return _failed(bad, met_before=met_before)
    skipped = next((phase for phase in phases if phase.outcome == "skipped"), None)
    if skipped is not None:
        return Ending(CaseStatus.SKIPPED, _skip_reason(skipped), skipped)
    if not any(phase.phase is TestPhase.CALL for phase in phases):
        return Ending(CaseStatus.LOST, "ended without a report of its call phase")
    xpass = next((phase for phase in phases if phase.wasxfail is not None), None)
    if xpass is not None:
        return Ending(CaseStatus.PASSED, f"passes though marked xfail: {xpass.wasxfail}", xpass)
    return Ending(CaseStatus.PASSED)


def _first_failed(phases: Sequence[PhaseRecord]) -> PhaseRecord | None:
    return next(
        (phase for phase in phases if phase.outcome == "failed" or _is_renamed(phase)), None
    )


def _is_renamed(phase: PhaseRecord) -> bool:
    """Whether the phase raised and is said to have passed: pytest itself never says so."""
    return phase.outcome == "passed" and phase.raised is not None


def _failed(phase: PhaseRecord, *, met_before: bool) -> Ending:
    if phase.raised is None:
        return Ending(CaseStatus.FAILED, _said(phase), phase)
    who, why = blame(
        phase.raised,
        in_call=phase.phase is TestPhase.CALL,
        met_target=met_before or met_in(phase),
    )
    place = {
        TestPhase.SETUP: " (in set-up)",
        TestPhase.CALL: "",
        TestPhase.TEARDOWN: " (in tear-down)",
    }
    status = CaseStatus.BROKEN if who is Blame.TEST else CaseStatus.FAILED
    lookup = _NO_FIXTURE.search(phase.longrepr or "")
    said = lookup[0] if lookup else first_line(phase.raised.message)
    message = f"{why}{place[phase.phase]}: {said}" if said else why
    if _is_renamed(phase):
        message += " (a hook of the suite, as in a conftest.py, reported it as passed)"
    return Ending(status, message, phase)


def _skip_reason(phase: PhaseRecord) -> str:
    if phase.wasxfail is not None:
        said = first_line(phase.raised.message) if phase.raised else ""
        return f"xfail: {phase.wasxfail}" + (f" ({said})" if said else "")
    return first_line(phase.raised.message) if phase.raised else _said(phase)


def _said(phase: PhaseRecord) -> str:
    """What a phase said of itself, in one line."""
    if phase.raised is not None:
        return described(phase.raised)
    lines = [line for line in (phase.longrepr or "").splitlines() if line.strip()]
    return lines[-1].strip()[:_LONGEST_MESSAGE] if lines else f"{phase.phase} {phase.outcome}"


def described(raised: Raised) -> str:
    """An exception in one line: its type and the first line of its message."""
    said = first_line(raised.message)
    return f"{short_type(raised)}: {said}" if said else short_type(raised)


def first_line(text: str) -> str:
    """The first line with anything on it, cut to what a table can hold."""
    return next((line.strip() for line in text.splitlines() if line.strip()), "")[:_LONGEST_MESSAGE]
