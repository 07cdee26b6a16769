"""Writes the generated parts of `docs/`; `make docs` runs it, a test keeps them in step."""

from __future__ import annotations

from pathlib import Path

from loopctl.machine.transitions import mermaid

STATE_MACHINE = Path(__file__).with_name("state-machine.md")

_INTRO = """\
# The state machine

A run walks this table from `preflight` to `green` or `stopped`. The words on an arrow are the
outcomes that lead along it; an outcome without an arrow is an error that names the state and the
outcome. The path on which all is well is `preflight → build → deploy → health → verify → promote →
confirm → green`. Anything else first keeps the evidence (`collect`), then puts back what it changed
(`settle`), and only then asks why (`diagnose`) and what to do (`remediate`).

The table is `src/loopctl/machine/transitions.py`; `make docs` makes this page from it.

"""


def state_machine() -> str:
    """The whole page."""
    return f"{_INTRO}```mermaid\n{mermaid()}```\n"


if __name__ == "__main__":
    STATE_MACHINE.write_text(state_machine(), encoding="utf-8")
