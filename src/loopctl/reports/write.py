"""Writes a run's reports, each whole or not at all; one that fails does not stop the others."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from loopctl.errors import LoopctlError
from loopctl.files import write_atomic
from loopctl.inert import for_json
from loopctl.journal.commands import Commands
from loopctl.journal.history import SUMMARY_NAME
from loopctl.journal.worklog import Worklog
from loopctl.redact import Redactor
from loopctl.reports.html import report_html
from loopctl.reports.junit import junit
from loopctl.reports.markdown import worklog_markdown
from loopctl.reports.result import result_document
from loopctl.reports.summary import summary_of, to_json


def write_reports(
    worklog: Worklog, folder: Path, redactor: Redactor | None = None
) -> tuple[str, ...]:
    """Write `result.json`, `worklog.md`, `report.html` and the others into the run's folder.

    Returns one line for each that could not be written. The journal is redacted already;
    `redactor` looks once more at what was put together from it.
    """
    problems: list[str] = []
    for name, make in _reports(worklog, folder, redactor).items():
        try:
            write_atomic(folder / name, make())
        except LoopctlError as error:
            reason = error.what if error.hint is None else f"{error.what} (do: {error.hint})"
            commands = Commands.of_run(worklog.run, folder.parent.parent)
            again = f"then {commands.report(worklog.run.run_id)}"
            problems.append(f"{name} could not be written: {reason}, {again}")
        except Exception as error:  # noqa: BLE001 - a fault in one report must not cost the others
            reason = f"{type(error).__name__}: {_first_line(error)}"
            problems.append(f"{name} could not be made, a fault of loopctl: {reason}")
    return tuple(problems)


def are_written(worklog: Worklog, folder: Path) -> bool:
    """Whether every report is there: a process may have been killed before it came to them."""
    return all((folder / name).is_file() for name in _reports(worklog, folder, None))


def _reports(
    worklog: Worklog, folder: Path, redactor: Redactor | None
) -> Mapping[str, Callable[[], bytes]]:
    def clean(data: bytes) -> bytes:
        return redactor.binary(data) if redactor else data

    def result() -> bytes:
        document = result_document(worklog)
        # Value by value: a secret with a quote in it looks different once it is JSON.
        return result_json(redactor.json(document) if redactor else document)

    return {
        # The summary goes first: it is what makes later runs see this one.
        SUMMARY_NAME: lambda: to_json(summary_of(worklog)),
        "result.json": result,
        "worklog.md": lambda: clean(worklog_markdown(worklog, folder).encode("utf-8", "replace")),
        "report.html": lambda: clean(report_html(worklog, folder).encode("utf-8", "replace")),
        "junit.xml": lambda: clean(junit(worklog)),
    }


def result_json(document: Mapping[str, object]) -> bytes:
    """The document as the file holds it: people look at it on a terminal, too."""
    text = json.dumps(document, indent=1, ensure_ascii=False)
    # Half a surrogate pair is no text to most who read JSON.
    whole = text.encode("utf-8", "replace").decode()
    return (for_json(whole) + "\n").encode()


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
