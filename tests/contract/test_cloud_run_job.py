"""The entry point of the Cloud Run Job, against a Cloud Storage that others wrote."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from bucket_rig import PLACE
from gcs_rig import GcsRig, a_gcs

ENTRY = Path(__file__).parents[2] / "examples" / "ci" / "cloud-run-job" / "run.py"
REPORTS = ("journal.jsonl", "summary.json", "result.json", "worklog.md", "report.html", "junit.xml")
_LOOPCTL = f"""#!/bin/sh
trap 'exit 143' TERM
[ "$1 $3 $4" = "--runs-dir run golden-path" ] || exit 2
mkdir -p "$2/runs/r-1/logs" && cd "$2/runs/r-1" && touch logs/chat.jsonl
for name in {" ".join(REPORTS)}; do echo x > $name; done
[ "$5" = wait ] && {{ echo waits; sleep 30 >/dev/null & wait; }}
exit 1
"""


@pytest.fixture
def python(tmp_path: Path) -> str:
    """An interpreter beside which a `loopctl` stands that leaves a red run."""
    (tmp_path / "python").symlink_to(Path(sys.executable).resolve())
    (tmp_path / "loopctl").write_text(_LOOPCTL)
    (tmp_path / "loopctl").chmod(0o755)
    return str(tmp_path / "python")


def _env(reports: str) -> dict[str, str]:
    here = {"PYTHONPATH": sysconfig.get_path("purelib"), "LOOPCTL_REPORTS": reports}
    return {**os.environ, **here, "GOOGLE_CLOUD_PROJECT": "p"}


def _run(python: str, reports: str) -> subprocess.CompletedProcess[str]:
    command = [python, str(ENTRY), "golden-path"]
    return subprocess.run(
        command, env=_env(reports), capture_output=True, text=True, timeout=60, check=False
    )


def _kept(gcs: GcsRig) -> list[str]:
    return [name for name in gcs.names() if "/runs-of-the-job/" in f"/{name}"]


def test_the_reports_are_kept_and_nothing_that_was_printed_and_the_code_is_the_runs(
    python: str,
) -> None:
    with a_gcs() as gcs:
        done = _run(python, f"gs://{PLACE.bucket}/{PLACE.prefix}/runs-of-the-job/")
        kept = _kept(gcs)
    assert done.returncode == 1, done.stderr
    assert kept == sorted(f"runs-of-the-job/r-1/{name}" for name in REPORTS)
    assert done.stdout.endswith("/runs-of-the-job/r-1\n")


def test_a_bucket_that_is_not_there_changes_nothing_but_a_line(python: str) -> None:
    with a_gcs():
        done = _run(python, "gs://nobodys/x")
    assert done.returncode == 1
    assert "the reports were not kept in gs://nobodys/x: " in done.stderr


def test_at_the_time_limit_loopctl_is_told_first(python: str) -> None:
    process = subprocess.Popen(
        [python, str(ENTRY), "golden-path", "wait"], env=_env(""), stdout=subprocess.PIPE
    )
    assert process.stdout
    assert process.stdout.readline() == b"waits\n"
    process.terminate()
    process.communicate(timeout=20)
    assert process.returncode == 143
