"""How Google's ID tokens are made, by the sort of credentials that there are."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

from google.auth import compute_engine, impersonated_credentials
from google.auth.credentials import Credentials
from google.auth.exceptions import GoogleAuthError, RefreshError
from google.auth.transport import Request
from google.oauth2 import service_account

from loopctl.inert import one_line
from loopctl.platforms.cloud_run.credentials import own_credentials
from loopctl.ports.identity import IdentityError

_ROLE: Final = "roles/iam.serviceAccountTokenCreator"


class TokenSource:
    """Makes ID tokens for one audience, of `credentials` or as the account `impersonate`."""

    def __init__(
        self, credentials: Credentials, impersonate: str | None, audience: str, request: Request
    ) -> None:
        """Raises `IdentityError` where these credentials can make none."""
        self._impersonate = impersonate
        self._audience = audience
        self._credentials: Any = credentials
        if impersonate is None:
            self._credentials = _id_token_credentials(credentials, audience, request)

    def make(self, request: Request) -> str:
        """A new token. Raises `GoogleAuthError`, `ValueError`, `KeyError` when it gets none."""
        if self._impersonate is not None:
            return _impersonated(self._credentials, self._impersonate, self._audience, request)
        self._credentials.refresh(request)
        return str(self._credentials.token)


def own_source(impersonate: str | None, audience: str, request: Request) -> TokenSource:
    """One over the Application Default Credentials. Raises `IdentityError`, `PlatformError`."""
    return TokenSource(own_credentials(None), impersonate, audience, request)


def _id_token_credentials(found: Credentials, audience: str, request: Request) -> Any:
    if isinstance(found, service_account.Credentials):
        return service_account.IDTokenCredentials(
            found.signer, found.service_account_email, found._token_uri, audience
        )
    if isinstance(found, compute_engine.Credentials):
        return compute_engine.IDTokenCredentials(
            request, audience, use_metadata_identity_endpoint=True
        )
    if isinstance(found, impersonated_credentials.Credentials):
        return impersonated_credentials.IDTokenCredentials(
            found, target_audience=audience, include_email=True
        )
    raise IdentityError(
        f"{_sort(found)} make no ID token for an audience: only a service account's do",
        where="credentials",
        hint=f"name one in the loop file, `impersonate: NAME@PROJECT.iam.gserviceaccount.com`; "
        f"{grant('NAME@PROJECT.iam.gserviceaccount.com')}",
    )


def _sort(found: Credentials) -> str:
    external = "external" in type(found).__module__ or "identity_pool" in type(found).__module__
    return "credentials of another cloud or pool" if external else "a user's own credentials"


def grant(account: str) -> str:
    """The command by which a caller may act as a service account."""
    return (
        f"gcloud iam service-accounts add-iam-policy-binding {account} "
        f"--member=user:YOU@EXAMPLE.COM --role={_ROLE}"
    )


def _impersonated(source: Any, account: str, audience: str, request: Request) -> str:
    """Asks the IAM Credentials API.

    `impersonated_credentials.IDTokenCredentials` does so by a session of its own, in which every
    read may last two minutes, whatever the request that it was given allows.
    """
    if not source.valid:
        source.refresh(request)
    headers = {"Content-Type": "application/json"}
    source.apply(headers)
    response = request(
        url=f"https://iamcredentials.{source.universe_domain}/v1/projects/-/serviceAccounts/"
        f"{quote(account, safe='@')}:generateIdToken",
        method="POST",
        headers=headers,
        body=json.dumps({"audience": audience, "includeEmail": True}).encode(),
    )
    if response.status != HTTPStatus.OK:
        raise RefreshError(_refusal(response.status, response.data))
    return str(json.loads(response.data)["token"])


def _refusal(status: int, data: bytes) -> str:
    try:
        return str(json.loads(data)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return one_line(f"HTTP {status}: {data[:200]!r}")


def refused(error: Exception, impersonate: str | None, audience: str) -> IdentityError:
    """What went wrong, with what to do."""
    said = str(error.args[0]) if isinstance(error, GoogleAuthError) and error.args else str(error)
    said = one_line(said, limit=300) or type(error).__name__
    whom = f" as {impersonate}" if impersonate else ""
    hint = grant(impersonate) if impersonate else "gcloud auth application-default login"
    return IdentityError(
        f"no ID token{whom} for {one_line(audience)}: {said}", where="credentials", hint=hint
    )
