"""Prints the fifteen lines."""

from __future__ import annotations

from typing import TextIO, assert_never

from loopctl.console.output import Output
from loopctl.inert import for_ci
from loopctl.journal.brief import Brief, Line, Role
from loopctl.model.state import Verdict

_RESET = "\x1b[0m"
_BOLD = "\x1b[1m"
_GREEN = "\x1b[1;32m"
_RED = "\x1b[1;31m"
_YELLOW = "\x1b[1;33m"


def print_brief(brief: Brief, stream: TextIO, *, colour: bool, in_ci: bool = False) -> None:
    """One line each; with `colour` the verdict stands out, and so does a mending command.

    `in_ci`: what a CI system would obey is disarmed. On a terminal it stays as it is, to be copied.
    """
    output = Output(stream)
    for line in brief.lines:
        text = _coloured(line, brief.verdict) if colour else str(line)
        output.line(for_ci(text) if in_ci else text)


def _coloured(line: Line, verdict: Verdict | None) -> str:
    label = f"{_BOLD}{line.role.value.upper()}:{_RESET}"
    match line.role:
        case Role.VERDICT:
            return f"{label} {_verdict_colour(verdict)}{line.text}{_RESET}"
        case Role.MEND:
            return f"{_RED}MEND: {line.text}{_RESET}"
        case _:
            return f"{label} {line.text}"


def _verdict_colour(verdict: Verdict | None) -> str:
    match verdict:
        case Verdict.GREEN:
            return _GREEN
        case Verdict.RED | Verdict.UNDELIVERED | Verdict.INTERNAL:
            return _RED
        case Verdict.UNPROVEN | Verdict.PREFLIGHT | Verdict.LOCKED | Verdict.INTERRUPTED | None:
            return _YELLOW
        case _:
            assert_never(verdict)
