"""The text of a loop file: what a draft says, in the order that people read it."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence

from loopctl.authoring.drafting.draft import (
    Draft,
    Noted,
    SecretDraft,
    ServiceDraft,
    SuiteDraft,
)
from loopctl.authoring.drafting.yaml_lines import Lines, flow, own, scalar

_FOLDER = "loops"
Pairs = Sequence[tuple[str, Noted[str]]]


def text_of(draft: Draft) -> str:
    """The loop file, ending in a line end."""
    lines = Lines()
    _head(lines, draft)
    _environments(lines, draft)
    _services(lines, draft)
    _suites(lines, draft)
    _left(lines, draft)
    return str(lines)


def _from_loops(path: str) -> str:
    return os.path.relpath(path, _FOLDER)


def _head(lines: Lines, draft: Draft) -> None:
    lines.comment(
        "Written by `loopctl init` from what it read here; it ran nothing. It is yours to edit."
    )
    lines.comment(
        "FILE:LINE: where a value was read. GUESSED: no file says so. DECIDE: only you can know."
    )
    lines.verbatim(
        [
            "",
            f"  loopctl validate {draft.name}",
            f"  loopctl doctor {draft.name}    does this machine have what it takes?",
            f"  loopctl plan {draft.name}      what a run would do; changes nothing",
            f"  loopctl run {draft.name}",
        ]
    )
    lines.key(0, "version", "1")
    lines.key(0, "name", scalar(draft.name), f"{draft.why_name}; must equal the file's name")
    if draft.owner is not None:
        lines.key(0, "owner", draft.owner.value, draft.owner.note)
    else:
        lines.comment(
            'DECIDE: who is called when it is red, on every first screen: owner: "#our-oncall"'
        )
    if draft.runbook is not None:
        lines.key(0, "runbook", draft.runbook.value, draft.runbook.note)
    for gap in draft.gaps:
        lines.comment(f"MISSING: {gap}", hanging="  ")


def _environments(lines: Lines, draft: Draft) -> None:
    if not draft.environments:
        return
    lines.gap()
    lines.key(0, "default_environment", draft.default, "`--env NAME` chooses another")
    lines.key(0, "environments")
    for name in draft.environments:
        match name:
            case "local":
                _place(lines, draft, name, "local", "processes of this machine")
            case "docker":
                _place(lines, draft, name, "docker", "containers of the engine on this machine")
            case _:
                _cloud(lines, draft, name)


def _place(lines: Lines, draft: Draft, name: str, platform: str, note: str) -> None:
    over = [service for service in draft.services if _has_over(draft, service, name)]
    if not over and draft.env_file is None:
        lines.key(1, name, f"{{platform: {platform}}}", note)
        return
    lines.key(1, name)
    lines.key(2, "platform", platform, note)
    if draft.env_file is not None:
        lines.key(2, "env_file", own(_from_loops(draft.env_file.value)), draft.env_file.note)
    if over:
        lines.key(2, "services", note="laid over those below, for this environment only")
    for service in over:
        lines.key(3, service.name)
        _over(lines, draft, service, name)


def _starts_apart(draft: Draft) -> bool:
    """Whether the command of `local` would be wrong elsewhere."""
    return draft.environments != ("local",)


def _has_over(draft: Draft, service: ServiceDraft, name: str) -> bool:
    if name == "local":
        return (_starts_apart(draft) and service.start is not None) or _settings(draft, service)
    apart = draft.cloud is not None and service.port is not None
    inside = service.own_addresses or any(secret.docker for secret in service.secrets)
    return apart or bool(inside) or _settings(draft, service)


def _settings(draft: Draft, service: ServiceDraft) -> bool:
    """Whether what a developer's service is told must not reach one on Cloud Run."""
    return draft.cloud is not None and bool(service.env or service.secrets)


def _over(lines: Lines, draft: Draft, service: ServiceDraft, name: str) -> None:
    starts = name == "local" and _starts_apart(draft) and service.start is not None
    if starts:
        _steps(lines, 4, service)
    run = Lines()
    if starts:
        _command(run, 5, service)
    if name == "docker" and draft.cloud is not None and service.port is not None:
        run.key(5, "port", str(service.port.value), service.port.note)
    told = _settings(draft, service)
    first = name == next(each for each in draft.environments if each in ("local", "docker"))
    both = told and {"local", "docker"} <= set(draft.environments)
    _env_over(run, service, told=told, named=both, first=first, inside=name == "docker")
    _secrets_over(run, service, told=told, named=both, first=first, inside=name == "docker")
    if run:
        lines.key(4, "run")
        lines.raw(run)


def _env_over(
    lines: Lines, service: ServiceDraft, *, told: bool, named: bool, first: bool, inside: bool
) -> None:
    """The variables of one environment; `named`: the first one's are referred to by the second."""
    mark = f"{service.name}-env"
    own_ones: Pairs = service.own_addresses if inside else ()
    if told and named and first and service.env:
        _env(lines, 5, service.env, anchor=mark)
    elif told and named and service.env and not own_ones:
        lines.key(5, "env", f"*{mark}")
    elif told and named and service.env:
        lines.key(5, "env")
        lines.key(6, "<<", f"*{mark}")
        _pairs(lines, 6, own_ones)
    elif told and service.env:
        _env(lines, 5, list({**dict(service.env), **dict(own_ones)}.items()))
    elif own_ones:
        _env(lines, 5, own_ones)


def _secrets_over(
    lines: Lines, service: ServiceDraft, *, told: bool, named: bool, first: bool, inside: bool
) -> None:
    mark = f"{service.name}-secrets"
    other = [secret for secret in service.secrets if secret.docker] if inside else []
    if told and named and first and service.secrets:
        _secrets(lines, 5, service.secrets, anchor=mark)
    elif told and named and service.secrets:
        lines.key(5, "secrets", "" if other else f"*{mark}")
        if other:
            lines.key(6, "<<", f"*{mark}")
            _secret_lines(lines, 6, other, inside=True)
    elif told and service.secrets:
        _secrets(lines, 5, service.secrets, inside=inside)
    elif other:
        lines.key(5, "secrets", note="this machine, from inside a container")
        _secret_lines(lines, 6, other, inside=True)


def _cloud(lines: Lines, draft: Draft, name: str) -> None:
    cloud = draft.cloud
    assert cloud is not None
    lines.key(1, name, note="Google Cloud Run; nothing of it is asked before you choose it")
    lines.key(2, "platform", "cloud-run")
    lines.key(2, "project", scalar(cloud.project.value), cloud.project.note)
    lines.key(2, "region", scalar(cloud.region.value), cloud.region.note)
    lines.key(2, "repository", scalar(cloud.repository.value), cloud.repository.note)
    if cloud.direct.value:
        lines.key(2, "strategy", "direct", cloud.direct.note)
    told = [s for s in draft.services if s.cloud_run is not None or s.health.value == "/healthz"]
    for service in draft.services:
        if service.cloud_run is None:
            lines.comment(
                f"DECIDE: nothing says how {service.name} is deployed; it would be made anew", 2
            )
    below = Lines()
    for service in told:
        _on_cloud(below, service)
    if below.has_keys:
        note = "only what is named here changes on a service that exists"
        lines.key(2, "services", note=note)
    lines.raw(below)


def _on_cloud(lines: Lines, service: ServiceDraft) -> None:
    cloud = service.cloud_run
    written = Lines()
    if cloud is not None:
        for left in cloud.left:
            written.comment(f"Not written: {left}", 4, hanging="  ")
        if cloud.wants_token.value:
            written.key(4, "auth", "id_token", cloud.wants_token.note)
        if cloud.run or cloud.env or cloud.secrets:
            written.key(4, "run")
            for key, noted in cloud.run:
                written.key(5, key, noted.value, noted.note)
            if cloud.env:
                _env(written, 5, cloud.env)
            if cloud.secrets:
                written.key(5, "secrets")
                for name, noted in cloud.secrets:
                    written.key(6, name, f"{{secret: {noted.value}}}", noted.note)
    if service.health.value == "/healthz":
        note = "exactly /healthz never reaches a container on Cloud Run; DECIDE: another path"
        written.key(4, "health", f"{{path: {scalar(service.other_health or '/')}}}", note)
    if written.has_keys:
        lines.key(3, service.name)
    lines.raw(written)


def _services(lines: Lines, draft: Draft) -> None:
    lines.gap()
    lines.key(0, "services")
    if draft.gated is not None and draft.gated_url is not None:
        lines.key(1, draft.gated.value, note=draft.gated.note)
        lines.key(2, "url", draft.gated_url.value, draft.gated_url.note)
        lines.key(
            2, "health", '{path: "/", timeout: 30s}', "DECIDE: what answers 200 when it is well"
        )
    for service in draft.services:
        _service(lines, draft, service)


def _service(lines: Lines, draft: Draft, service: ServiceDraft) -> None:
    lines.comment(service.why, 1)
    lines.key(1, service.name)
    lines.key(2, "source", own(_from_loops(service.source)), "relative to this file")
    if service.needs:
        note = "; ".join(dict.fromkeys(need.note for need in service.needs))
        lines.key(2, "needs", flow(need.value for need in service.needs), note)
    if service.migrations:
        lines.key(
            2,
            "migrations",
            flow(service.migrations),
            "where these differ, nothing goes back by itself",
        )
    _build(lines, draft, service)
    _run(lines, draft, service)
    lines.key(2, "health")
    lines.key(3, "path", scalar(service.health.value), service.health.note)
    lines.key(3, "stable_for", "2s", "healthy once is not healthy")
    lines.key(3, "timeout", "2m", "a process that has died is noticed at once")
    for remark in service.remarks:
        lines.comment(remark, 2, hanging="  ")


def _build(lines: Lines, draft: Draft, service: ServiceDraft) -> None:
    dockerfile = service.dockerfile
    below = os.path.relpath(dockerfile, service.source) if dockerfile else "Dockerfile"
    steps = not _starts_apart(draft) and service.start is not None and service.start.steps
    if not (below != "Dockerfile" or service.target or service.args or steps):
        return
    if steps and below == "Dockerfile" and not (service.target or service.args):
        _steps(lines, 2, service)
        return
    lines.key(2, "build")
    if below != "Dockerfile":
        lines.key(3, "dockerfile", own(below), "relative to the source")
    if service.target:
        lines.key(3, "target", own(service.target))
    if service.args:
        lines.key(3, "args")
        _pairs(lines, 4, service.args)


def _steps(lines: Lines, depth: int, service: ServiceDraft) -> None:
    steps = service.start.steps if service.start else ()
    if steps:
        lines.key(depth, "build")
        lines.key(depth + 1, "steps", note="in a fresh copy of the source, every time")
        inner = _inner(service)
        for step in steps:
            line = f"cd {shlex.quote(inner)} && {step}" if inner else step
            lines.item(depth + 1, own(line))


def _inner(service: ServiceDraft) -> str | None:
    """The folder of the code, from the source; None where they are the same."""
    if service.start is None or service.start.folder == service.source:
        return None
    return os.path.relpath(service.start.folder, service.source)


def _command(lines: Lines, depth: int, service: ServiceDraft) -> None:
    start = service.start
    assert start is not None
    launch = start.launch.value
    line, inner = launch.line, _inner(service)
    if inner:
        line = f"cd {shlex.quote(inner)} && {line or 'exec ' + shlex.join(launch.words)}"
    words = launch.words if line is None else ("sh", "-c", line)
    note = str(start.launch)
    if start.launch.certainty.value == "guessed":
        note = f"GUESSED: {note}"
    if start.listens is None:
        note += "; DECIDE: it must listen at $PORT, which nothing here is seen to read"
    lines.key(depth, "command", f"[{', '.join(map(own, words))}]", note)


def _run(lines: Lines, draft: Draft, service: ServiceDraft) -> None:
    here = draft.cloud is None
    command = not _starts_apart(draft) and service.start is not None
    port = here and service.port is not None and "docker" in draft.environments
    told = here and (service.env or service.secrets)
    if not (command or port or told):
        return
    lines.key(2, "run")
    if command:
        _command(lines, 3, service)
    if port and service.port is not None:
        lines.key(3, "port", str(service.port.value), service.port.note)
    if told and service.env:
        _env(lines, 3, service.env)
    if told and service.secrets:
        _secrets(lines, 3, service.secrets)


def _env(lines: Lines, depth: int, pairs: Pairs, anchor: str = "") -> None:
    lines.key(depth, "env", f"&{anchor}" if anchor else "")
    _pairs(lines, depth + 1, pairs)


def _pairs(lines: Lines, depth: int, pairs: Pairs) -> None:
    for name, noted in pairs:
        lines.key(depth, name, noted.value, noted.note)


def _secrets(
    lines: Lines,
    depth: int,
    secrets: Sequence[SecretDraft],
    anchor: str = "",
    *,
    inside: bool = False,
) -> None:
    note = "the defaults are for development only; export the real ones"
    lines.key(depth, "secrets", f"&{anchor}" if anchor else "", note)
    _secret_lines(lines, depth + 1, secrets, inside=inside)


def _secret_lines(
    lines: Lines, depth: int, secrets: Sequence[SecretDraft], *, inside: bool
) -> None:
    for secret in secrets:
        value = scalar(secret.docker if inside and secret.docker else secret.value)
        lines.key(depth, secret.name, f"{{value: {value}}}", secret.note)


def _suites(lines: Lines, draft: Draft) -> None:
    lines.gap()
    lines.comment("P0 runs first, and a P0 or P1 suite that fails stops those after it.")
    lines.key(0, "suites")
    for suite in draft.suites:
        _suite(lines, suite)


def _suite(lines: Lines, suite: SuiteDraft) -> None:
    lines.comment(suite.why, 1)
    lines.key(2, "id", suite.id, item=True)
    lines.key(2, "priority", suite.priority)
    if suite.kind != "pytest":
        lines.key(2, "kind", suite.kind)
    if suite.run is not None:
        lines.key(2, "run", scalar(suite.run.value), suite.run.note)
    if suite.cwd is not None:
        lines.key(2, "cwd", own(_from_loops(suite.cwd)))
    if suite.python is not None:
        lines.key(2, "python", scalar(suite.python.value), suite.python.note)
    if suite.env:
        lines.key(2, "env")
        _pairs(lines, 3, suite.env)
    if suite.requests:
        lines.key(2, "requests")
        for request in suite.requests:
            lines.item(3, request.value, request.note)
    if suite.collect_min is not None:
        lines.key(2, "collect_min", str(suite.collect_min.value), suite.collect_min.note)
    if suite.protects is not None:
        lines.key(2, "protects", suite.protects)
    evidence = [f"require: {suite.require.value}"] if suite.require else []
    evidence += [f"target: {flow(suite.targets)}"] if suite.targets else []
    if evidence:
        note = suite.require.note if suite.require else ""
        lines.key(2, "evidence", "{" + ", ".join(evidence) + "}", note)


def _left(lines: Lines, draft: Draft) -> None:
    if not draft.left_out:
        return
    lines.gap()
    lines.comment("Seen, and not in this loop:")
    for what in draft.left_out:
        lines.comment(f"- {what}", hanging="  ")
