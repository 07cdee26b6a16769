"""As whom this environment is asked, and whether Google takes it: for `doctor`."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, Final

import requests
from google.auth.credentials import Credentials
from google.auth.exceptions import GoogleAuthError

from loopctl.errors import Stopped
from loopctl.found import Found
from loopctl.inert import one_line
from loopctl.platforms.cloud_run.clients import Clients
from loopctl.platforms.cloud_run.credentials import LOG_IN, own_credentials
from loopctl.platforms.cloud_run.known import enable
from loopctl.platforms.cloud_run.limited_request import LimitedRequest
from loopctl.platforms.cloud_run.token_source import grant
from loopctl.ports.platform import PlatformError
from loopctl.process import Stop

_NAME: Final = "credentials"
_LONGEST_S: Final = 20.0
_SOMEBODY: Final = re.compile(r"user:YOU(@EXAMPLE\.COM)?")


def who_asks(clients: Clients, stop: Stop) -> Found:
    """The account, once a token of it has been had; what keeps it from that otherwise."""
    if clients.door is not None and clients.door.plain:
        said = f"none are shown to {clients.door.url}, which is spoken to without TLS"
        return Found(_NAME, ok=True, said=said)
    account = clients.place.impersonate
    try:
        own = own_credentials(None)
        if (refused := _refused(own, stop)) is not None:
            return Found(_NAME, ok=False, said=f"they are refused: {refused}", hint=LOG_IN)
        if account is None:
            return Found(_NAME, ok=True, said=account_of(own) or "a person's own, without a name")
        refused = _refused(clients.credentials, stop)
    except PlatformError as error:
        return Found(_NAME, ok=False, said=error.what, hint=error.hint)
    me = account_of(own) or "the account that is logged in"
    if refused is None:
        return Found(_NAME, ok=True, said=f"{me}, acting as {account}")
    off = "has not been used in project" in refused
    hint = enable("iamcredentials", clients.place.project) if off else grant(account)
    said = f"{me} may not act as {account}: {refused}"
    return named(Found(_NAME, ok=False, said=said, hint=hint), member_of(own))


def account_of(credentials: Credentials) -> str | None:
    """Its e-mail, where the credentials tell it: those of a person mostly do not."""
    for name in ("service_account_email", "account"):
        found = getattr(credentials, name, None)
        if isinstance(found, str) and "@" in found:
            return one_line(found, limit=120)
    return None


def member_of(credentials: Credentials) -> str | None:
    """The account as IAM's commands name it, None where it is not known."""
    account = account_of(credentials)
    if account is None:
        return None
    kind = "serviceAccount" if account.endswith("gserviceaccount.com") else "user"
    return f"{kind}:{account}"


def named(found: Found, member: str | None) -> Found:
    """The same with the account itself in its command, in the place of `user:YOU`."""
    if member is None or found.hint is None:
        return found
    return replace(found, hint=_SOMEBODY.sub(member, found.hint))


def _refused(credentials: Any, stop: Stop) -> str | None:
    """Why no token is had, None where one is."""
    try:
        with stop.child(_LONGEST_S) as limited:
            credentials.refresh(LimitedRequest(limited))
    except Stopped:
        stop.remaining(0)
        return f"no answer within {_LONGEST_S:g} s"
    except (GoogleAuthError, requests.RequestException, OSError, ValueError, TypeError) as error:
        return one_line(str(error.args[0] if error.args else error), limit=300)
    return None
