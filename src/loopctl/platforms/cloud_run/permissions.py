"""Which permissions this account surely lacks. What cannot be told is never held against it."""

from __future__ import annotations

from typing import Final

from google.cloud.run_v2 import Service

from loopctl.platforms.cloud_run.api import Api
from loopctl.process import Stop

_GET: Final = "run.services.get"
_UPDATE: Final = "run.services.update"
_CREATE: Final = "run.services.create"


def needed(found: Service | None) -> tuple[str, ...]:
    """What a run does to a service that is there, or to one that is not."""
    return (_GET, _CREATE if found is None else _UPDATE)


def lacking(api: Api, service: str, found: Service | None, stop: Stop) -> tuple[str, ...] | None:
    """Those that this account lacks on a service that it has just looked at, None for unknown.

    That it may look is known. An answer that does not say so tells of nothing: IAM answers so for
    what does not exist, and a server that does not know permissions answers so for everything.
    """
    wanted = needed(found)
    granted = api.granted(service, wanted, stop)
    if granted is None or _GET not in granted:
        return None
    return tuple(each for each in wanted if each not in granted)


def role_hint(project: str) -> str:
    """What gives all of them."""
    return (
        f"gcloud projects add-iam-policy-binding {project} --member=user:YOU "
        "--role=roles/run.developer"
    )
