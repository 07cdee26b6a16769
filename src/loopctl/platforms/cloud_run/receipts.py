"""The request log of Cloud Run as receipts: not read yet."""

from __future__ import annotations

from collections.abc import Callable

from loopctl.model.artifact import Revision
from loopctl.model.logs import Coverage, LogWindow, RequestEntry
from loopctl.platforms.cloud_run.clients import Clients
from loopctl.ports.logs import Met
from loopctl.process import Stop, utc_now
from loopctl.redact import Redactor


class CloudRunReceipts:
    """Says that it knows nothing."""

    def __init__(self, clients: Clients, redactor: Redactor) -> None:
        self._clients = clients

    def of(self, revision: Revision, traces: frozenset[str], window: LogWindow, stop: Stop) -> Met:
        """None."""
        return Met((), Coverage(complete=False, until=utc_now(), gap="not read"))

    def requests(
        self, window: LogWindow, into: Callable[[RequestEntry], None], stop: Stop
    ) -> Coverage:
        """None."""
        return Coverage(complete=False, until=utc_now(), gap="not read")
