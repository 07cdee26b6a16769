"""What to do where Google's front end keeps loopctl out. Pure: loopctl never edits IAM."""

from __future__ import annotations

import re

from loopctl.evidence.front_end import FrontEndAnswer
from loopctl.stages.callers import Caller

_NUMBERED = re.compile(r"https://(?:[^/]*---)?([a-z][a-z0-9-]*)-(\d+)\.([a-z0-9-]+)\.run\.app")
_HASHED = re.compile(r"https://(?:[^/]*---)?([a-z][a-z0-9-]*)-[a-z0-9]{10}-[a-z]{2}\.a\.run\.app")


def refusal(kind: FrontEndAnswer, status: int, path: str, caller: Caller) -> str:
    """What has happened, behind the service's name."""
    if kind == "not-led-there" and path == "/healthz":
        return "Google's front end answers /healthz itself (404): it never reaches a container"
    if kind == "not-led-there":
        return f"Google's front end does not lead to it ({status}): ingress, or no such service"
    if caller.token is None:
        return f"Google's front end refuses it ({status}): it admits no anonymous caller"
    if status == 401:
        return "Google's front end does not take the token (401)"
    return f"Google's front end refuses {caller.token.whom or 'who the token is for'} ({status})"


def advice(
    kind: FrontEndAnswer, status: int, path: str, caller: Caller, service: str, url: str | None
) -> str:
    """The way in, with the command that opens it."""
    name, where = _named(service, url, caller)
    if kind == "not-led-there":
        if path == "/healthz":
            return f"health: {{path: /health}} for {service}; any path but /healthz gets through"
        return f"gcloud run services describe {name} {where}: see its ingress and its URLs"
    grant = (
        f"gcloud run services add-iam-policy-binding {name} --member={_member(caller)} "
        f"--role=roles/run.invoker {where}"
    )
    if caller.token is None:
        return f"`auth: id_token` for {service} in the loop file; and for who runs loopctl: {grant}"
    if status == 401:
        return (
            "auth: {kind: id_token, audience: …} must name the service's own URL, or one of its "
            f"custom audiences: gcloud run services describe {name} {where}"
        )
    return grant


def _member(caller: Caller) -> str:
    whom = caller.token.whom if caller.token else None
    if whom is None:
        whom = caller.place.impersonate if caller.place else None
    if whom is None:
        return "serviceAccount:NAME@PROJECT.iam.gserviceaccount.com"
    sort = "serviceAccount" if whom.endswith("gserviceaccount.com") else "user"
    return f"{sort}:{whom}"


def _named(service: str, url: str | None, caller: Caller) -> tuple[str, str]:
    """The service as gcloud knows it, and the options that say where it is."""
    if caller.place is not None:
        return service, f"--region={caller.place.region} --project={caller.place.project}"
    if numbered := _NUMBERED.match(url or ""):
        return numbered[1], f"--region={numbered[3]} --project={numbered[2]}"
    hashed = _HASHED.match(url or "")
    return hashed[1] if hashed else "SERVICE", "--region=REGION --project=PROJECT"
