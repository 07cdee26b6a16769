"""The entry point of the Cloud Run Job: runs the loop, keeps its reports, ends as it did.

The disk of a job is gone with it. `LOOPCTL_REPORTS=gs://bucket/prefix` names where the reports go,
each run in a folder of its own; raw logs and what tests printed stay behind. Arguments are those of
`loopctl run`. It runs in loopctl's own interpreter, which has Google's client.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from google.cloud import storage

REPORTS = ("journal.jsonl", "summary.json", "result.json", "worklog.md", "report.html", "junit.xml")
TIMEOUT_S = 60


def main() -> int:
    runs = Path(tempfile.mkdtemp(prefix="loopctl-"))
    loopctl = Path(sys.executable).with_name("loopctl")
    command = [str(loopctl), "--runs-dir", str(runs), "run", *sys.argv[1:]]
    process = subprocess.Popen(command)
    # At the job's time limit: loopctl puts back what it has changed, and has 10 s for it.
    signal.signal(signal.SIGTERM, lambda number, _: process.send_signal(number))
    code = process.wait()
    where = os.environ.get("LOOPCTL_REPORTS", "")
    if where:
        try:
            keep(runs, where)
        except Exception as error:  # the verdict is worth more than its reports
            print(f"the reports were not kept in {where}: {error}", file=sys.stderr)
    return code if code >= 0 else 128 - code  # ended by a signal: as a shell has it


def keep(runs: Path, where: str) -> None:
    """Copy the reports of every run below `runs` to `where`, a gs:// address."""
    name, _, prefix = where.removeprefix("gs://").partition("/")
    bucket = storage.Client().bucket(name)
    for folder in sorted((runs / "runs").glob("*")):
        place = "/".join(filter(None, (prefix.strip("/"), folder.name)))
        for report in REPORTS:
            if (folder / report).is_file():
                blob = bucket.blob(f"{place}/{report}")
                blob.upload_from_filename(folder / report, timeout=TIMEOUT_S)
        print(f"reports: gs://{name}/{place}")


if __name__ == "__main__":
    sys.exit(main())
