"""Many entries as a busy service leaves them, and the crash at start of one of its revisions."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import islice
from typing import Any

from emulator.log_filter_kinds import SECOND
from emulator.log_lines import DEFAULT, ERROR, INFO, WARNING, Revision
from emulator.log_store import LogStore

_BATCH = 1000
_HOUR = 3600 * SECOND
_PATHS = ("/", "/ready", "/api/messages", "/api/messages/42", "/static/app.js", "/login")
_AGENTS = ("Mozilla/5.0 (X11; Linux x86_64)", "curl/8.5.0", "loopctl/0.1")
_STATUSES = (200, 200, 200, 200, 200, 201, 204, 304, 404, 500)
_TRACEBACK = (
    "ERROR:    Traceback (most recent call last):",
    '  File "/app/.venv/lib/python3.12/site-packages/starlette/routing.py", line 693, in lifespan',
    "    async with self.lifespan_context(app) as maybe_state:",
    '  File "/app/main.py", line 31, in lifespan',
    '    settings.database_url = os.environ["DATABASE_URL"]',
    '  File "<frozen os>", line 714, in __getitem__',
    "    raise KeyError(key) from None",
    "KeyError: 'DATABASE_URL'",
)
_ROLLOUT = (
    "Starting new instance. Reason: DEPLOYMENT_ROLLOUT - Instance started due to traffic shifting "
    "between revisions due to deployment, traffic split adjustment, or deployment health check."
)
_PROBE = (
    'Default STARTUP TCP probe failed 1 time consecutively for container "app-1" on port 8080. '
    "The instance was not started. Connection failed with status CANCELLED."
)
_NOT_LISTENING = (
    "The user-provided container failed to start and listen on the port defined provided by the "
    "PORT=8080 environment variable within the allocated timeout. This can happen when the "
    "container port is misconfigured or if the timeout is too short. The health check timeout can "
    "be extended. Logs for this revision might contain more information."
)


def fill(store: LogStore, revision: Revision, count: int, *, until: int, seed: int = 0) -> None:
    """Write `count` entries of a revision that served during the hour until `until`.

    `until` is in nanoseconds since the epoch. A third are requests, the rest the lines that they
    left on stdout and stderr. All are visible afterwards; the same seed writes the same.
    """
    entries = islice(_traffic(revision, until - _HOUR, _HOUR // count, random.Random(seed)), count)
    while batch := list(islice(entries, _BATCH)):
        store.write(batch)
        store.flush()


def crash_at_start(revision: Revision, start: int) -> list[Any]:
    """What a uvicorn application leaves that fails in its lifespan, in the order of writing.

    The course and the intervals are those of one real deploy: 7.3 seconds from the instance's
    start to the audit entry, lines of stdout that come after what they came before, microseconds
    in what the application wrote and nanoseconds in what the platform did.
    """

    def after(seconds: float, nanoseconds: int = 0) -> int:
        return start // 1000 * 1000 + round(seconds * 1e6) * 1000 + nanoseconds

    instance = "00f46b92c58b4a1e"
    told = [revision.system(_ROLLOUT, start, INFO)]
    for position, text in enumerate(
        ("INFO:     Started server process [1]", "INFO:     Waiting for application startup.")
    ):
        told.append(revision.line("stderr", text, after(6.49 + position * 1e-5), instance))
    for position, text in enumerate(_TRACEBACK):
        told.append(revision.line("stderr", text, after(6.52 + position * 1e-5), instance))
    failed = "ERROR:    Application startup failed. Exiting."
    told.append(revision.line("stderr", failed, after(6.521), instance))
    for position, text in enumerate(("loading settings", "settings: environment=staging")):
        told.append(revision.line("stdout", text, after(6.522 + position * 1e-5), instance))
    told.append(revision.system("Container called exit(3).", after(7.17, 83), WARNING, instance))
    told.append(revision.system(_PROBE, after(7.3, 517), ERROR, instance))
    told.append(revision.not_ready(_NOT_LISTENING, after(7.31, 291)))
    return told


def _traffic(revision: Revision, start: int, step: int, chance: random.Random) -> Iterator[Any]:
    """Without end: a request, and a structured and a plain line of the instance that had it."""
    instances = [f"00f46b92{chance.getrandbits(200):050x}" for _ in range(3)]
    at = start // 1000 * 1000
    while True:
        trace, path = f"{chance.getrandbits(128):032x}", chance.choice(_PATHS)
        status, instance = chance.choice(_STATUSES), chance.choice(instances)
        latency = chance.randrange(1_000_000, 400_000_000)
        yield _answered(revision, path, status, latency, at + chance.randrange(1000), trace, chance)
        at += step
        yield _structured(revision, path, status, at // 1000 * 1000, trace, instance)
        at += step
        text = f'INFO:     169.254.1.1:{chance.randrange(65536)} - "GET {path} HTTP/1.1" {status}'
        yield revision.line("stderr", text, at // 1000 * 1000, instance, DEFAULT)
        at += step


def _answered(
    revision: Revision,
    path: str,
    status: int,
    latency_ns: int,
    at: int,
    trace: str,
    chance: random.Random,
) -> Any:
    url = f"https://{revision.service}-abc123xyz-uc.a.run.app{path}"
    agent = chance.choice(_AGENTS)
    return revision.request("GET", url, status, latency_ns, at, trace, agent)


def _structured(
    revision: Revision, path: str, status: int, at: int, trace: str, instance: str
) -> Any:
    severity = ERROR if status >= 500 else INFO
    payload = {"message": f"handled {path}", "path": path, "status": status, "user": "ada"}
    entry = revision.structured(payload, at, instance, severity)
    entry.trace = f"projects/{revision.project}/traces/{trace}"
    return entry
