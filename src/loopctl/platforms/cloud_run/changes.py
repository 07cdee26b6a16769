"""A change of a service, from the lease that allows it to the state that it was meant to bring."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from google.cloud.run_v2 import Service

from loopctl.platforms.cloud_run.api import Api, Paths
from loopctl.platforms.cloud_run.conditions import fault_of, has_failed, why_failed
from loopctl.platforms.cloud_run.errors import Code
from loopctl.platforms.cloud_run.fences import Fence
from loopctl.platforms.cloud_run.operations import Started
from loopctl.ports.leases import Held
from loopctl.ports.platform import PlatformError
from loopctl.process import Stop

_CONFLICTS: Final = 4
_WAIT_S: Final = 2.0
_LOOK_EVERY_S: Final = 4.0
_LOOKS_AT_REST: Final = 3
"""How often a service may be met at rest, and not as it should be, before that is believed."""


class ConflictError(PlatformError):
    """The operation of a change has found that somebody else was quicker."""


class Changes:
    """Changes services of one place under a lease."""

    def __init__(self, api: Api, fence: Fence) -> None:
        self._api = api
        self._fence = fence

    def begin(
        self,
        service: str,
        change: Callable[[Service], Paths | None],
        doing: str,
        held: Held,
        stop: Stop,
    ) -> Started | None:
        """As `Api.change`, but only while `held` is the lease. Raises `LeaseLost`."""

        def fenced(found: Service) -> Paths | None:
            prolonged = self._fence.fence(found, held, stop)
            paths = change(found)
            return None if paths is None else [*paths, *prolonged]

        return self._api.change(service, fenced, doing, stop)

    def require(self, service: Service, held: Held, stop: Stop) -> None:
        """Raises `LeaseLost` unless `held` is the lease on what was just read."""
        self._fence.fence(service, held, stop)

    def bring(
        self,
        service: str,
        change: Callable[[Service], Paths | None],
        is_there: Callable[[Service], bool],
        doing: str,
        held: Held,
        stop: Stop,
    ) -> Service:
        """Change it, wait until it is as it should be, and again after a late conflict.

        What it is then. Raises `LeaseLost`, `PlatformError`.
        """
        conflicts = 0
        while True:
            started = self.begin(service, change, doing, held, stop)
            try:
                return self.settle(service, started, is_there, doing, stop)
            except ConflictError:
                conflicts += 1
                if conflicts > _CONFLICTS:
                    raise

    def settle(
        self,
        service: str,
        started: Started | None,
        is_there: Callable[[Service], bool],
        doing: str,
        stop: Stop,
    ) -> Service:
        """Wait until the service is as it should be; what it is then.

        What the service says decides, not the operation, which may be stuck. Raises
        `PlatformError` when it has come to rest otherwise.
        """
        looked = float("-inf")
        rested = 0
        while True:
            ended = started is None or started.done
            if started is not None and not ended:
                started = self._api.operations.ended(started, _WAIT_S, stop)
                ended = started.done
            if started is not None and started.error and started.error.code is Code.ABORTED:
                # What is there may look right all the same, and this change is not in it.
                raise ConflictError(f"cannot {doing}: {started.error.text}", where=service)
            if ended or time.monotonic() - looked >= _LOOK_EVERY_S:
                looked = time.monotonic()
                found = self._api.service(service, stop)
                if found is None:
                    raise PlatformError(f"{service} is gone", where=service)
                if is_there(found):
                    return found
                rested = rested + 1 if _is_at_rest(found) else 0
                told = started is not None and started.error is not None
                if (told and not found.reconciling) or rested > _LOOKS_AT_REST:
                    raise self._refusal(service, found, started, doing)
            if ended:
                stop.wait(1.0)

    def _refusal(
        self, service: str, found: Service, started: Started | None, doing: str
    ) -> PlatformError:
        text, condition = why_failed(None, found) if has_failed(found) else ("", "")
        if not text and started is not None and started.error is not None:
            text = started.error.text
        text = text or "the service has come to rest otherwise, and says nothing of it"
        fault = fault_of(text, condition, service, service, self._api.names)
        return PlatformError(
            f"cannot {doing}: {fault.summary}", fault=fault, where=service, hint=fault.hint
        )


def _is_at_rest(service: Service) -> bool:
    """Whether nothing is under way, as far as the service tells."""
    seen = service.observed_generation in (0, service.generation)
    return not service.reconciling and (seen or has_failed(service))
