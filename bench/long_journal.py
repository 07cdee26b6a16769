"""A long journal, folded in a process of its own, as `loopctl show` does.

`python -m bench.long_journal PATH` prints two numbers: the seconds that reading, parsing, checking
and folding the file takes, and those of the fold of its events alone.
"""

from __future__ import annotations

import sys
from pathlib import Path

from bench.table import timed
from loopctl.journal.fold import fold
from loopctl.journal.tail import read


def main(path: Path) -> None:
    """Read it once to have its classes made, which every reader does, then measure."""
    next(iter(read(path)))
    whole = timed(lambda: fold(read(path)))
    events = list(read(path))
    print(whole, timed(lambda: fold(events)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
