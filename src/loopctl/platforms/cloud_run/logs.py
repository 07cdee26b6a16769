"""A service's log on Cloud Run: Cloud Logging, read to its end and redacted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from loopctl.errors import PortError, Problem, Stopped
from loopctl.model.logs import Coverage, LogEntry, LogWindow
from loopctl.platforms.cloud_run.clients import Clients
from loopctl.platforms.cloud_run.errors import TRANSIENT, ApiError, Code, translated
from loopctl.platforms.cloud_run.known import advice_on
from loopctl.platforms.cloud_run.log_entries import Logged, logged
from loopctl.platforms.cloud_run.log_filter import SAID, View, stamp
from loopctl.platforms.cloud_run.log_lines import Transcript
from loopctl.platforms.cloud_run.log_reader import LogReader
from loopctl.platforms.cloud_run.log_window import (
    PACE,
    Pace,
    WindowReading,
    as_log_error,
    end_of,
)
from loopctl.platforms.cloud_run.names import Names
from loopctl.platforms.cloud_run.quota import QuotaSpent, ReadQuota, quota_of
from loopctl.process import Stop, utc_now
from loopctl.redact import Redactor

POLL_S: Final = 5.0
_LONGEST_POLL_S: Final = 60.0
_FOLLOW_OVERLAP: Final = timedelta(seconds=20)
_PAGES_A_POLL: Final = 5

_AGED: Final = timedelta(days=30)
"""How long entries are kept where nobody has said otherwise: nothing older is asked for."""

_UNKNOWN_AGE: Final = timedelta(hours=24)
_BEFORE: Final = timedelta(minutes=1)
_LOOK_UP_S: Final = 10.0
_REFUSED: Final = (Code.PERMISSION_DENIED, Code.UNAUTHENTICATED)


class CloudRunLogs:
    """The log port over Cloud Logging. Safe to share by threads."""

    def __init__(
        self,
        clients: Clients,
        redactor: Redactor,
        *,
        quota: ReadQuota | None = None,
        pace: Pace = PACE,
        poll_s: float = POLL_S,
    ) -> None:
        self._clients = clients
        self._redactor = redactor
        self._quota = quota or quota_of(clients.place)
        self._pace = pace
        self._poll_s = poll_s

    def problems(self, stop: Stop) -> list[Problem]:
        """What keeps this account from the logs; empty where it can read them. Costs one read.

        Only what will not pass: a server that is away is told when the logs are read.
        """
        reader = LogReader(self._clients, self._quota)
        query = f'timestamp>="{stamp(utc_now())}"'
        try:
            with stop.child(_LOOK_UP_S) as limit:
                next(reader.pages(query, limit), None)
        except Stopped:
            # Too slow, or the quota is short: it is told where it costs something.
            stop.remaining(0)
        except PortError as error:
            return self._refused(error)
        return []

    def _refused(self, error: PortError) -> list[Problem]:
        where = error.where or "Cloud Logging"
        hint = permitting(self._clients, error) or error.hint
        if not isinstance(error, ApiError):
            return [Problem(error.what, where=where, hint=hint)]
        if error.code not in _REFUSED:
            return []
        advice = advice_on(f"{error.text} ", Names.of(self._clients.place), where)
        what = error.what if advice is None else f"{advice.cause} ({error.what})"
        return [Problem(what, where=where, hint=hint)]

    def read(self, window: LogWindow, into: Callable[[LogEntry], None], stop: Stop) -> Coverage:
        """Hand over the window's entries by time, a line each; those that come late are waited for.

        There is a gap where time, quota or permission did not allow to read it all. Raises
        `LogError` where nothing can be read for another reason.
        """
        transcript = Transcript(self._redactor, window.service)

        def take(entry: Logged) -> None:
            for line in transcript.lines(entry):
                into(line)

        coverage = WindowReading(
            _view(self._clients, window),
            LogReader(self._clients, self._quota),
            self._quota,
            lower_bound(self._clients, window, stop),
            end_of(window, self._pace),
            self._pace,
        ).read(take, stop)
        for line in transcript.rest():
            into(line)
        return coverage

    def follow(self, window: LogWindow, stop: Stop) -> Iterator[LogEntry]:
        """The window's entries and those to come, until `stop` stops or the window ends.

        Looks every few seconds, and less often while the quota is short. What comes late comes out
        of order. Raises `LogError` where nothing can be read.
        """
        transcript = Transcript(self._redactor, window.service)
        news = _News(self._clients, self._quota, window, lower_bound(self._clients, window, stop))
        pause_s = self._poll_s
        try:
            while window.until is None or utc_now() <= window.until + _FOLLOW_OVERLAP:
                try:
                    for entry in news.poll(stop):
                        yield from transcript.lines(entry)
                    pause_s = self._poll_s
                except QuotaSpent:
                    pause_s = min(2 * pause_s, _LONGEST_POLL_S)
                except ApiError as error:
                    if error.code not in TRANSIENT:
                        raise
                    pause_s = min(2 * pause_s, _LONGEST_POLL_S)
                stop.wait(pause_s)
        except Stopped:
            yield from transcript.rest()
        except PortError as error:
            raise as_log_error(error) from None


class _News:
    """What is new since the last poll: an overlap is read again, and each entry told once."""

    def __init__(
        self, clients: Clients, quota: ReadQuota, window: LogWindow, since: datetime
    ) -> None:
        self._reader = LogReader(clients, quota, poll=True)
        self._view = _view(clients, window)
        self._window = window
        self._from = since
        self._newest = since
        self._told: dict[int, datetime] = {}

    def poll(self, stop: Stop) -> Iterator[Logged]:
        """Read what there is now. Raises `QuotaSpent`, `PlatformError`, `Stopped`."""
        query = self._view.between(self._from, self._window.until)
        for number, page in enumerate(self._reader.pages(query, stop), start=1):
            for entry in map(logged, page):
                self._newest = max(self._newest, entry.at)
                if entry.identity not in self._told:
                    self._told[entry.identity] = entry.at
                    yield entry
            if number == _PAGES_A_POLL:
                # So much comes that to read the overlap again would leave no time for the rest.
                self._from = self._newest
                return
        self._from = max(self._from, self._newest - _FOLLOW_OVERLAP)
        self._told = {i: at for i, at in self._told.items() if at >= self._from}


def _view(clients: Clients, window: LogWindow) -> View:
    return View(clients.place, window.service, window.revision, SAID)


def permitting(clients: Clients, error: PortError) -> str | None:
    """What gives this account access to the logs; None for another fault."""
    if not isinstance(error, ApiError) or error.code is not Code.PERMISSION_DENIED:
        return None
    project = clients.place.project
    if error.reason == "SERVICE_DISABLED" or "has not been used in project" in error.text:
        return f"gcloud services enable logging.googleapis.com --project={project}"
    return (
        f"gcloud projects add-iam-policy-binding {project} --member=user:YOU "
        "--role=roles/logging.viewer"
    )


def lower_bound(clients: Clients, window: LogWindow, stop: Stop) -> datetime:
    """From when on a window is asked for: a query without a bound would search everything.

    A window without a beginning begins with its revision, whose name no other ever had.
    """
    oldest = utc_now() - _AGED
    if window.since >= oldest:
        return window.since
    created = None if window.revision is None else _created(clients, window, stop)
    return max(oldest, created - _BEFORE if created else utc_now() - _UNKNOWN_AGE)


def _created(clients: Clients, window: LogWindow, stop: Stop) -> datetime | None:
    """When the revision was made; None for one that cannot be looked up any more."""
    place = clients.place
    name = (
        f"projects/{place.project}/locations/{place.region}"
        f"/services/{window.service}/revisions/{window.revision}"
    )
    try:
        with translated("look up when the revision was made", name):
            found = clients.revisions.get_revision(
                name=name, retry=None, timeout=stop.remaining(_LOOK_UP_S)
            )
    except PortError:
        return None
    seconds = type(found).pb(found).create_time.seconds
    return datetime.fromtimestamp(seconds, UTC) if seconds else None
