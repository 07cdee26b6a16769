"""Everything of one place on Cloud Run, put together: what bootstrap asks for."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from loopctl.errors import Problem
from loopctl.found import Found
from loopctl.model.plan import BucketPlace, CloudRunPlace, Environment, ServiceSpec
from loopctl.platforms.cloud_run.api import Api
from loopctl.platforms.cloud_run.changes import Changes
from loopctl.platforms.cloud_run.checkup import Checkup
from loopctl.platforms.cloud_run.clients import Clients
from loopctl.platforms.cloud_run.crash import LogAutopsy
from loopctl.platforms.cloud_run.credentials import own_credentials
from loopctl.platforms.cloud_run.fences import Fence, LeaseElsewhere
from loopctl.platforms.cloud_run.leases import RENEW_EVERY_S, TTL_S, AnnotationLeases
from loopctl.platforms.cloud_run.log_reader import LogReader
from loopctl.platforms.cloud_run.logs import CloudRunLogs
from loopctl.platforms.cloud_run.names import Names
from loopctl.platforms.cloud_run.other_apis import OtherApis
from loopctl.platforms.cloud_run.platform import CloudRunPlatform
from loopctl.platforms.cloud_run.preflight import Preflight
from loopctl.platforms.cloud_run.pruning import prune
from loopctl.platforms.cloud_run.quota import quota_of
from loopctl.platforms.cloud_run.receipts import CloudRunReceipts
from loopctl.platforms.cloud_run.secret_versions import absent_secrets
from loopctl.platforms.cloud_run.server_clock import AskedClock
from loopctl.platforms.cloud_run.verified import AnnotatedVerified
from loopctl.ports.leases import Leases
from loopctl.process import Stop
from loopctl.redact import Redactor

if TYPE_CHECKING:
    from google.auth.credentials import Credentials


OWN_PACE: Final = (TTL_S, RENEW_EVERY_S)


@dataclass(frozen=True, slots=True)
class CloudRunSite:
    """The adapters of a place. `pace` is that of its leases, None for the usual one: seconds that
    one lasts, and between two looks at it.
    """

    platform: CloudRunPlatform
    leases: Leases
    logs: CloudRunLogs
    receipts: CloudRunReceipts
    verified: AnnotatedVerified
    pace: tuple[float, float] | None = None


def site_of(
    environment: Environment, shared: BucketPlace | None, redactor: Redactor
) -> CloudRunSite:
    """The adapters for an environment. Nothing is asked yet, and nobody is logged in.

    With a `shared` bucket, where the history is, the leases are objects there.
    """
    place = environment.cloud_run
    assert place is not None, "an environment on Cloud Run has a place"
    clients = Clients(place)
    api = Api(clients, Names.of(place))
    leases, fence = _leases(api, clients, shared)
    changes = Changes(api, fence)
    logs = CloudRunLogs(clients, redactor)

    def absent(specs: Sequence[ServiceSpec], stop: Stop) -> Sequence[Problem]:
        return absent_secrets(OtherApis(clients), place.project, specs, stop)

    preflight = Preflight(api, place, environment.strategy, logs.problems, absent)
    autopsy = LogAutopsy(clients, LogReader(clients, quota_of(place)), redactor)
    platform = CloudRunPlatform(api, changes, fence, preflight, autopsy)
    return CloudRunSite(
        platform=platform,
        leases=leases,
        logs=logs,
        receipts=CloudRunReceipts(clients, redactor),
        verified=AnnotatedVerified(
            api,
            changes,
            environment.after_green,
            platform.state_of,
            functools.partial(prune, api, place.keep_revisions),
        ),
        pace=OWN_PACE if shared is None else None,
    )


def _leases(api: Api, clients: Clients, shared: BucketPlace | None) -> tuple[Leases, Fence]:
    if shared is None:
        own = AnnotationLeases(api, AskedClock(clients))
        return own, own
    from loopctl.platforms.cloud_run.bucket_client import BucketClient  # noqa: PLC0415
    from loopctl.platforms.cloud_run.bucket_lease import BucketLeases  # noqa: PLC0415

    elsewhere = BucketLeases(BucketClient(shared, bucket_users(clients.place)))
    return elsewhere, LeaseElsewhere(elsewhere)


def bucket_users(place: CloudRunPlace) -> Callable[[], Credentials] | None:
    """Who asks a bucket: whom the place's own calls are made as, where that is not the default."""
    if place.impersonate is None:
        return None
    return functools.partial(own_credentials, place.impersonate)


def checkup(
    environment: Environment,
    shared: BucketPlace | None,
    specs: Sequence[ServiceSpec],
    stop: Stop,
) -> Sequence[Found]:
    """What the environment has and lacks for these services. Raises `Stopped`."""
    place = environment.cloud_run
    assert place is not None, "an environment on Cloud Run has a place"
    clients = Clients(place)
    api, quota = Api(clients, Names.of(place)), quota_of(place)
    try:
        leases, _ = _leases(api, clients, shared)
        reader = LogReader(clients, quota)
        look = Checkup(place, environment.strategy, clients, api, leases, reader, quota)
        return list(look.found(specs, stop))
    finally:
        clients.close()
