"""A service's secrets on this machine, where no secret store has their values."""

from __future__ import annotations

from loopctl.errors import Problem
from loopctl.model.plan import PlatformKind, ServiceSpec
from loopctl.ports.platform import PlatformError


def values_of(spec: ServiceSpec, platform: PlatformKind) -> dict[str, str]:
    """The service's secrets by name. Raises `PlatformError` for one without a value."""
    if missing := valueless(spec, platform):
        raise PlatformError(missing[0].message, where=spec.name, hint=missing[0].hint)
    return {each.name: each.value.reveal() for each in spec.run.secrets if each.value is not None}


def valueless(spec: ServiceSpec, platform: PlatformKind) -> list[Problem]:
    """A problem for each of its secrets that has no value."""
    return [
        Problem(
            f"secret {secret.name} has no value",
            where=spec.name,
            hint=f"give run.secrets.{secret.name} a value: "
            f"{platform.value} takes none from a secret store",
        )
        for secret in spec.run.secrets
        if secret.value is None
    ]
