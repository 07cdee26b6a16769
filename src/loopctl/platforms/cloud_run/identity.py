"""Google's ID tokens, for services that admit no anonymous caller."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import google.auth.exceptions
import requests

from loopctl.errors import Problem, Stopped
from loopctl.model.addresses import audience_of
from loopctl.model.plan import ServiceSpec
from loopctl.platforms.cloud_run.limited_request import LimitedRequest
from loopctl.platforms.cloud_run.token_source import TokenSource, own_source, refused
from loopctl.ports.identity import Identity, IdentityError, Token
from loopctl.ports.platform import PlatformError
from loopctl.process import Stop
from loopctl.redact import Secret

NAME: Final = "id-token"
"""What stands in place of a token wherever one is hidden."""

_RENEWED_BEFORE_S: Final = 300.0
_LONGEST_S: Final = 20.0
_AGAIN_S: Final = 10.0
_LAST_S: Final = 30.0
"""A token that cannot be renewed is still given while it is good for so long."""

_Key = tuple[str | None, str]


@dataclass(frozen=True, slots=True)
class _Kept:
    """A token with its times, in seconds since 1970."""

    token: Token
    renewed_at: float
    expires: float


class GoogleIdentity(Identity):
    """Tokens by Application Default Credentials, or as the account that is impersonated.

    `impersonate` is the environment's; a service's own goes before it. `learn` is told every token
    before anybody is given it. Each is kept, and renewed five minutes before it expires; one that
    lives for less than ten, at half of its time.
    """

    def __init__(
        self,
        impersonate: str | None,
        learn: Callable[[Secret], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._impersonate = impersonate
        self._learn = learn
        self._clock = clock
        self._sources: dict[_Key, TokenSource] = {}
        self._kept: dict[_Key, _Kept] = {}
        self._asking: defaultdict[_Key, threading.Lock] = defaultdict(threading.Lock)

    def check(self, specs: Sequence[ServiceSpec], stop: Stop) -> Sequence[Problem]:
        """A token for each is asked for: only that shows that it may be had."""
        problems: dict[Problem, None] = {}
        for spec in specs:
            # A service that is not deployed yet has no URL: then the token is for nobody.
            audience = audience_of(spec, None) or f"https://{spec.name}.invalid"
            try:
                self.token(spec, audience, stop)
            except IdentityError as error:
                problems[Problem(error.what, where=error.where, hint=error.hint)] = None
        return tuple(problems)

    def token(self, spec: ServiceSpec, audience: str, stop: Stop) -> Token:
        """The kept one while it is good for long, else a new one, within 20 seconds."""
        key = (self._account(spec), audience)
        with self._asking[key]:
            kept = self._kept.get(key)
            if kept is not None and self._clock() < kept.renewed_at:
                return kept.token
            try:
                self._kept[key] = self._new(key, stop)
            except IdentityError:
                if kept is None or self._clock() > kept.expires - _LAST_S:
                    raise
                # Meanwhile nobody else waits for a server that may not answer at all.
                again = self._clock() + _AGAIN_S
                self._kept[key] = replace(kept, renewed_at=again)
            return self._kept[key].token

    def _account(self, spec: ServiceSpec) -> str | None:
        return spec.auth.impersonate or self._impersonate

    def _new(self, key: _Key, stop: Stop) -> _Kept:
        impersonate, audience = key
        try:
            with stop.child(_LONGEST_S) as limited:
                request = LimitedRequest(limited)
                if key not in self._sources:
                    self._sources[key] = own_source(impersonate, audience, request)
                text = self._sources[key].make(request)
            return self._told(text)
        except Stopped:
            stop.remaining(0)
            late = TimeoutError(f"no answer within {_LONGEST_S:g} s")
            raise refused(late, impersonate, audience) from None
        except PlatformError as error:
            raise IdentityError(error.what, where=error.where, hint=error.hint) from None
        except _UNUSABLE as error:
            stop.remaining(0)
            raise refused(error, impersonate, audience) from None

    def _told(self, text: str) -> _Kept:
        secret = Secret(NAME, text)
        self._learn(secret)
        claims = _claims(text)
        expires, now = float(claims["exp"]), self._clock()
        if expires <= now:
            raise ValueError("the token that came has expired already: is this machine's clock on?")
        early = min(_RENEWED_BEFORE_S, (expires - now) / 2)
        email = claims.get("email")
        token = Token(secret, email if isinstance(email, str) else None)
        return _Kept(token, expires - early, expires)


_UNUSABLE: Final = (
    google.auth.exceptions.GoogleAuthError,
    requests.exceptions.RequestException,
    OSError,
    ValueError,
    KeyError,
    TypeError,
)
"""What comes of a token server that refuses, breaks off, or says what is none."""


def _claims(token: str) -> Mapping[str, Any]:
    """What it says of itself: read, not verified, as only its service has to trust it."""
    try:
        part = token.split(".")[1]
        found = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, IndexError):
        raise ValueError("what came is no ID token") from None
    if not isinstance(found, dict) or not isinstance(found.get("exp"), int | float):
        raise ValueError("the token that came does not say when it expires")
    return found
