"""Who loopctl is to the services it tests: a token for those that admit no anonymous caller."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from loopctl.errors import PortError, Problem
from loopctl.model.plan import ServiceSpec
from loopctl.process import Stop
from loopctl.redact import Secret


class IdentityError(PortError):
    """There is no token to be had."""


@dataclass(frozen=True, slots=True)
class Token:
    """What a service is shown. Redactors know its value already.

    `whom` it is for: the e-mail address of an account, where the token says it.
    """

    secret: Secret
    whom: str | None


class Identity(Protocol):
    """Gives tokens. Safe to share by threads."""

    def check(self, specs: Sequence[ServiceSpec], stop: Stop) -> Sequence[Problem]:
        """What keeps it from giving one for each of these; empty when nothing does."""
        ...

    def token(self, spec: ServiceSpec, audience: str, stop: Stop) -> Token:
        """A token for the service that is good for some minutes. Raises `IdentityError`.

        `audience` is whom it is made out to: the root URL of the service, or what `spec.auth`
        names. Whoever is given one keeps it for no longer than until it is used, or asks again.
        """
        ...
