"""Who loopctl is to each service: nobody in particular, or who a token says."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from loopctl.errors import Problem
from loopctl.model.addresses import audience_of
from loopctl.model.plan import CloudRunPlace, ServiceSpec
from loopctl.ports.identity import Identity, IdentityError, Token
from loopctl.ports.platform import Absent, Platform
from loopctl.process import Stop


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks a service. `token` None: nobody in particular.

    `place` is where loopctl deploys it, None where that is not on Cloud Run or not loopctl's to
    know.
    """

    token: Token | None = None
    place: CloudRunPlace | None = None


NOBODY = Caller()


class Callers:
    """Finds out as whom each service is asked. Safe to share by threads.

    `identity` may be None where no service wants a token.
    """

    def __init__(
        self,
        identity: Identity | None = None,
        platform: Platform | None = None,
        place: CloudRunPlace | None = None,
    ) -> None:
        self._identity = identity
        self._platform = platform
        self._place = place
        self._urls: dict[str, str] = {}
        self._looking = threading.Lock()

    def check(self, specs: Sequence[ServiceSpec], stop: Stop) -> Sequence[Problem]:
        """What keeps tokens from being had for those that want one."""
        wanting = [spec for spec in specs if spec.auth.kind == "id_token"]
        if not wanting or self._identity is None:
            return ()
        return self._identity.check(wanting, stop)

    def of(self, spec: ServiceSpec, stop: Stop) -> Caller:
        """As whom it is asked now. Raises `IdentityError`, and `PlatformError` for want of its URL.

        A token is made out to what the loop file says, else to the service's own URL, also where a
        candidate is met at another.
        """
        place = self._place if spec.is_deployed else None
        if spec.auth.kind != "id_token" or self._identity is None:
            return Caller(None, place)
        audience = audience_of(spec, None) or audience_of(spec, self._url(spec.name, stop))
        if audience is None:
            raise IdentityError(
                f"{spec.name} has no URL yet that a token could be made out to",
                where=spec.name,
                hint="auth: {kind: id_token, audience: …} names one",
            )
        return Caller(self._identity.token(spec, audience, stop), place)

    def _url(self, service: str, stop: Stop) -> str | None:
        with self._looking:
            if service not in self._urls and self._platform is not None:
                state = self._platform.observe(service, stop)
                if not isinstance(state, Absent) and state.url:
                    self._urls[service] = state.url
            return self._urls.get(service)


ANONYMOUS = Callers()
