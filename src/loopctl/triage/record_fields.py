"""The fields that records have, by their kind: what a clause may ask for, and a text may name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from loopctl.triage.signatures import On

_LOG: Final = {
    "severity": "normal, warning, error or critical",
    "novel": "yes, no, or unknown where there is no green log to compare with",
    "revision": "the revision that wrote it",
}
_TRACE: Final = {
    "type": "the innermost exception's type",
    "message": "what it says",
    "where": "file:function:line of the innermost frame of one's own",
    "fingerprint": "the same for the same stack",
    "at_import": "whether it was raised while a module was imported",
    "in_app": "whether that frame is the service's own code",
    "in_test": "whether that frame is a test's",
    "language": "python, node, java, dotnet, go, ruby",
}
TRACE_FIELDS: Final = frozenset(_TRACE)
"""What only a record of a traceback has."""

_REQUEST: Final = {
    "method": "GET, POST …",
    "path": "without the query",
    "error": "what kept it from being answered",
    "by_failing_case": "whether a failing test sent it",
}
FIELDS: Final[Mapping[On, Mapping[str, str]]] = {
    "log": {**_LOG, **_TRACE},
    "condition": {
        "fault": "what a stage or the platform saw: exit-code, signal, out-of-memory …",
        "value": "the telling number or text: exit code, port, status",
        "summary": "one line for a person",
        "stage": "the stage that failed",
        "told_port": "the port that the service was told",
        "listening_port": "the ports that it listens on",
        "port_differs": "whether they differ",
        "source_tree": "the hash of the source",
        "image_tree": "the hash of what the image holds",
        "content_differs": "whether they differ",
        "first_stale": "the first file that differs",
        "suite": "the suite's id",
        "outcome": "passed, failed, unproven, not-run",
        "collected": "how many tests it collected",
        "all_skipped": "whether all of them were skipped",
    },
    "test": {
        "status": "passed, failed, broken, skipped, flaky, timeout, lost",
        "failing": "whether it failed in any way",
        "id": "the test's id",
        "suite": "its suite's id",
        "suite_outcome": "how its suite ended",
        "grade": "what its pass proves",
        "control": "what the control run showed",
        "reason": "why it has its grade, or was skipped",
        "where": "file:line in the test",
        "message": "the line that says most",
        "message_key": "the same for the same kind of message",
        "seconds": "how long it took",
    },
    "http": {**_REQUEST, "status": "the answer's status", "latency_s": "seconds"},
    "ws_close": {
        **_REQUEST,
        "code": "the close code",
        "reason": "the close reason",
        "closed_by": "client or service",
        "age_s": "seconds since it was opened",
    },
    "metric": {
        "metric": "its name",
        "value": "what was measured",
        "limit": "the criterion's limit",
        "met": "whether it is met",
    },
}
