"""How a container ended, by the line that Cloud Run itself writes of it. Pure.

The lines: facts/cloud-run.md section 2.4. An adapter reads them from the API, an export from a
file.
"""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass
from typing import Final

from loopctl.model.finding import FaultKind

NO_COMMAND: Final = "127"
"""What a shell ends with when there is no such command; other platforms tell it, too."""

_EXIT: Final = re.compile(r"Container called exit\((?P<code>-?\d{1,9})\)")
_SIGNAL: Final = re.compile(r"(?:Container terminated on|Uncaught) signal:? (?P<signal>\d{1,9})\b")
_MEMORY: Final = re.compile(r"Memory limit of .{1,40} exceeded|using too much memory")
_COMMAND: Final = re.compile(r"Application exec likely failed|failed to resolve binary path")


@dataclass(frozen=True, slots=True)
class Ending:
    """How it ended: `words` say it behind the service's name, `value` is the telling number.

    Without `words` the line itself says it best.
    """

    kind: FaultKind
    words: str
    value: str | None = None


def ending_of(line: str) -> Ending | None:
    """What one line tells of the container's end; None where it tells nothing."""
    if (found := _EXIT.search(line)) is not None:
        code = found["code"]
        return Ending(FaultKind.EXIT_CODE, f"its process ended with exit code {code}", code)
    if (found := _SIGNAL.search(line)) is not None:
        killer = signal_name(int(found["signal"]))
        return Ending(FaultKind.SIGNAL, f"its process was killed by {killer}", killer)
    if _MEMORY.search(line):
        return Ending(FaultKind.OUT_OF_MEMORY, "")
    if _COMMAND.search(line):
        return Ending(FaultKind.NEVER_READY, "its command could not be run", NO_COMMAND)
    return None


def signal_name(number: int) -> str:
    """The name of a signal, `signal 77` for one that has none."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
