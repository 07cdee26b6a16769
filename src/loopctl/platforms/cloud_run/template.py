"""What a revision is made from: the one that serves, and the fields that the loop file names. Pure.

Everything that the loop file does not name comes from the revision that *serves*: a failed
deployment leaves its template behind (facts/cloud-run.md section 8.5).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from google.cloud.run_v2 import (
    Container,
    ContainerPort,
    EnvVar,
    EnvVarSource,
    ResourceRequirements,
    Revision,
    RevisionScaling,
    RevisionTemplate,
    SecretKeySelector,
    Service,
)
from google.protobuf import duration_pb2
from google.protobuf.message import Message

from loopctl.model.plan import ServiceSpec
from loopctl.platforms.cloud_run.names import short

KEY: Final = "loopctl.dev/deploy-key"
"""The annotation of a revision that says which deployment made it."""

RESTORES: Final = "loopctl.dev/restores"
"""That of a revision which only stands for a template that was put back: whose it is."""

_OWN: Final = (KEY, RESTORES)
_NAMESPACES: Final = (
    "run.googleapis.com",
    "cloud.googleapis.com",
    "serving.knative.dev",
    "autoscaling.knative.dev",
)
_MEBI: Final = 1024 * 1024


def base_of(service: Service, serving: Revision | None) -> RevisionTemplate:
    """The template of what serves; the service's own where that is the very one, or none serves.

    The service's own knows fields that a newer API has and no revision tells.
    """
    base = RevisionTemplate()
    if serving is None or _is_its_own(service, serving):
        base._pb.CopyFrom(RevisionTemplate.pb(service.template))
    else:
        _same_fields(Revision.pb(serving), base._pb)
    base.revision = ""
    for given in (base._pb.annotations, base._pb.labels):
        for name in [name for name in given if name in _OWN or _is_the_platforms(name)]:
            del given[name]
    return base


def _is_its_own(service: Service, serving: Revision) -> bool:
    """Whether the service's template is that of the revision. What is newest may be told late, so
    all that could tell the contrary is asked.
    """
    name = short(serving.name)
    named = short(service.template.revision) in ("", name)
    key = service.template.annotations.get(KEY)
    same = key is None or key == serving.annotations.get(KEY)
    return named and same and short(service.latest_created_revision) == name


def _is_the_platforms(name: str) -> bool:
    """Whether the API writes it and refuses to be sent it (facts/cloud-run.md section 1.1)."""
    return name.partition("/")[0].endswith(_NAMESPACES) and "/" in name


def _same_fields(revision: Message, template: Message) -> None:
    """Copy every field that both have by one name and type; `name` and the like are not of both."""
    known = revision.DESCRIPTOR.fields_by_name
    for target in template.DESCRIPTOR.fields:
        source = known.get(target.name)
        if source is None or target.name == "revision" or not _same_type(source, target):
            continue
        if source.is_repeated:
            held = getattr(template, target.name)
            held.MergeFrom(getattr(revision, source.name))
        elif source.message_type is not None:
            if revision.HasField(source.name):
                getattr(template, target.name).CopyFrom(getattr(revision, source.name))
        elif getattr(revision, source.name):
            setattr(template, target.name, getattr(revision, source.name))


def _same_type(a: Any, b: Any) -> bool:
    if a.message_type is not None and b.message_type is not None:
        if a.message_type.GetOptions().map_entry:
            return bool(b.message_type.GetOptions().map_entry)
        return bool(a.message_type.full_name == b.message_type.full_name)
    return bool(a.type == b.type and a.is_repeated == b.is_repeated)


def ingress_container(template: RevisionTemplate) -> Container:
    """The container that requests go to: the one with a port, else the first; made if need be."""
    for container in template.containers:
        if container.ports:
            return container
    if not template.containers:
        template.containers.append(Container())
    return template.containers[0]


def with_spec(
    template: RevisionTemplate, spec: ServiceSpec, image: str, env: Mapping[str, str]
) -> None:
    """Put the fields that the loop file names into the template, and leave all others alone."""
    container = ingress_container(template)
    container.image = image
    run = spec.run
    if run.command is not None:
        container.command, container.args = list(run.command[:1]), list(run.command[1:])
    if run.port is not None:
        name = container.ports[0].name if container.ports else "http1"
        container.ports = [ContainerPort(name=name, container_port=run.port)]
    _merge_env(container, spec, env)
    _set_resources(container, spec)
    _set_scaling(template, spec)
    if run.concurrency is not None:
        template.max_instance_request_concurrency = run.concurrency
    if run.timeout_s is not None:
        template.timeout = duration_of(run.timeout_s)
    if run.service_account is not None:
        template.service_account = run.service_account


def duration_of(seconds: float) -> duration_pb2.Duration:
    """Seconds as the API has them."""
    made = duration_pb2.Duration()
    made.FromNanoseconds(round(seconds * 1e9))
    return made


def _merge_env(container: Container, spec: ServiceSpec, env: Mapping[str, str]) -> None:
    """Variables by name: those named are set, null removes one, all others stay as they are."""
    removed = {name for name, value in (spec.run.env or {}).items() if value is None}
    named = {**{name: EnvVar(name=name, value=value) for name, value in env.items()}}
    for secret in spec.run.secrets:
        assert secret.reference is not None
        name, _, version = secret.reference.partition(":")
        source = EnvVarSource(secret_key_ref=SecretKeySelector(secret=name, version=version))
        named[secret.name] = EnvVar(name=secret.name, value_source=source)
    kept = [each for each in container.env if each.name not in removed | named.keys()]
    container.env = [*kept, *named.values()]


def _set_resources(container: Container, spec: ServiceSpec) -> None:
    """Limits by name. Where there were none, CPU stays billed by request: the default of the
    message is the other (facts/cloud-run.md section 1.1).
    """
    limits = {}
    if spec.run.cpu is not None:
        limits["cpu"] = spec.run.cpu
    if spec.run.memory is not None:
        limits["memory"] = memory_text(spec.run.memory)
    if not limits:
        return
    had = container._pb.HasField("resources")
    if not had:
        container.resources = ResourceRequirements(cpu_idle=True)
    container.resources.limits = {**dict(container.resources.limits), **limits}


def memory_text(size: int) -> str:
    """Bytes as the API has them: whole mebibytes where they are, `512Mi`."""
    return f"{size // _MEBI}Mi" if size % _MEBI == 0 else str(size)


def _set_scaling(template: RevisionTemplate, spec: ServiceSpec) -> None:
    low, high = spec.run.min_instances, spec.run.max_instances
    if low is None and high is None:
        return
    scaling = RevisionScaling()
    RevisionScaling.pb(scaling).CopyFrom(RevisionTemplate.pb(template).scaling)
    if low is not None:
        scaling.min_instance_count = low
    if high is not None:
        scaling.max_instance_count = high
    template.scaling = scaling


def merged_fragment(service: Service, fragment: Mapping[str, Any]) -> None:
    """Merge a fragment of a v2 Service deep: maps by key, containers and volumes by their name.

    Raises `ValueError` for what is no part of a Service.
    """
    from google.protobuf import json_format  # noqa: PLC0415 - few loops have one

    document = json_format.MessageToDict(Service.pb(service), preserving_proto_field_name=False)
    merged = _merged(document, _camel(fragment))
    made = Service.pb(Service())
    try:
        json_format.ParseDict(merged, made)
    except json_format.ParseError as error:
        raise ValueError(str(error)) from None
    Service.pb(service).CopyFrom(made)


TAKEN: Final = frozenset({"traffic", "name", "etag", "uid", "generation"})
"""Fields of a Service that no fragment may name."""


def paths_of(fragment: Mapping[str, Any]) -> frozenset[str]:
    """The paths of a Service that a fragment changes."""
    known = {each.json_name: each.name for each in Service.pb(Service()).DESCRIPTOR.fields}
    return frozenset(known.get(_camel_name(str(key)), str(key)) for key in fragment)


_FREE: Final = frozenset({"labels", "annotations", "limits", "nodeSelector"})
"""Maps whose keys are names of somebody's own, not of fields."""


def _camel(value: Any) -> Any:
    """Field names as JSON has them, so that `service_account` and `serviceAccount` are one."""
    if isinstance(value, Mapping):
        return {
            _camel_name(str(key)): (
                dict(each)
                if _camel_name(str(key)) in _FREE and isinstance(each, Mapping)
                else _camel(each)
            )
            for key, each in value.items()
        }
    if isinstance(value, list | tuple):
        return [_camel(each) for each in value]
    return value


def _camel_name(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in rest)


def _merged(base: Any, change: Any) -> Any:
    if isinstance(base, dict) and isinstance(change, dict):
        both = {**base}
        for key, value in change.items():
            both[key] = _merged(base[key], value) if key in base else value
        return both
    if _is_named(base) and _is_named(change):
        return _by_name(base, change)
    return change


def _is_named(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(e, dict) and "name" in e for e in value)


def _by_name(base: list[dict[str, Any]], change: list[dict[str, Any]]) -> list[dict[str, Any]]:
    changes = {each["name"]: each for each in change}
    known = {each["name"] for each in base}
    kept = [_merged(each, changes.get(each["name"], {})) for each in base]
    return [*kept, *(each for each in change if each["name"] not in known)]
