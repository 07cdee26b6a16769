"""loopctl for programs: typed, synchronous; the command line is written on it alone.

```python
from pathlib import Path
from loopctl import api

plan = api.load("golden-path", cwd=Path("."))
result = api.run(plan)
print(result.worklog.ended.verdict, result.folder)
```

Everything here raises `loopctl.errors.LoopctlError` with the exit code it would end in, and nothing
else on purpose but `loopctl.errors.Stopped`, which `watch`, `outlook`, `doctor` and `live_log`
raise when their `stop` or their time is over: they only look. `run` ends a run that is stopped as
`interrupted`; `resume`, `down`, `rollback` and `unlock` raise `StoppedEarlyError` with the signal's
exit code, or `PlatformError` at a deadline, and say what was done and what was not.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

# A name of the API stands in three places: imported here for type checkers, in `__all__`, and in
# `_HOMES`, by which it is found. tests/unit/test_api_names.py holds them against each other.
if TYPE_CHECKING:
    from loopctl.api.catalogue import lint_signatures, signature_schema, signatures, try_signatures
    from loopctl.api.comparing import compare, compared_document, compared_lines
    from loopctl.api.detaching import Begun, detach, errand_of
    from loopctl.api.following import LiveLog, live_log
    from loopctl.api.grading import HEALTH_PATHS, GradeReport, GradeRequest, grade
    from loopctl.api.in_ci import tell_job, tell_job_of_error
    from loopctl.api.initiating import init
    from loopctl.api.listing import runs, runs_document, runs_lines, trends
    from loopctl.api.loading import duration, load, schema, validate
    from loopctl.api.looking_ahead import doctor, outlook
    from loopctl.api.looking_back import (
        events_of,
        find,
        kept_logs,
        log_line,
        log_lines,
        report,
        suite_history,
        worklog_of,
        worklog_text,
    )
    from loopctl.api.opening import open_page
    from loopctl.api.operating import Unlocked, down, rollback, unlock
    from loopctl.api.places import project_runs_dir, runs_dir_of
    from loopctl.api.resuming import resume
    from loopctl.api.running import RunResult, Subscriber, refuse_later, run
    from loopctl.api.showing import (
        ViewOptions,
        event_document,
        give_back_terminal,
        grade_document,
        look_news,
        look_view,
        print_brief,
        result_document,
        triaged_document,
        triaged_lines,
        view,
    )
    from loopctl.api.stopping import stop_run
    from loopctl.api.surveying import LOOK_EVERY_S, triage, triage_again
    from loopctl.api.telling import Announced, announce
    from loopctl.api.triaging import LogsRequest, triage_logs
    from loopctl.api.watching import watch
    from loopctl.console.view import View
    from loopctl.journal.artefacts import FoundRun, found_run
    from loopctl.journal.history import RunSummary
    from loopctl.journal.worklog import Worklog
    from loopctl.model.events import Event
    from loopctl.model.evidence import Grade
    from loopctl.model.options import RunOptions
    from loopctl.model.plan import Plan
    from loopctl.process import Stop
    from loopctl.reports.compared import Comparison
    from loopctl.triage.triaged import Triaged
    from loopctl.triage.trying import Tried

__all__ = [
    "HEALTH_PATHS",
    "LOOK_EVERY_S",
    "Announced",
    "Begun",
    "Comparison",
    "Event",
    "FoundRun",
    "Grade",
    "GradeReport",
    "GradeRequest",
    "LiveLog",
    "LogsRequest",
    "Plan",
    "RunOptions",
    "RunResult",
    "RunSummary",
    "Stop",
    "Subscriber",
    "Triaged",
    "Tried",
    "Unlocked",
    "View",
    "ViewOptions",
    "Worklog",
    "announce",
    "compare",
    "compared_document",
    "compared_lines",
    "detach",
    "doctor",
    "down",
    "duration",
    "errand_of",
    "event_document",
    "events_of",
    "find",
    "found_run",
    "give_back_terminal",
    "grade",
    "grade_document",
    "init",
    "kept_logs",
    "lint_signatures",
    "live_log",
    "load",
    "log_line",
    "log_lines",
    "look_news",
    "look_view",
    "open_page",
    "outlook",
    "print_brief",
    "project_runs_dir",
    "refuse_later",
    "report",
    "result_document",
    "resume",
    "rollback",
    "run",
    "runs",
    "runs_dir_of",
    "runs_document",
    "runs_lines",
    "schema",
    "signature_schema",
    "signatures",
    "stop_run",
    "suite_history",
    "tell_job",
    "tell_job_of_error",
    "trends",
    "triage",
    "triage_again",
    "triage_logs",
    "triaged_document",
    "triaged_lines",
    "try_signatures",
    "unlock",
    "validate",
    "view",
    "watch",
    "worklog_of",
    "worklog_text",
]

_HOMES = {
    "loopctl.api.catalogue": "lint_signatures signature_schema signatures try_signatures",
    "loopctl.api.comparing": "compare compared_document compared_lines",
    "loopctl.api.detaching": "Begun detach errand_of",
    "loopctl.api.following": "LiveLog live_log",
    "loopctl.api.grading": "GradeReport GradeRequest HEALTH_PATHS grade",
    "loopctl.api.in_ci": "tell_job tell_job_of_error",
    "loopctl.api.initiating": "init",
    "loopctl.api.listing": "runs runs_document runs_lines trends",
    "loopctl.api.loading": "duration load schema validate",
    "loopctl.api.looking_ahead": "doctor outlook",
    "loopctl.api.looking_back": (
        "events_of find kept_logs log_line log_lines report suite_history worklog_of worklog_text"
    ),
    "loopctl.api.opening": "open_page",
    "loopctl.api.operating": "Unlocked down rollback unlock",
    "loopctl.api.places": "project_runs_dir runs_dir_of",
    "loopctl.api.resuming": "resume",
    "loopctl.api.running": "RunResult Subscriber refuse_later run",
    "loopctl.api.showing": (
        "ViewOptions event_document give_back_terminal grade_document look_news "
        "look_view print_brief result_document triaged_document triaged_lines view"
    ),
    "loopctl.api.stopping": "stop_run",
    "loopctl.api.surveying": "LOOK_EVERY_S triage triage_again",
    "loopctl.api.telling": "Announced announce",
    "loopctl.api.triaging": "LogsRequest triage_logs",
    "loopctl.api.watching": "watch",
    "loopctl.console.view": "View",
    "loopctl.journal.artefacts": "FoundRun found_run",
    "loopctl.journal.history": "RunSummary",
    "loopctl.journal.worklog": "Worklog",
    "loopctl.model.events": "Event",
    "loopctl.model.evidence": "Grade",
    "loopctl.model.options": "RunOptions",
    "loopctl.model.plan": "Plan",
    "loopctl.process": "Stop",
    "loopctl.reports.compared": "Comparison",
    "loopctl.triage.triaged": "Triaged",
    "loopctl.triage.trying": "Tried",
}
"""Where each name comes from: no command waits for what it does not use."""

_HOME = {name: home for home, names in _HOMES.items() for name in names.split()}

if not TYPE_CHECKING:
    # Hidden from type checkers, who would take any name for one of the API's.

    def __getattr__(name: str) -> object:
        """The name out of its module, which is imported when it is first asked for."""
        home = _HOME.get(name)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = getattr(importlib.import_module(home), name)
        globals()[name] = found
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
