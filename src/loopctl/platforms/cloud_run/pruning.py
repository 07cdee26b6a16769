"""Deleting old revisions: only those that loopctl made, and nobody has any use for."""

from __future__ import annotations

import contextlib
from typing import Final

from google.cloud.run_v2 import Revision, Service

from loopctl.platforms.cloud_run import traffic
from loopctl.platforms.cloud_run.api import Api
from loopctl.platforms.cloud_run.names import short
from loopctl.platforms.cloud_run.state import made_at
from loopctl.platforms.cloud_run.template import KEY, RESTORES
from loopctl.ports.platform import PlatformError
from loopctl.process import Stop

_AT_ONCE: Final = 20
"""Revisions deleted after one run: a long list is shortened by several."""


def prune(
    api: Api, keep: int | None, service: Service, verified: frozenset[str], stop: Stop
) -> None:
    """Delete the oldest of loopctl's own revisions but for the newest `keep`; None keeps all.

    Those that serve, have a tag, are the newest, or were verified stay whatever their age. What
    cannot be deleted now is met again after the next run.
    """
    if keep is None:
        return
    name = short(service.name)
    needed = verified | traffic.serving(service).keys()
    needed |= {short(row.revision) for row in service.traffic}
    needed |= {short(service.latest_ready_revision), short(service.latest_created_revision)}
    own = sorted(filter(_is_own, api.revisions(name, stop)), key=made_at, reverse=True)
    old = [each for each in own[keep:] if short(each.name) not in needed]
    for each in old[-_AT_ONCE:]:
        with contextlib.suppress(PlatformError):
            api.delete_revision(name, short(each.name), stop)


def _is_own(revision: Revision) -> bool:
    return KEY in revision.annotations or RESTORES in revision.annotations
