"""What a loop gives to its services and suites, as hashes by name: compared, never shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from loopctl.model.plan import Plan, RunSpec, SecretSpec
from loopctl.redact.secret import keyed_hash

_DIGITS = 16

SHARED_DIGITS: Final = 5
"""How much of a hash is kept where many may read it: 20 bits.

That tells a changed value from the same but for once in a million. Who has come by the key as well
cannot be sure of a guess by it: of every million passwords tried, one fits by chance.
"""

_RESOURCES: Final = (
    *("command", "port", "cpu", "memory", "min_instances", "max_instances", "concurrency"),
    *("timeout_s", "service_account", "cloud_run"),
)


def given_hashes(plan: Plan, key: bytes, digits: int = _DIGITS) -> Mapping[str, str]:
    """Every variable, secret, build argument, resource and image from elsewhere, with keyed hashes.

    Named `NAME of SERVICE`. The loop's files may be the same and a value another: `${NAME}` is
    filled in from outside.
    """
    given: dict[str, list[str]] = {}
    for name, value in _given(plan):
        given.setdefault(name, []).append(value)
    # With its name: that two variables have one value is nobody's business.
    return {name: keyed_hash(key, repr((name, each)))[:digits] for name, each in given.items()}


def _given(plan: Plan) -> Iterator[tuple[str, str]]:
    for spec in plan.deployed:
        if spec.image is not None:
            yield f"image of {spec.name}", spec.image
        yield from _resources(spec.name, spec.run)
        for values in (spec.build.args, spec.run.env):
            for name, value in (values or {}).items():
                yield f"{name} of {spec.name}", repr(value)
        for secret in (*spec.build.secrets, *spec.run.secrets):
            yield f"{secret.name} of {spec.name}", _of_secret(secret)
    for suite in plan.suites:
        for name, value in (suite.env or {}).items():
            yield f"{name} of suite {suite.id}", repr(value)


def _resources(service: str, run: RunSpec) -> Iterator[tuple[str, str]]:
    for field in _RESOURCES:
        value = getattr(run, field)
        if value not in (None, {}):
            yield f"{field.removesuffix('_s')} of {service}", repr(value)


def _of_secret(secret: SecretSpec) -> str:
    value = secret.value.reveal() if secret.value is not None else None
    return repr((value, secret.reference))
