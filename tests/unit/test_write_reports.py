"""Reports are written whole and private, and one that fails costs no other."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import worklogs

from loopctl.redact import Redactor
from loopctl.reports.write import write_reports

NAMES = ("summary.json", "result.json", "worklog.md", "report.html", "junit.xml")


def test_all_five_reports_are_written_and_private(tmp_path: Path) -> None:
    assert write_reports(worklogs.red().worklog(), tmp_path) == ()

    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(NAMES)
    for name in NAMES:
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    assert json.loads((tmp_path / "result.json").read_text())["verdict"] == "red"


def test_a_report_that_cannot_be_written_is_named_and_the_others_are_there(tmp_path: Path) -> None:
    (tmp_path / "result.json").mkdir()

    problems = write_reports(worklogs.red().worklog(), tmp_path)

    assert len(problems) == 1
    assert problems[0].startswith("result.json could not be written: ")
    assert all((tmp_path / name).is_file() for name in NAMES if name != "result.json")


def test_a_folder_that_is_gone_is_five_problems_and_no_crash(tmp_path: Path) -> None:
    assert len(write_reports(worklogs.red().worklog(), tmp_path / "gone")) == 5


def test_hostile_text_is_written_too(tmp_path: Path) -> None:
    assert write_reports(worklogs.hostile().worklog(), tmp_path) == ()

    json.loads((tmp_path / "result.json").read_bytes())
    assert len((tmp_path / "summary.json").read_bytes()) <= 2048


def test_a_secret_that_slipped_into_the_journal_is_in_no_report(tmp_path: Path) -> None:
    secret = "AssertionError: no agent_completed"
    redactor = Redactor({"TOKEN": secret})

    assert write_reports(worklogs.red().worklog(), tmp_path, redactor) == ()

    for name in NAMES:
        assert secret not in (tmp_path / name).read_text()
    assert "[redacted:TOKEN]" in (tmp_path / "result.json").read_text()
