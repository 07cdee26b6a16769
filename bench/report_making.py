"""One report of a run, made from its folder; prints seconds, peak MB and bytes as JSON.

`python -m bench.report_making page|junit FOLDER`.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

from loopctl import api
from loopctl.reports.html import report_html
from loopctl.reports.junit import junit


def main() -> None:
    """Make it once."""
    what, folder = sys.argv[1], Path(sys.argv[2])
    began = time.perf_counter()
    worklog = api.worklog_of(folder)
    made = report_html(worklog, folder).encode() if what == "page" else junit(worklog)
    took = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    print(json.dumps({"seconds": took, "peak_mb": peak, "size": len(made)}))


if __name__ == "__main__":
    main()
