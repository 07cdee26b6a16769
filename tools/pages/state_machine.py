"""`docs/state-machine.md`, from the table of the machine."""

from __future__ import annotations

from loopctl.machine.transitions import TRANSITIONS
from loopctl.model.state import OutcomeKind, State

_INTRO = """\
# The state machine

A run walks this table from `preflight` to `green` or `stopped`. The words on an arrow are the
outcomes that lead along it; an outcome without an arrow is an error that names the state and the
outcome. The path on which all is well is `preflight → build → deploy → health → verify → promote →
confirm → green`. Anything else first keeps the evidence (`collect`), then puts back what it changed
(`settle`), and only then asks why (`diagnose`) and what to do (`remediate`).

![Every state of a run, and the outcomes that lead from one to another](state-machine.svg)

The same as a table: the state on the left, the outcome on top, and where that leads.

"""

_END = """
The table is `src/loopctl/machine/transitions.py`; `make docs` makes page and drawing of it.
"""


def page() -> str:
    """The whole page."""
    kinds = [kind for kind in OutcomeKind if any(used is kind for _, used in TRANSITIONS)]
    head = "".join(f" {kind.value} |" for kind in kinds)
    rows = [_row(state, kinds) for state in State if not state.is_end]
    table = "\n".join([f"| state |{head}", "|---|" + "---|" * len(kinds), *rows])
    return f"{_INTRO}{table}\n{_END}"


def _row(state: State, kinds: list[OutcomeKind]) -> str:
    cells = [TRANSITIONS.get((state, kind)) for kind in kinds]
    shown = "".join(f" {to.value if to else ''} |" for to in cells)
    return f"| **{state.value}** |{shown}"
