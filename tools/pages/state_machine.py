"""`docs/state-machine.md`, from the table of the machine."""

from __future__ import annotations

from loopctl.machine.transitions import mermaid

_INTRO = """\
# The state machine

A run walks this table from `preflight` to `green` or `stopped`. The words on an arrow are the
outcomes that lead along it; an outcome without an arrow is an error that names the state and the
outcome. The path on which all is well is `preflight → build → deploy → health → verify → promote →
confirm → green`. Anything else first keeps the evidence (`collect`), then puts back what it changed
(`settle`), and only then asks why (`diagnose`) and what to do (`remediate`).

The table is `src/loopctl/machine/transitions.py`; `make docs` makes this page from it.

"""


def page() -> str:
    """The whole page."""
    return f"{_INTRO}```mermaid\n{mermaid()}```\n"
