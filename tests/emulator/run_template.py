"""Templates: the defaults that the server fills in, and the revision that is made of one."""

from __future__ import annotations

import re
import uuid
from typing import Final

from emulator import run_texts as texts
from emulator.run_conditions import revision_pending
from emulator.run_messages import (
    ContainerPb,
    Revision,
    RevisionPb,
    ServicePb,
    TemplatePb,
)
from emulator.run_names import Place, short
from emulator.run_state import CREATOR, copied

_STARTUP_S: Final = 240
_UNITS: Final = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}


def fill_defaults(template: TemplatePb, project: str) -> None:
    """What a template that was read back always has, whatever was sent."""
    if not template.HasField("timeout"):
        template.timeout.seconds = 300
    if not template.service_account:
        number = texts.project_number(project)
        template.service_account = f"{number}-compute@developer.gserviceaccount.com"
    for container in template.containers:
        _fill_resources(container)
    serving = ingress(template)
    if not serving.ports:
        serving.ports.add(name="http1", container_port=8080)
    if not serving.ports[0].name:
        serving.ports[0].name = "http1"
    if not serving.ports[0].container_port:
        serving.ports[0].container_port = 8080
    _fill_probe(serving)
    if not template.max_instance_request_concurrency:
        template.max_instance_request_concurrency = 80 if cpus(serving) >= 1 else 1


def ingress(template: TemplatePb | RevisionPb) -> ContainerPb:
    """The container that requests go to."""
    with_port = [container for container in template.containers if container.ports]
    return (with_port or list(template.containers))[0]


def container_name(container: ContainerPb) -> str:
    """What the logs call it."""
    image = container.image.partition("@")[0].rpartition("/")[2].partition(":")[0]
    return container.name or f"{image}-1"


def cpus(container: ContainerPb) -> float:
    text = container.resources.limits["cpu"]
    return float(text[:-1]) / 1000 if text.endswith("m") else float(text)


def memory_bytes(container: ContainerPb) -> int:
    """The limit. Raises `ValueError` for a quantity that is none."""
    found = re.fullmatch(r"([0-9.]+)(k|M|G|Ki|Mi|Gi)?", container.resources.limits["memory"])
    if found is None:
        raise ValueError(f"{container.resources.limits['memory']!r} is no quantity of memory")
    return int(float(found[1]) * _UNITS[found[2] or ""])


def same_template(one: TemplatePb, other: TemplatePb) -> bool:
    """Whether a revision of either would be the same; their names aside."""
    left, right = copied(one), copied(other)
    left.revision = right.revision = ""
    return bool(left == right)


def revision_of(service: ServicePb, name: str, place: Place) -> RevisionPb:
    """A new revision of the service's template."""
    revision = Revision(name=name, service=service.name, uid=str(uuid.uuid4()), generation=1)
    _copy_common(service.template, revision)
    for time_ in (revision.create_time, revision.update_time):
        time_.GetCurrentTime()
    revision.launch_stage = service.launch_stage
    revision.reconciling = True
    revision.creator = CREATOR
    revision.log_uri = texts.log_url(place, short(service.name), short(name))
    revision_pending(revision)
    return revision


def _copy_common(template: TemplatePb, revision: RevisionPb) -> None:
    """The fields that both have, under the same names."""
    target = type(template)()
    target.CopyFrom(template)
    target.revision = ""
    known = {field.name for field in revision.DESCRIPTOR.fields}
    for field, value in target.ListFields():
        if field.name not in known:
            continue
        if field.is_repeated:
            getattr(revision, field.name).MergeFrom(value)
        elif field.message_type is not None:
            getattr(revision, field.name).CopyFrom(value)
        else:
            setattr(revision, field.name, value)


def _fill_resources(container: ContainerPb) -> None:
    if not container.HasField("resources"):
        container.resources.cpu_idle = True
    for limit, default in (("cpu", "1"), ("memory", "512Mi")):
        if limit not in container.resources.limits:
            container.resources.limits[limit] = default


def _fill_probe(container: ContainerPb) -> None:
    if not container.HasField("startup_probe"):
        probe = container.startup_probe
        probe.timeout_seconds = probe.period_seconds = _STARTUP_S
        probe.failure_threshold = 1
        probe.tcp_socket.port = container.ports[0].container_port
        return
    probe = container.startup_probe
    probe.timeout_seconds = probe.timeout_seconds or 1
    probe.period_seconds = probe.period_seconds or 10
    probe.failure_threshold = probe.failure_threshold or 3
    kind = probe.WhichOneof("probe_type") or "tcp_socket"
    port = getattr(probe, kind)
    port.port = port.port or container.ports[0].container_port
    if kind == "http_get" and not port.path:
        port.path = "/"


def is_default_probe(container: ContainerPb) -> bool:
    """Whether the startup probe is the one that a container without any gets."""
    probe = container.startup_probe
    return (
        probe.WhichOneof("probe_type") == "tcp_socket"
        and (probe.timeout_seconds, probe.period_seconds) == (_STARTUP_S, _STARTUP_S)
        and probe.failure_threshold == 1
    )
