"""The real command line, for logs that are there as soon as they are written: the emulator's.

Google's come late, so every run looks for ten seconds after its end whether there are more; here it
is half a second. In all else `python prompt_logs.py run web` is `loopctl run web`.
"""

from __future__ import annotations

import functools

from loopctl.__main__ import main
from loopctl.platforms.cloud_run import crash, site
from loopctl.platforms.cloud_run.log_window import Pace
from loopctl.platforms.cloud_run.logs import CloudRunLogs
from loopctl.platforms.cloud_run.receipts import CloudRunReceipts

PROMPT = Pace(looks_s=(0.2, 0.4), settled_s=0.4)


def expect_prompt_logs() -> None:
    """From now on this process waits no longer than that for the last entries of a window."""
    for name, kind in (("CloudRunLogs", CloudRunLogs), ("CloudRunReceipts", CloudRunReceipts)):
        setattr(site, name, functools.partial(kind, pace=PROMPT))
    setattr(crash, "_LOOK_EVERY_S", 0.3)  # noqa: B010 - Final, and this is what it is set to here


if __name__ == "__main__":
    expect_prompt_logs()
    main()
