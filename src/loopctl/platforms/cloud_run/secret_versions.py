"""Whether the secrets that a loop file refers to are there. Their values are never asked for.

The texts of an absent one: `Secret [projects/N/secrets/S] not found or has no versions.` and
`Secret Version [projects/N/secrets/S/versions/V] not found.`
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from loopctl.errors import Problem
from loopctl.found import Found
from loopctl.model.plan import ServiceSpec
from loopctl.platforms.cloud_run.known import enable
from loopctl.platforms.cloud_run.other_apis import Answer, OtherApis
from loopctl.process import Stop

API: Final = "secretmanager"
_VERSION_GONE: Final = re.compile(r"^Secret Version \[[^\]]*/versions/[^\]]*\] not found")
_SECRET_GONE: Final = re.compile(r"^Secret \[[^\]]*\] not found")


@dataclass(frozen=True, slots=True)
class SecretVersion:
    """A version of a secret of `project`, as `secret: NAME:VERSION` names it."""

    project: str
    secret: str
    version: str

    @classmethod
    def of(cls, project: str, reference: str) -> SecretVersion:
        """What the loop file names; without a version the latest."""
        secret, _, version = reference.partition(":")
        parts = re.fullmatch(r"projects/([^/]+)/secrets/([^/]+)", secret)
        if parts is not None:
            project, secret = parts.groups()
        return cls(project, secret, version or "latest")

    @property
    def path(self) -> str:
        """Its place in the API."""
        return f"v1/projects/{self.project}/secrets/{self.secret}/versions/{self.version}"

    @property
    def title(self) -> str:
        """What it is called in a list."""
        return f"secret {self.secret}:{self.version}"


def secrets_of(project: str, specs: Sequence[ServiceSpec]) -> list[SecretVersion]:
    """Those that the services refer to, each once."""
    named = [secret.reference for spec in specs for secret in spec.run.secrets]
    return list(dict.fromkeys(SecretVersion.of(project, name) for name in named if name))


def secrets_found(apis: OtherApis, wanted: Iterable[SecretVersion], stop: Stop) -> Iterator[Found]:
    """What is known of each; once nobody has answered, nobody is asked for the others."""
    silent = False
    for each in wanted:
        answer = None if silent else apis.get(API, each.path, stop)
        silent = answer is None
        yield _found(each, answer, sure=apis.are_googles)


def absent_secrets(
    apis: OtherApis, project: str, specs: Sequence[ServiceSpec], stop: Stop
) -> list[Problem]:
    """Those that no revision could be given, as far as that is sure."""
    found = secrets_found(apis, secrets_of(project, specs), stop)
    return [Problem(f.said, where=f.name, hint=f.hint) for f in found if not f.ok]


def _found(each: SecretVersion, answer: Answer | None, *, sure: bool) -> Found:
    if answer is None:
        return Found.unknown(each.title, "Secret Manager does not answer at this endpoint")
    if answer.is_disabled:
        return Found(each.title, ok=False, said=answer.message, hint=enable(API, each.project))
    if answer.status == 200:
        return _there(each, str(answer.document.get("state") or ""))
    absent = _absent(each, answer, sure=sure)
    if absent is not None:
        return absent
    if answer.status == 403:
        return Found.unknown(
            each.title, f"this account may not look at it ({answer.message})", _may_look(each)
        )
    return Found.unknown(each.title, answer.message)


def _there(each: SecretVersion, state: str) -> Found:
    if state in ("ENABLED", "1"):
        return Found(each.title, ok=True, said="is there, and enabled")
    if state in ("DISABLED", "2"):
        hint = (
            f"gcloud secrets versions enable {each.version} --secret={each.secret} "
            f"--project={each.project}"
        )
        return Found(each.title, ok=False, said="this version is disabled", hint=hint)
    if state in ("DESTROYED", "3"):
        return Found(each.title, ok=False, said="this version is destroyed", hint=_add(each))
    return Found.unknown(each.title, "the answer does not say whether it is enabled")


def _absent(each: SecretVersion, answer: Answer, *, sure: bool) -> Found | None:
    """Of another door's answer only Secret Manager's own words count: it may not be one at all."""
    if not answer.is_not_found:
        return None
    if _VERSION_GONE.match(answer.message) is not None:
        return Found(each.title, ok=False, said="there is no such version", hint=_add(each))
    if _SECRET_GONE.match(answer.message) is None and not sure:
        return None
    said = f"there is no secret {each.secret} in {each.project}, or it has no version"
    hint = (
        f"gcloud secrets create {each.secret} --data-file=FILE --project={each.project} "
        "(`gcloud secrets versions add` where it is there without a version)"
    )
    return Found(each.title, ok=False, said=said, hint=hint)


def _add(each: SecretVersion) -> str:
    return f"gcloud secrets versions add {each.secret} --data-file=FILE --project={each.project}"


def _may_look(each: SecretVersion) -> str:
    return (
        f"gcloud secrets add-iam-policy-binding {each.secret} --project={each.project} "
        "--member=user:YOU --role=roles/secretmanager.viewer"
    )
