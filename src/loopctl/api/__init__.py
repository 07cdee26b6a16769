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

from typing import TYPE_CHECKING

from loopctl.api.comparing import compare, compared_document, compared_lines
from loopctl.api.following import LiveLog, live_log
from loopctl.api.grading import HEALTH_PATHS, GradeReport, GradeRequest, grade
from loopctl.api.in_ci import tell_job, tell_job_of_error
from loopctl.api.loading import duration, load, schema, validate
from loopctl.api.looking_ahead import doctor, outlook
from loopctl.api.looking_back import events_of, find, kept_logs, log_line, report, runs, worklog_of
from loopctl.api.opening import open_page
from loopctl.api.operating import Unlocked, down, rollback, unlock
from loopctl.api.places import project_runs_dir, runs_dir_of
from loopctl.api.resuming import resume
from loopctl.api.running import RunResult, Subscriber, refuse_later, run
from loopctl.api.showing import (
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
from loopctl.api.signatures import (
    lint_signatures,
    signature_schema,
    signatures,
    try_signatures,
)
from loopctl.api.surveying import EVERY_S as LOOK_EVERY_S
from loopctl.api.surveying import triage, triage_again
from loopctl.api.triaging import LogsRequest, triage_logs
from loopctl.api.watching import watch
from loopctl.console.view import View
from loopctl.journal.history import RunSummary
from loopctl.journal.worklog import Worklog
from loopctl.model.events import Event
from loopctl.model.evidence import Grade
from loopctl.model.options import RunOptions
from loopctl.model.plan import Plan

if TYPE_CHECKING:
    # Not at run time: what `--help` imports is waited for.
    from loopctl.reports.compared import Comparison as Comparison
    from loopctl.triage.triaged import Triaged as Triaged
    from loopctl.triage.trying import Tried

__all__ = [
    "HEALTH_PATHS",
    "LOOK_EVERY_S",
    "Comparison",
    "Event",
    "Grade",
    "GradeReport",
    "GradeRequest",
    "LiveLog",
    "LogsRequest",
    "Plan",
    "RunOptions",
    "RunResult",
    "RunSummary",
    "Subscriber",
    "Tried",
    "Unlocked",
    "View",
    "Worklog",
    "compare",
    "compared_document",
    "compared_lines",
    "doctor",
    "down",
    "duration",
    "event_document",
    "events_of",
    "find",
    "give_back_terminal",
    "grade",
    "grade_document",
    "kept_logs",
    "lint_signatures",
    "live_log",
    "load",
    "log_line",
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
    "schema",
    "signature_schema",
    "signatures",
    "tell_job",
    "tell_job_of_error",
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
]
