"""The last telling lines that services of this machine say, read from what their host captures.

Only reads, and little of it at a time: whoever looks on must cost the run nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from loopctl.model.logs import LogEntry
from loopctl.platforms.host.rendezvous import Rendezvous
from loopctl.platforms.hosted.captures import log_lines
from loopctl.triage.levels import is_called_bad

_AT_ONCE: Final = 256 * 1024
"""Bytes of one log that are read at a time; what a flood has left behind them is passed over."""

_HEAD: Final = 100
_WARNING: Final = re.compile(r"\b(?:WARN|WARNING)\b(?![-_=/.]\w)|\blevel=\"?warn|\[warn(?:ing)?\]")


class LogTail:
    """Follows the captures of an environment's revisions from where they end at first."""

    def __init__(self, root: Path, environment: str, runs_dir: Path) -> None:
        self._logs = Rendezvous.of(root, environment, runs_dir).state / "logs"
        self._offsets: dict[Path, int] = {}

    def news(self, revisions: Mapping[str, str]) -> Iterator[LogEntry]:
        """What these revisions, by service, have said since the last call and is bad or a warning.

        All that a revision has said counts, where it is asked for the first time. Never raises:
        a log that cannot be read says nothing.
        """
        for service, revision in revisions.items():
            yield from self._telling(self._logs / service / f"{revision}.jsonl", service)

    def _telling(self, file: Path, service: str) -> Iterator[LogEntry]:
        try:
            size = file.stat().st_size
            begin = max(self._offsets.get(file, 0), size - _AT_ONCE)
            if size <= begin:
                return
            for line in log_lines(file, service, begin):
                self._offsets[file] = line.behind
                if is_telling(line.entry.text):
                    yield line.entry
                if line.behind >= size:
                    # What has come meanwhile is for the next look: a flood never ends.
                    return
        except OSError:
            return


def is_telling(text: str) -> bool:
    """Whether a line says of itself that something is wrong, or may be."""
    return _WARNING.search(text, 0, _HEAD) is not None or is_called_bad(text)
