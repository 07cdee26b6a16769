"""Whether this account may deploy services that run as theirs: `iam.serviceAccounts.actAs`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from google.cloud.run_v2 import Service

from loopctl.found import Found
from loopctl.model.plan import ServiceSpec
from loopctl.platforms.cloud_run.other_apis import OtherApis, permissions_in
from loopctl.process import Stop

_ACT_AS: Final = "iam.serviceAccounts.actAs"
_NUMBERED: Final = re.compile(r"https://[a-z0-9-]+-(?P<number>[0-9]{6,})\.[a-z0-9-]+\.run\.app/?")


def project_number(services: Iterable[Service]) -> str | None:
    """The project's number, which one form of its services' URLs has in it."""
    for service in services:
        for url in (*service.urls, service.uri):
            if (parts := _NUMBERED.fullmatch(url)) is not None:
                return parts["number"]
    return None


def runs_as(spec: ServiceSpec, found: Service | None, number: str | None) -> str | None:
    """The service account of its revisions, None while nobody can know it.

    The loop file's word, then that of the service, then the project's default account.
    """
    template = (spec.run.cloud_run or {}).get("template")
    own = template.get("serviceAccount") if isinstance(template, Mapping) else None
    named = spec.run.service_account or (own if isinstance(own, str) else None)
    kept = found.template.service_account if found is not None else ""
    default = f"{number}-compute@developer.gserviceaccount.com" if number else None
    return named or kept or default


def act_as_found(
    apis: OtherApis, project: str, accounts: Mapping[str, str | None], stop: Stop
) -> list[Found]:
    """Whether this account may act as each; `accounts` are by service."""
    found = []
    for account in dict.fromkeys(accounts.values()):
        services = ", ".join(name for name, each in accounts.items() if each == account)
        found.append(_found(apis, project, account, services, stop))
    return found


def _found(apis: OtherApis, project: str, account: str | None, services: str, stop: Stop) -> Found:
    title = f"account of {services}"
    if account is None:
        return Found.unknown(title, "the project's default account is not known by its name yet")
    path = f"v1/projects/-/serviceAccounts/{account}"
    answer = apis.granted("iam", path, [_ACT_AS], stop)
    granted = permissions_in(answer)
    if granted is not None and _ACT_AS in granted:
        return Found(title, ok=True, said=f"this account may act as {account}")
    hint = (
        f"gcloud iam service-accounts add-iam-policy-binding {account} --project={project} "
        "--member=user:YOU --role=roles/iam.serviceAccountUser"
    )
    # At another door an answer without it may be that of a server which knows no IAM.
    if apis.are_googles and answer is not None and answer.is_not_found:
        name = account.partition("@")[0]
        hint = f"gcloud iam service-accounts create {name} --project={project}"
        return Found(title, ok=False, said=f"there is no service account {account}", hint=hint)
    if apis.are_googles and granted is not None:
        said = f"this account lacks {_ACT_AS} on {account}"
        return Found(title, ok=False, said=said, hint=hint)
    why = f"nobody says here whether this account may act as {account}"
    return Found.unknown(title, why, hint if apis.are_googles else None)
