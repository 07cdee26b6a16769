"""Everything of one place on Cloud Run, put together: what bootstrap asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from loopctl.errors import Problem
from loopctl.model.plan import Environment
from loopctl.platforms.cloud_run.api import Api
from loopctl.platforms.cloud_run.changes import Changes
from loopctl.platforms.cloud_run.clients import Clients
from loopctl.platforms.cloud_run.crash import LogAutopsy
from loopctl.platforms.cloud_run.leases import RENEW_EVERY_S, TTL_S, AnnotationLeases
from loopctl.platforms.cloud_run.log_reader import LogReader
from loopctl.platforms.cloud_run.logs import CloudRunLogs
from loopctl.platforms.cloud_run.names import Names
from loopctl.platforms.cloud_run.platform import CloudRunPlatform
from loopctl.platforms.cloud_run.preflight import Preflight, log_problems
from loopctl.platforms.cloud_run.quota import quota_of
from loopctl.platforms.cloud_run.receipts import CloudRunReceipts
from loopctl.platforms.cloud_run.server_clock import ServerClock
from loopctl.platforms.cloud_run.verified import AnnotatedVerified
from loopctl.process import Stop
from loopctl.redact import Redactor


@dataclass(frozen=True, slots=True)
class CloudRunSite:
    """The adapters of a place; seconds that a lease lasts, and between two looks at it."""

    platform: CloudRunPlatform
    leases: AnnotationLeases
    logs: CloudRunLogs
    receipts: CloudRunReceipts
    verified: AnnotatedVerified
    lease_ttl_s: float = TTL_S
    renew_every_s: float = RENEW_EVERY_S


def site_of(environment: Environment, redactor: Redactor) -> CloudRunSite:
    """The adapters for an environment. Nothing is asked yet, and nobody is logged in."""
    place = environment.cloud_run
    assert place is not None, "an environment on Cloud Run has a place"
    clients = Clients(place)
    api = Api(clients, Names.of(place))
    leases = AnnotationLeases(api, ServerClock(clients))
    changes = Changes(api, leases.fence)
    reader = LogReader(clients, quota_of(place))

    def reads_logs(stop: Stop) -> Sequence[Problem]:
        return log_problems(place, reader, stop)

    preflight = Preflight(api, place, environment.strategy, reads_logs)
    autopsy = LogAutopsy(clients, reader, redactor)
    platform = CloudRunPlatform(api, changes, leases, preflight, autopsy)
    return CloudRunSite(
        platform=platform,
        leases=leases,
        logs=CloudRunLogs(clients, redactor),
        receipts=CloudRunReceipts(clients, redactor),
        verified=AnnotatedVerified(api, changes, environment.after_green, platform.state_of),
    )
