"""One reading of a generated log in a process of its own; prints seconds of the processor,
templates and peak MB.

`python -m bench.line_reading ours|plain|grep ENTRIES`: assembled, matched and grouped by
loopctl; grouped by the plainest masking there is; or only looked
through for errors. What generating costs is measured within and left out, as is
reading the catalogue.
"""

from __future__ import annotations

import json
import re
import resource
import sys
import time
from collections.abc import Callable, Iterator
from typing import Final

from bench.line_mix import blocks
from loopctl.model.logs import LogEntry
from loopctl.triage.baseline import Window
from loopctl.triage.loading import load_catalogue
from loopctl.triage.match import Matcher
from loopctl.triage.reading import Reading
from loopctl.triage.symptoms import ServiceLog

_MASK: Final = re.compile(r"0x[0-9a-f]+|\b[0-9a-f]{8,}\b|\d+(?:\.\d+)*")
_ERROR: Final = re.compile(r"error", re.IGNORECASE)


class _Source:
    """The entries, and how long they took to make."""

    def __init__(self, number: int) -> None:
        self._blocks = blocks(number)
        self.seconds = 0.0

    def entries(self) -> Iterator[LogEntry]:
        """Each once; a block at a time is made."""
        while True:
            began = time.process_time()
            block = next(self._blocks, None)
            self.seconds += time.process_time() - began
            if block is None:
                return
            yield from block


def _ours(source: _Source, matcher: Matcher) -> int:
    """As `diagnose` reads a log: the same call."""
    window = Window("chat", None)
    Reading(ServiceLog("chat", "logs/1/chat.jsonl", source.entries()), window, matcher).read()
    return len(window.ranked())


def _plain(source: _Source) -> int:
    """Masking alone: a traceback is as many templates as it has lines, JSON is text."""
    seen: dict[str, int] = {}
    for entry in source.entries():
        template = _MASK.sub("<n>", entry.text)
        seen[template] = seen.get(template, 0) + 1
    return len(seen)


def _grep(source: _Source) -> int:
    return sum(1 for entry in source.entries() if _ERROR.search(entry.text))


def main() -> None:
    """Read, and print what it took."""
    how, number = sys.argv[1], int(sys.argv[2])
    matcher = Matcher(load_catalogue())
    work: dict[str, Callable[[_Source], int]] = {
        "ours": lambda source: _ours(source, matcher),
        "plain": _plain,
        "grep": _grep,
    }
    source = _Source(number)
    began = time.process_time()
    found = work[how](source)
    seconds = time.process_time() - began - source.seconds
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "found": found, "peak_mb": peak}))


if __name__ == "__main__":
    main()
