"""Logins at Google's image registries, by the credentials that its APIs are asked with.

https://cloud.google.com/artifact-registry/docs/docker/authentication#token: the user
`oauth2accesstoken`, an access token for a password.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from loopctl.engine.login import Login
from loopctl.platforms.cloud_run.credentials import own_credentials
from loopctl.platforms.cloud_run.errors import translated
from loopctl.ports.platform import PlatformError
from loopctl.redact import Secret

if TYPE_CHECKING:
    from google.auth.credentials import Credentials

NAME: Final = "access-token"
"""What stands in place of a token wherever one is hidden."""

USER: Final = "oauth2accesstoken"
_TIMEOUT_S: Final = 15.0


class GoogleLogins:
    """A `LoginSource` that knows Google's registries and no other. Safe to share by threads.

    `impersonate` is the service account to be, None for whoever one is; `learn` is told every token
    before anybody is given it. Nothing is asked before a registry of Google's is; then a token is
    kept for as long as it is good for.
    """

    def __init__(self, impersonate: str | None, learn: Callable[[Secret], None]) -> None:
        self._impersonate = impersonate
        self._learn = learn
        self._asking = threading.Lock()
        self._credentials: Credentials | None = None

    def __call__(self, host: str) -> Login | None:
        """The login at a registry; raises `PlatformError` where there are no credentials."""
        if not is_googles(host):
            return None
        with self._asking:
            token = Secret(NAME, self._token())
        try:
            self._learn(token)
        except ValueError as error:
            raise PlatformError(f"the access token cannot be kept hidden: {error}") from None
        # It opens every API that its owner may use.
        return Login(USER, token, narrow=True)

    def _token(self) -> str:
        from google.auth.transport.requests import Request  # noqa: PLC0415

        if self._credentials is None:
            self._credentials = own_credentials(self._impersonate)
        # It says to be no more valid minutes before it ends.
        if not self._credentials.valid:
            with translated("get an access token"):
                self._credentials.refresh(functools.partial(Request(), timeout=_TIMEOUT_S))
        return str(self._credentials.token)


def is_googles(host: str) -> bool:
    """Whether `host[:port]` is Artifact Registry or Container Registry, by its own name."""
    name = host.lower().removesuffix(":443")
    return name == "gcr.io" or name.endswith((".gcr.io", ".pkg.dev"))
