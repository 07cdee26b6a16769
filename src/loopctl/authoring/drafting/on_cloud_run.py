"""From flags of `gcloud run deploy` to the keys of a loop file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from loopctl.authoring.drafting.draft import CloudPlace, Noted, OnCloudRun, told
from loopctl.authoring.drafting.names import LONGEST_SERVICE
from loopctl.authoring.drafting.secret_names import is_secret_name, is_secret_value
from loopctl.authoring.drafting.yaml_lines import literal, scalar
from loopctl.authoring.looking.facts import CloudRunDeploy, Fact

_NAME: Final = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_REFERENCE: Final = re.compile(r"([A-Za-z0-9_-]{1,255}):(latest|[1-9][0-9]*)")
_KNOWN: Final = frozenset(
    {"image", "source", "region", "project", "platform", "quiet", "q", "async", "format", "tag"}
    | {"allow-unauthenticated", "no-allow-unauthenticated", "no-traffic", "to-revisions", "labels"}
    | {"set-env-vars", "update-env-vars", "set-secrets", "update-secrets", "port", "health"}
    | {"memory", "cpu", "min-instances", "min", "max-instances", "max", "concurrency", "timeout"}
    | {"service-account", "impersonate-service-account", "revision-suffix", "update-labels"}
)
_REGION: Final = re.compile(r"[a-z]+-[a-z]+\d{1,2}")
_PROJECT: Final = re.compile(r"[a-z][a-z0-9-]{4,28}[a-z0-9]")
_REPOSITORY: Final = re.compile(r"((?:[a-z0-9-]+-docker\.pkg\.dev|(?:[a-z]+\.)?gcr\.io))/(.+)")


def service_of(deploy: CloudRunDeploy) -> str | None:
    """The name of the service on Cloud Run, where it is one."""
    name = deploy.service or ""
    return name if re.fullmatch(r"[a-z](?:[a-z0-9-]{0,47}[a-z0-9])?", name) else None


def on_cloud_run(deploy: CloudRunDeploy) -> OnCloudRun:
    """What the cloud-run environment says of the service."""
    env, left = list[tuple[str, Noted[str]]](), list[str]()
    secrets = dict(_secrets(deploy, left))
    for name, value, fact in _pairs(deploy, "set-env-vars", "update-env-vars"):
        written = literal(value)
        if not _NAME.fullmatch(name):
            left.append(f"a variable of {fact}: its name is no variable's")
        elif "$" in value or written is None:
            left.append(f"{name} of {fact}: its value is not written there")
        elif is_secret_name(name) or is_secret_value(value):
            left.append(f"{name} of {fact}: it looks like a secret; give it to Secret Manager")
        elif name != "PORT":
            env.append((name, Noted(scalar(written), str(fact))))
    left += [
        f"{flag.how} ({flag.place}): it stays as it is on the revision that serves"
        for flag in deploy.flags
        if flag.value[0] not in _KNOWN
    ]
    return OnCloudRun(
        run=tuple(_run(deploy)),
        env=tuple(dict(env).items()),
        secrets=tuple(secrets.items()),
        wants_token=_token(deploy),
        left=tuple(dict.fromkeys(left)),
    )


def _token(deploy: CloudRunDeploy) -> Noted[bool]:
    closed = deploy.flag("no-allow-unauthenticated")
    opened = deploy.flag("allow-unauthenticated")
    if closed is not None:
        return Noted(value=True, note=told(closed))
    if opened is not None:
        return Noted(value=opened.value in ("false", "no"), note=told(opened))
    return Noted(
        value=True, note=f"GUESSED: {deploy.place} says nothing of --allow-unauthenticated"
    )


def _run(deploy: CloudRunDeploy) -> Iterator[tuple[str, Noted[str]]]:
    forms = {
        "port": (("port",), r"([1-9]\d{0,4})"),
        "cpu": (("cpu",), r"(\d+(?:\.\d+)?|\d+m)"),
        "min_instances": (("min-instances",), r"(\d{1,4})"),
        "max_instances": (("max-instances",), r"([1-9]\d{0,4})"),
        "concurrency": (("concurrency",), r"([1-9]\d{0,2}|1000)"),
    }
    memory = deploy.flag("memory")
    size = re.fullmatch(r"([1-9]\d{0,8})(Ki|Mi|Gi|M|G)", memory.value) if memory else None
    if memory and size:
        unit = size[2] if size[2].endswith("i") else f"{size[2]}i"
        yield "memory", Noted(f"{size[1]}{unit}", told(memory))
    for key, (names, form) in forms.items():
        flag = deploy.flag(*names)
        if flag and re.fullmatch(form, flag.value):
            value = f'"{flag.value}"' if key == "cpu" else flag.value
            yield key, Noted(value, told(flag))
    timeout = deploy.flag("timeout")
    length = re.fullmatch(r"([1-9]\d{0,4})(s|m|h)?", timeout.value) if timeout else None
    if timeout and length:
        yield "timeout", Noted(f"{length[1]}{length[2] or 's'}", told(timeout))
    account = deploy.flag("service-account")
    if account and re.fullmatch(r"[\w.@-]+", account.value):
        yield "service_account", Noted(scalar(account.value), told(account))


def _secrets(deploy: CloudRunDeploy, left: list[str]) -> Iterator[tuple[str, Noted[str]]]:
    for name, value, fact in _pairs(deploy, "set-secrets", "update-secrets"):
        found = _REFERENCE.fullmatch(value)
        if found and _NAME.fullmatch(name):
            yield name, Noted(scalar(value), str(fact))
        else:
            left.append(f"a secret of {fact} is no variable, or its version is not written there")


def _pairs(deploy: CloudRunDeploy, *names: str) -> Iterator[tuple[str, str, Fact[tuple[str, str]]]]:
    for flag in deploy.flags:
        if flag.value[0] not in names:
            continue
        text, between = flag.value[1], ","
        other = re.match(r"\^(.{1,3}?)\^", text)
        if other:
            text, between = text[other.end() :], other[1]
        for pair in text.split(between):
            name, equals, value = pair.strip().partition("=")
            if equals:
                yield name, value.strip("\"'"), flag


def cloud_place(deploys: Sequence[CloudRunDeploy]) -> CloudPlace:
    """Where all of them go: the first that each of the three is written for."""
    project = _first(deploys, "project", _PROJECT)
    region = _first(deploys, "region", _REGION)
    image = next((flag for d in deploys if (flag := d.flag("image")) is not None), None)
    wanted = "${GCP_PROJECT:?name the Google Cloud project}"
    if project is not None:
        wanted = f"${{GCP_PROJECT:-{project.value}}}"
    where = (
        Noted(f"${{GCP_REGION:-{region.value}}}", told(region))
        if region
        else Noted("${GCP_REGION:-us-central1}", "GUESSED; DECIDE: the region is not written")
    )
    default = region.value if region else "us-central1"
    known = f"${{GCP_PROJECT:-{project.value if project else 'none'}}}"
    longest = max((len(service_of(d) or "") for d in deploys), default=0)
    return CloudPlace(
        project=Noted(wanted, told(project) if project else ""),
        region=where,
        repository=_repository(image, known, default),
        direct=Noted(
            value=longest > LONGEST_SERVICE,
            note="the service's name has no room for a candidate's tag",
        ),
    )


def _first(deploys: Sequence[CloudRunDeploy], name: str, form: re.Pattern[str]) -> Fact[str] | None:
    flags = (deploy.flag(name) for deploy in deploys)
    return next((flag for flag in flags if flag and form.fullmatch(flag.value)), None)


def _repository(image: Fact[str] | None, project: str, region: str) -> Noted[str]:
    found = _REPOSITORY.match(image.value.partition("@")[0]) if image else None
    if image and found:
        path = found[2].split("/")
        middle = [part for part in path[1:-1] if re.fullmatch(r"[a-z0-9][a-z0-9._-]*", part)]
        if len(middle) == len(path[1:-1]) and (middle or "gcr.io" in found[1]):
            return Noted("/".join([found[1], project, *middle]), told(image))
    fallback = f"{region}-docker.pkg.dev/{project}/cloud-run-source-deploy"
    return Noted(fallback, "GUESSED; DECIDE: where images are pushed")
