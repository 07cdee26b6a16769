"""Makes the services of a `Plan` of the models that have passed every check."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

from loopctl.loopfile.chosen import Chosen
from loopctl.loopfile.nodes import Scalar
from loopctl.loopfile.paths import glob_from_root, written_path
from loopctl.loopfile.schema_service import (
    AuthPart,
    BuildPart,
    HealthPart,
    RunPart,
    SecretPart,
    ServicePart,
)
from loopctl.model.plan import AuthSpec, BuildSpec, HealthSpec, RunSpec, SecretSpec, ServiceSpec
from loopctl.redact import Secret


def given(**values: Any) -> dict[str, Any]:
    """The values that are not None, so that the defaults of the model hold for the others."""
    return {name: value for name, value in values.items() if value is not None}


def services_of(chosen: Chosen, parts: Mapping[str, ServicePart]) -> tuple[ServiceSpec, ...]:
    """The services in the order of their needs; independent ones as the file has them."""
    ordered = _in_order({name: part.needs or [] for name, part in parts.items()})
    return tuple(_service(chosen, name, parts[name]) for name in ordered)


def _in_order(needs: Mapping[str, list[str]]) -> Iterator[str]:
    waiting = {name: set(wanted) for name, wanted in needs.items()}
    while waiting:
        ready = next(name for name, wanted in waiting.items() if not wanted & waiting.keys())
        del waiting[ready]
        yield ready


def _service(chosen: Chosen, name: str, part: ServicePart) -> ServiceSpec:
    source = None if part.url else chosen.services.scalar(name, "source")
    return ServiceSpec(
        name=name,
        build=_build(chosen, part.build or BuildPart()),
        run=_run(part.run or RunPart()),
        health=_health(part.health or HealthPart()),
        **given(
            source=written_path(source) if source else None,
            url=part.url,
            image=part.image,
            needs=tuple(part.needs or ()),
            migrations=_migrations(chosen, name),
            provenance=part.provenance,
            auth=_auth(part.auth),
            public_url=part.public_url,
        ),
    )


def _migrations(chosen: Chosen, name: str) -> tuple[str, ...]:
    """The globs from the project's root: as written in their file, and as below the source.

    Both ways of writing them are found in the wild, and to look at too much only asks a person.
    """
    source = chosen.services.scalar(name, "source")
    below = os.path.relpath(written_path(source), chosen.root) if source else None
    found: dict[str, None] = {}
    for node in chosen.services.items(name, "migrations"):
        if isinstance(node, Scalar):
            found[glob_from_root(node, chosen.root)] = None
            if below is not None:
                found[os.path.normpath(f"{below}/{node.text}")] = None
    return tuple(glob for glob in found if glob != ".." and not glob.startswith("../"))


def _build(chosen: Chosen, part: BuildPart) -> BuildSpec:
    return BuildSpec(
        builder="local" if chosen.platform == "local" else "docker",
        **given(
            dockerfile=part.dockerfile,
            target=part.target,
            args=part.args,
            secrets=tuple(_secret(name, secret) for name, secret in (part.secrets or {}).items()),
            steps=tuple(part.steps or ()),
            alters=tuple(part.alters or ()),
            timeout_s=part.timeout,
        ),
    )


def _run(part: RunPart) -> RunSpec:
    return RunSpec(
        command=tuple(part.command) if part.command else None,
        port=part.port,
        env=part.env,
        secrets=tuple(_secret(name, secret) for name, secret in (part.secrets or {}).items()),
        cpu=part.cpu,
        memory=part.memory,
        min_instances=part.min_instances,
        max_instances=part.max_instances,
        concurrency=part.concurrency,
        timeout_s=part.timeout,
        service_account=part.service_account,
        cloud_run=part.cloud_run,
    )


def _secret(name: str, part: SecretPart) -> SecretSpec:
    value = None if part.value is None else Secret(name, part.value)
    return SecretSpec(name, value=value, reference=part.secret)


def _health(part: HealthPart) -> HealthSpec:
    return HealthSpec(
        **given(
            path=part.path,
            status=tuple(part.status) if part.status else None,
            redirects=part.redirects,
            expect=part.expect,
            max_latency_s=part.max_latency,
            stable_for_s=part.stable_for,
            timeout_s=part.timeout,
        )
    )


def _auth(part: AuthPart | None) -> AuthSpec | None:
    return None if part is None else AuthSpec(part.kind, part.audience, part.impersonate)
