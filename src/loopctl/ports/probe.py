"""Asking a service over HTTP how it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from loopctl.errors import Problem
from loopctl.process import Stop
from loopctl.redact import Secret


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer. `latency_s` runs from the request to the last byte; `body` is cut at 64 KiB.

    `own` is False when not the service but the proxy before it answered (502, 503 of a front door).
    """

    status: int
    latency_s: float
    body: str
    location: str | None = None
    own: bool = True


@dataclass(frozen=True, slots=True)
class Unreachable:
    """No answer came; `reason` is one line."""

    reason: str


class Prober(Protocol):
    """Makes one request; an unreachable service is an answer too."""

    def check(self, stop: Stop) -> Sequence[Problem]:
        """What keeps it from asking anybody, as a proxy that is named wrongly; makes it ready."""
        ...

    def get(
        self,
        url: str,
        timeout_s: float,
        follow_redirects: bool,
        stop: Stop,
        bearer: Secret | None = None,
    ) -> Answer | Unreachable:
        """GET `url`, with a token where `bearer` is one.

        The token goes to that host alone, never along a redirect to another, and nowhere without
        TLS but to this machine.
        """
        ...
