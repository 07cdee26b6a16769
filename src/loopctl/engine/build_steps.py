"""Which steps may come from a cache although the build asked for none.

Observed on engine 20.10 with `nocache=1`: every RUN, COPY and ADD is carried out again. Still
called cached are the base (`FROM`), what was uploaded (it is stored by content), the frontend, the
file of a remote ADD (asked for again, and the same), and a WORKDIR on top of nothing but the base:
an empty folder. A WORKDIR on top of a RUN is made again, and must be.
"""

from __future__ import annotations

import re
from typing import Final

_STEP: Final = re.compile(r"\[(?:(?P<stage>[^\]]*) )?(?P<at>\d+)/\d+\] (?:ONBUILD )?(?P<word>\w+)")
FOLDER: Final = "WORKDIR"


def instruction(name: str) -> str | None:
    """`RUN` of `[build 2/5] RUN make`; None for what is no instruction of a Dockerfile."""
    found = _STEP.match(name)
    return None if found is None else found.group("word").upper()


def place(name: str) -> tuple[str, int] | None:
    """Stage and number of a step: `build`, 2; the only stage has no name."""
    found = _STEP.match(name)
    return None if found is None else (found.group("stage") or "", int(found.group("at")))


def makes_content(name: str) -> bool:
    """Whether a cached result of this step would be one that should have been made again."""
    return instruction(name) not in {None, "FROM", FOLDER}
