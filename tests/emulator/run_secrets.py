"""Environment variables of a revision, with the values of the secrets that they refer to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from emulator import run_texts as texts
from emulator.run_conditions import Failure
from emulator.run_messages import CommonReason, RevisionPb
from emulator.run_names import short
from emulator.run_template import ingress


@dataclass(slots=True)
class Secrets:
    """Values by the secret's name and its version.

    `states` are of versions that are not `ENABLED`, for whoever asks Secret Manager itself.
    """

    project: str
    values: dict[str, dict[str, str]] = field(default_factory=dict)
    states: dict[tuple[str, str], str] = field(default_factory=dict)

    def number(self, secret: str, wanted: str) -> str | None:
        """The version that a name means, None where there is none."""
        return _number(self.values.get(secret, {}), wanted)

    def environment(self, revision: RevisionPb) -> dict[str, str] | Failure:
        """The variables of the container that requests go to, or the secret that is not there."""
        made: dict[str, str] = {}
        for variable in ingress(revision).env:
            if variable.WhichOneof("values") != "value_source":
                made[variable.name] = variable.value
                continue
            wanted = variable.value_source.secret_key_ref
            value = _version(self.values.get(short(wanted.secret), {}), wanted.version)
            if value is None:
                text = texts.secret_absent(self.project, short(wanted.secret), wanted.version)
                return Failure(text, CommonReason.SECRETS_ACCESS_CHECK_FAILED)
            made[variable.name] = value
        return made

    def denied(self, revision: RevisionPb) -> Failure:
        """The revision's account may read none of them: one line per variable."""
        lines = [
            texts.secret_denied(
                self.project,
                0,
                at,
                short(variable.value_source.secret_key_ref.secret),
                variable.value_source.secret_key_ref.version,
            )
            for at, variable in enumerate(ingress(revision).env)
            if variable.WhichOneof("values") == "value_source"
        ]
        return Failure("\n".join(lines), CommonReason.SECRETS_ACCESS_CHECK_FAILED)


def _version(versions: Mapping[str, str], wanted: str) -> str | None:
    number = _number(versions, wanted)
    return None if number is None else versions[number]


def _number(versions: Mapping[str, str], wanted: str) -> str | None:
    if wanted in ("", "latest") and versions:
        return max(versions, key=lambda name: (len(name), name))
    return wanted if wanted in versions else None
