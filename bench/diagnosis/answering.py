"""Gives each case to the product: its export to `triage --logs`, its capture to the diagnosis."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.diagnosis.captures import symptoms_of
from bench.diagnosis.cases import Case
from bench.diagnosis.scoring import Answer, Scored, answer_of, answer_of_document, scored
from loopctl.api.triaging import LogsRequest, triage_logs
from loopctl.triage.diagnose import diagnose
from loopctl.triage.loading import Catalogue


def in_process(case: Case, folder: Path, catalogue: Catalogue) -> Answer:
    """Without the command line."""
    if case.capture is not None:
        return _of_capture(case, catalogue)
    logs, green = written(case, folder)
    triaged = triage_logs(LogsRequest(logs, green))
    return answer_of(triaged.findings, triaged.novel, catalogue, triaged.exit_code)


def by_command(case: Case, folder: Path, catalogue: Catalogue) -> Answer:
    """By `loopctl triage --logs FILE --json`, as a person types it. Raises RuntimeError where it
    prints no document.
    """
    if case.capture is not None:
        return _of_capture(case, catalogue)
    command = [sys.executable, "-m", "loopctl", "--json", "triage"]
    for option, files in zip(("--logs", "--green"), written(case, folder), strict=True):
        command += [word for file in files for word in (option, str(file))]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode not in (0, 1, 3):
        raise RuntimeError(f"{case.name}: {ran.returncode}: {ran.stderr.strip()}")
    return answer_of_document(json.loads(ran.stdout), catalogue, ran.returncode)


def written(case: Case, folder: Path) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """The file with its export, and that of a good time; made when they are not there."""
    log, green = folder / case.file_name, folder / f"green-{case.file_name}"
    told = case.green_text()
    if not log.exists():
        log.write_text(case.text(), encoding="utf-8")
        if told is not None:
            green.write_text(told, encoding="utf-8")
    return (log,), () if told is None else (green,)


def all_in_process(cases: Sequence[Case], folder: Path, catalogue: Catalogue) -> list[Scored]:
    """Each of them, scored."""
    return [scored(case, in_process(case, folder, catalogue)) for case in cases]


def _of_capture(case: Case, catalogue: Catalogue) -> Answer:
    diagnosis = diagnose(symptoms_of(case.capture or ()), catalogue)
    return answer_of(diagnosis.findings, diagnosis.novel, catalogue)
