"""A look at an environment without a run: nothing is deployed, leased, written or left behind.

Every service is looked at side by side. What does not answer in time is unknown, and keeps nobody
waiting.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from loopctl.errors import Stopped
from loopctl.model.finding import Fault, FaultKind
from loopctl.model.plan import ServiceSpec
from loopctl.ports.leases import Held
from loopctl.process import Stop, in_time, utc_now
from loopctl.stages.preflight import gate_faults
from loopctl.stages.survey_looked import Looked, redacted
from loopctl.stages.survey_service import Ports, ServiceSurvey
from loopctl.triage.triaged import ServiceLook

LIMIT_S: Final = 10.0
"""Seconds for all looks together; what is found is made sense of after that."""

_GATE_S: Final = 9.0
_MARGIN_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Surveyed:
    """What a survey has seen, by service in the order of the loop file, the gated-only ones last.

    `began` is when it looked.
    """

    began: datetime
    services: Mapping[str, Looked]

    @property
    def faults(self) -> tuple[Fault, ...]:
        """Those that a cause is looked for, each once."""
        found = (fault for looked in self.services.values() for fault in looked.faults)
        return tuple(dict.fromkeys(found))

    @property
    def held(self) -> Held | None:
        """A run that is going on, the one that began first."""
        holding = [looked.held for looked in self.services.values() if looked.held is not None]
        return min(holding, key=lambda held: held.since, default=None)


class Survey:
    """Looks at the services of one environment.

    `since`: from when on logs are read; at a `glance` none is: every read of them may be counted.
    """

    def __init__(
        self,
        deployed: Sequence[ServiceSpec],
        gated: Sequence[ServiceSpec],
        ports: Ports,
        since: datetime,
        *,
        glance: bool = False,
    ) -> None:
        self._deployed = deployed
        self._gated = gated
        self._ports = ports
        self._since = since
        self._glance = glance

    def __call__(self, stop: Stop) -> Surveyed:
        """Look, for `LIMIT_S` seconds at the most. Raises `Stopped` where `stop` has stopped."""
        began = utc_now()
        tasks: dict[str, Callable[[Stop], Looked]] = {
            spec.name: functools.partial(self._deployed_one, spec, began) for spec in self._deployed
        }
        tasks |= {spec.name: functools.partial(self._gated_one, spec) for spec in self._gated}
        with stop.child(LIMIT_S) as limited:
            found = in_time(limited, tasks)
        stop.remaining(0)
        return Surveyed(began, {name: found.get(name) or _unseen(name) for name in tasks})

    def _deployed_one(self, spec: ServiceSpec, began: datetime, stop: Stop) -> Looked:
        with stop.child(max(0.0, stop.remaining(LIMIT_S) - _MARGIN_S)) as limited:
            one = ServiceSurvey(spec, self._ports, self._since, began, self._glance)
            return one.run(limited)

    def _gated_one(self, spec: ServiceSpec, stop: Stop) -> Looked:
        """A service that this loop only depends on, asked by its own health rules."""
        try:
            with stop.child(_GATE_S) as limited:
                found = gate_faults(spec, self._ports.prober, self._ports.callers, limited)
        except Stopped:
            return _unseen(spec.name, spec.url)
        faults = tuple(redacted(fault, self._ports.redact) for fault in found)
        # Without a token nobody knows how it is.
        unasked = all(fault.kind is FaultKind.MISSING_TOOL for fault in faults)
        state = "healthy" if not faults else "unknown" if unasked else "unhealthy"
        look = ServiceLook(spec.name, state, url=spec.url, faults=faults)  # type: ignore[arg-type]
        return Looked(look, faults=() if unasked else faults)


def _unseen(service: str, url: str | None = None) -> Looked:
    said = f"{service}: it could not be looked at in {LIMIT_S:.0f} s"
    fault = Fault(FaultKind.CONTROL_PLANE, said, service)
    look = ServiceLook(service, "unknown", url=url, faults=(fault,))
    return Looked(look, unknown=(said,))
