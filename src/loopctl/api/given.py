"""What a loop gives to its services and suites, as hashes by name: compared, never shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from loopctl.model.plan import Plan, SecretSpec
from loopctl.redact.secret import keyed_hash

_DIGITS = 16


def given_hashes(plan: Plan, key: bytes) -> Mapping[str, str]:
    """Every variable, secret, build argument and image from elsewhere, each with a keyed hash.

    Named `NAME of SERVICE`. The loop's files may be the same and a value another: `${NAME}` is
    filled in from outside.
    """
    given: dict[str, list[str]] = {}
    for name, value in _given(plan):
        given.setdefault(name, []).append(value)
    return {name: keyed_hash(key, repr(each))[:_DIGITS] for name, each in given.items()}


def _given(plan: Plan) -> Iterator[tuple[str, str]]:
    for spec in plan.deployed:
        if spec.image is not None:
            yield f"image of {spec.name}", spec.image
        for values in (spec.build.args, spec.run.env):
            for name, value in (values or {}).items():
                yield f"{name} of {spec.name}", repr(value)
        for secret in (*spec.build.secrets, *spec.run.secrets):
            yield f"{secret.name} of {spec.name}", _of_secret(secret)
    for suite in plan.suites:
        for name, value in (suite.env or {}).items():
            yield f"{name} of suite {suite.id}", repr(value)


def _of_secret(secret: SecretSpec) -> str:
    value = secret.value.reveal() if secret.value is not None else None
    return repr((value, secret.reference))
