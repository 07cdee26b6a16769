"""Who loopctl is to Google's APIs: Application Default Credentials, or whom they may act as."""

from __future__ import annotations

from typing import Final

import google.auth
import google.auth.exceptions
from google.auth.credentials import AnonymousCredentials, Credentials

from loopctl.inert import one_line
from loopctl.model.plan import CloudRunPlace
from loopctl.platforms.cloud_run.door import Door
from loopctl.ports.platform import PlatformError

SCOPES: Final = ("https://www.googleapis.com/auth/cloud-platform",)
_LIFETIME_S: Final = 3600
LOG_IN: Final = "gcloud auth application-default login"


def credentials_of(place: CloudRunPlace, door: Door | None) -> Credentials:
    """The credentials for the APIs of a place. Raises `PlatformError` where there are none.

    Nobody is anybody at a door without TLS: a token would be read on the way.
    """
    if door is not None and door.plain:
        return AnonymousCredentials()
    return own_credentials(place.impersonate)


def own_credentials(impersonate: str | None) -> Credentials:
    """Application Default Credentials, or those of the service account that they act as."""
    try:
        found, _ = google.auth.default(scopes=SCOPES)
    except (google.auth.exceptions.GoogleAuthError, OSError, ValueError) as error:
        raise PlatformError(
            f"there are no usable Google credentials: {one_line(str(error), limit=200)}",
            where="credentials",
            hint=LOG_IN,
        ) from None
    if impersonate is None:
        return found
    from google.auth import impersonated_credentials  # noqa: PLC0415 - few need it

    return impersonated_credentials.Credentials(
        source_credentials=found,
        target_principal=impersonate,
        target_scopes=list(SCOPES),
        lifetime=_LIFETIME_S,
    )
