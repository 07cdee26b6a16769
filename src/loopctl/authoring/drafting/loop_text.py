"""The text of a loop file: what a draft says, in the order that people read it."""

from __future__ import annotations

import os
from collections.abc import Sequence

from loopctl.authoring.drafting.draft import Draft, Noted, ServiceDraft, SuiteDraft
from loopctl.authoring.drafting.yaml_lines import Lines, flow, literal, scalar

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
    if not over:
        lines.key(1, name, f"{{platform: {platform}}}", note)
        return
    lines.key(1, name)
    lines.key(2, "platform", platform, note)
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
    return apart or bool(service.own_addresses) or _settings(draft, service)


def _settings(draft: Draft, service: ServiceDraft) -> bool:
    """Whether what a developer's service is told must not reach one on Cloud Run."""
    return draft.cloud is not None and bool(service.env or service.secrets)


def _over(lines: Lines, draft: Draft, service: ServiceDraft, name: str) -> None:
    starts = name == "local" and _starts_apart(draft) and service.start is not None
    if starts:
        _steps(lines, 4, service)
    told = _settings(draft, service)
    port = name == "docker" and draft.cloud is not None and service.port is not None
    if not (starts or told or port or service.own_addresses):
        return
    lines.key(4, "run")
    if starts:
        _command(lines, 5, service)
    if port and service.port is not None:
        lines.key(5, "port", str(service.port.value), service.port.note)
    first = name == draft.environments[0]
    both = told and {"local", "docker"} <= set(draft.environments)
    mark = f"{service.name}-env"
    if name == "docker" and service.own_addresses:
        own: Pairs = service.own_addresses
        if told and both:
            lines.key(5, "env")
            lines.key(6, "<<", f"*{mark}")
            _pairs(lines, 6, own)
        else:
            changed = dict(service.env) | dict(own) if told else dict(own)
            _env(lines, 5, list(changed.items()))
    elif told and service.env:
        if both and not first:
            lines.key(5, "env", f"*{mark}")
        else:
            _env(lines, 5, service.env, anchor=mark if both else "")
    if told and service.secrets:
        if both and not first:
            lines.key(5, "secrets", f"*{service.name}-secrets")
        else:
            _secrets(lines, 5, service, anchor=f"{service.name}-secrets" if both else "")


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
    if not told:
        return
    lines.key(2, "services", note="only what is named here changes on a service that exists")
    for service in told:
        _on_cloud(lines, service)


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
    text = str(written).rstrip("\n")
    if all(not line or line.lstrip().startswith("#") for line in text.split("\n")):
        if text:
            lines.raw(text)
        return
    lines.key(3, service.name)
    lines.raw(text)


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
    lines.key(2, "source", scalar(_from_loops(service.source)), "relative to this file")
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
        lines.key(3, "dockerfile", scalar(below), "relative to the source")
    if service.target and literal(service.target) == service.target:
        lines.key(3, "target", scalar(service.target))
    if service.args:
        lines.key(3, "args")
        _pairs(lines, 4, service.args)


def _steps(lines: Lines, depth: int, service: ServiceDraft) -> None:
    steps = service.start.steps if service.start else ()
    if steps:
        lines.key(depth, "build")
        lines.key(depth + 1, "steps", note="in a fresh copy of the source, every time")
        for step in steps:
            lines.item(depth + 1, scalar(literal(step) or step))


def _command(lines: Lines, depth: int, service: ServiceDraft) -> None:
    start = service.start
    assert start is not None
    launch = start.launch.value
    words = launch.words if launch.line is None else ("sh", "-c", launch.line)
    note = str(start.launch)
    if start.launch.certainty.value == "guessed":
        note = f"GUESSED: {note}"
    if start.listens is None:
        note += "; DECIDE: it must listen at $PORT, which nothing here is seen to read"
    lines.key(depth, "command", flow(literal(word) or word for word in words), note)


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
        _secrets(lines, 3, service)


def _env(lines: Lines, depth: int, pairs: Pairs, anchor: str = "") -> None:
    lines.key(depth, "env", f"&{anchor}" if anchor else "")
    _pairs(lines, depth + 1, pairs)


def _pairs(lines: Lines, depth: int, pairs: Pairs) -> None:
    for name, noted in pairs:
        lines.key(depth, name, noted.value, noted.note)


def _secrets(lines: Lines, depth: int, service: ServiceDraft, anchor: str = "") -> None:
    note = "the defaults are for development only; export the real ones"
    lines.key(depth, "secrets", f"&{anchor}" if anchor else "", note)
    for secret in service.secrets:
        value = scalar(f"${{{secret.name}:-{secret.default}}}")
        lines.key(depth + 1, secret.name, f"{{value: {value}}}", secret.note)


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
        lines.key(2, "cwd", scalar(_from_loops(suite.cwd)))
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
    evidence += [f"target: [{suite.protects}]"] if suite.protects else []
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
