"""What the API refuses before it does anything: facts/cloud-run.md 1.1 to 1.3."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

import grpc  # type: ignore[import-untyped]

from emulator import run_texts as texts
from emulator.faults import invalid
from emulator.rpc import RpcFault
from emulator.run_messages import LATEST, ContainerPb, ServicePb
from emulator.run_names import is_revision_id, is_service_id, is_tag, short
from emulator.run_template import memory_bytes

_RESERVED: Final = (
    "run.googleapis.com",
    "cloud.googleapis.com",
    "serving.knative.dev",
    "autoscaling.knative.dev",
)
_TAG_AND_SERVICE: Final = 46
_PROBE_S: Final = 240


def check_service_id(request: str, service_id: str) -> None:
    """Raises `RpcFault` for an id that no service may have."""
    if not is_service_id(service_id):
        text = texts.violation(request, "service_id", texts.SERVICE_ID)
        raise invalid("service_id", text)


def check_service(request: str, service: ServicePb) -> None:
    """Raises `RpcFault` for a service that cannot be: of labels, template, traffic."""
    for where, owner in (("service", service), ("service.template", service.template)):
        _check_namespaces(request, where, owner)
    _check_template(request, service)
    _check_traffic(request, service)


def _check_namespaces(request: str, where: str, owner: Any) -> None:
    for field in ("labels", "annotations"):
        for key in getattr(owner, field):
            namespace = key.partition("/")[0]
            if "/" in key and any(
                namespace == one or namespace.endswith(f".{one}") for one in _RESERVED
            ):
                rule = f"{field} in namespace '{namespace}' are not supported: '{key}'."
                path = f"{where}.{field}"
                raise invalid(path, texts.violation(request, path, rule))


def _check_template(request: str, service: ServicePb) -> None:
    path = "service.template.containers"
    if not service.template.containers:
        raise invalid(path, texts.violation(request, path, "at least one container is required."))
    for at, container in enumerate(service.template.containers):
        _check_container(request, f"{path}[{at}]", container)
    name = service.template.revision
    if name and not is_revision_id(name, short(service.name)):
        path = "service.template.revision"
        raise invalid(path, texts.violation(request, path, texts.REVISION_ID))


def _check_container(request: str, path: str, container: ContainerPb) -> None:
    if not container.image:
        raise invalid(f"{path}.image", texts.violation(request, f"{path}.image", "is required."))
    if len(container.ports) > 1:
        rule = "at most one port is allowed."
        raise invalid(f"{path}.ports", texts.violation(request, f"{path}.ports", rule))
    if container.resources.limits.get("memory"):
        _check_memory(request, f"{path}.resources.limits", container)
    if container.HasField("startup_probe"):
        _check_probe(request, f"{path}.startup_probe", container)


def _check_memory(request: str, path: str, container: ContainerPb) -> None:
    try:
        memory_bytes(container)
    except ValueError as error:
        raise invalid(path, texts.violation(request, path, str(error))) from None


def _check_probe(request: str, path: str, container: ContainerPb) -> None:
    probe = container.startup_probe
    period, timeout = probe.period_seconds or 10, probe.timeout_seconds or 1
    if timeout > period:
        rule = "timeout_seconds must not exceed period_seconds."
    elif probe.initial_delay_seconds > _PROBE_S or period > _PROBE_S:
        rule = f"no more than {_PROBE_S} seconds are allowed."
    elif period * (probe.failure_threshold or 3) > _PROBE_S:
        rule = f"failure_threshold times period_seconds must not exceed {_PROBE_S} seconds."
    else:
        return
    raise invalid(path, texts.violation(request, path, rule))


def _check_traffic(request: str, service: ServicePb) -> None:
    path = "service.traffic"
    if not service.traffic:
        return
    for target in service.traffic:
        if target.type_ != LATEST and not target.revision:
            raise invalid(path, texts.violation(request, path, "a target needs a revision."))
        if target.tag:
            _check_tag(request, service, target.tag)
    total = sum(target.percent for target in service.traffic)
    if total != 100:
        rule = f"traffic targets sum to {total}, want 100."
        raise invalid(path, texts.violation(request, path, rule))
    tags = Counter(target.tag for target in service.traffic if target.tag)
    for tag, times in tags.items():
        if times > 1:
            rule = f"tag '{tag}' is given {times} times."
            raise invalid(path, texts.violation(request, path, rule))


def _check_tag(request: str, service: ServicePb, tag: str) -> None:
    service_id = short(service.name)
    if len(tag) + len(service_id) > _TAG_AND_SERVICE:
        raise invalid("spec.traffic.tag", texts.tag_too_long(tag, service_id))
    if not is_tag(tag):
        rule = "only lowercase, digits, and hyphens; must begin with letter."
        path = "service.traffic.tag"
        raise invalid(path, texts.violation(request, path, rule))


def not_found(kind: str, name: str, region: str, project: str) -> RpcFault:
    return RpcFault(
        grpc.StatusCode.NOT_FOUND,
        f"Resource '{short(name)}' of kind '{kind}' in region '{region}' in project '{project}' "
        "does not exist.",
    )
