"""Makes a `Plan` of a loop file that has passed every check."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from loopctl.loopfile.assemble_services import given, services_of
from loopctl.loopfile.assemble_suites import suites_of
from loopctl.loopfile.checks_suite import PATTERN
from loopctl.loopfile.chosen import Chosen
from loopctl.loopfile.later import later_keys
from loopctl.loopfile.nodes import Scalar
from loopctl.loopfile.notices import notices_of, secrets_in
from loopctl.loopfile.paths import absolute, glob_from_root, is_file, written_path
from loopctl.loopfile.problems import Problems
from loopctl.loopfile.schema import (
    CriterionPart,
    EnvironmentPart,
    GithubPart,
    LimitsPart,
    LoopFile,
    RemediatePart,
    WorklogPart,
)
from loopctl.model.plan import (
    GS,
    BucketPlace,
    CloudRunPlace,
    Criterion,
    Environment,
    GithubRules,
    Impact,
    LoopLimits,
    Plan,
    PlatformKind,
    Remediation,
    RemediationMode,
    RemedyRule,
    ServiceSpec,
    UrlPlace,
    WorklogRules,
)
from loopctl.redact import Secret


def assemble(chosen: Chosen, model: LoopFile, files: Mapping[str, str], problems: Problems) -> Plan:
    """The plan; `files` are the hashes of what was read, by path."""
    services = services_of(chosen, model.services)
    place = (model.environments or {}).get(chosen.environment)
    environment = _environment(chosen.environment, place or EnvironmentPart(platform="local"))
    worklog = model.worklog or WorklogPart()
    limits = model.loop or LimitsPart()
    redact = tuple(worklog.redact or ())
    github, notices = _github(chosen, model.github), notices_of(chosen)
    names = [*environment.require_env, *(r for r in redact if not r.startswith(PATTERN))]
    return Plan(
        loop=model.name,
        path=chosen.path,
        root=chosen.root,
        environment=environment,
        services=services,
        suites=suites_of(chosen, model.suites, services),
        description=model.description or "",
        owner=model.owner,
        runbook=_runbook(chosen),
        criteria=_criteria(chosen, model.criteria or []),
        impact={name: Impact(i.value, i.source) for name, i in (model.impact or {}).items()},
        limits=LoopLimits(
            **given(
                max_cycles=limits.max_cycles,
                deadline_s=limits.deadline,
                no_progress=limits.no_progress,
                jobs=limits.jobs,
            )
        ),
        remediation=_remediation(chosen, model.remediate or RemediatePart()),
        signatures=tuple(
            written_path(node)
            for node in chosen.document.items("signatures")
            if isinstance(node, Scalar)
        ),
        history=_history(chosen),
        worklog=WorklogRules(**given(keep=worklog.keep, redact=redact)),
        github=github,
        files=files,
        secrets={
            **dict(_secrets(chosen.variables, names, services, github)),
            **dict(secrets_in(notices)),
        },
        notices=notices,
        later=later_keys(chosen, problems),
    )


def _environment(name: str, part: EnvironmentPart) -> Environment:
    return Environment(
        name=name,
        platform=PlatformKind(part.platform),
        protected=bool(part.protected) or name.startswith("prod"),
        **given(
            strategy=part.strategy,
            after_green=part.after_green,
            require_env=tuple(part.require_env or ()),
            registry=part.registry,
            cloud_run=_cloud_run(part),
        ),
    )


def _cloud_run(part: EnvironmentPart) -> CloudRunPlace | None:
    if part.platform != "cloud-run":
        return None
    return CloudRunPlace(
        project=part.project or "",
        region=part.region or "",
        **given(
            repository=part.repository,
            endpoint=part.endpoint,
            transport=part.transport,
            impersonate=part.impersonate,
            keep_revisions=part.keep_revisions,
        ),
    )


def _runbook(chosen: Chosen) -> str | None:
    """As it is written; but a file beside the loop file is named from the project root."""
    runbook = chosen.document.scalar("runbook")
    if runbook is None:
        return None
    path: Path = written_path(runbook)
    inside = path.is_relative_to(chosen.root) and is_file(path)
    return str(path.relative_to(chosen.root)) if inside else runbook.text


def _history(chosen: Chosen) -> Path | BucketPlace | UrlPlace | None:
    """What `history` names by a path, a file URL, that of a bucket or of another place."""
    history = chosen.document.scalar("history")
    if history is None or history.is_null or not history.text:
        return None
    if history.text.startswith(GS):
        return BucketPlace.of_url(history.text)
    text = history.text.removeprefix("file://")
    return UrlPlace.of_url(text) if "://" in text else absolute(history.mark.folder / text)


def _github(chosen: Chosen, part: GithubPart | None) -> GithubRules | None:
    if part is None:
        there = chosen.document.get("github") is not None
        return GithubRules(silent=True) if there else None
    token = (part.token or "").strip()
    return GithubRules(
        **given(
            repository=part.repository,
            api=part.api,
            token=Secret("github.token", token) if token else None,
            issues=part.issues,
            comment=part.comment,
            status=part.status,
            labels=tuple(part.labels or ()),
        )
    )


def _criteria(chosen: Chosen, parts: list[CriterionPart]) -> tuple[Criterion, ...]:
    nodes = chosen.document.items("criteria")
    texts = [getattr(node, "text", lambda _: None)("value") or "" for node in nodes]
    return tuple(
        Criterion(p.metric, p.op, p.value, limit, **given(min_samples=p.min_samples))
        for p, limit in zip(parts, texts, strict=True)
    )


def _remediation(chosen: Chosen, part: RemediatePart) -> Remediation:
    rules = tuple(
        RemedyRule(
            when={key: str(value) for key, value in rule.when if value is not None},
            do=rule.do,
            **given(
                command=tuple(rule.command or ()),
                timeout_s=rule.timeout,
                limit=rule.limit,
                per_day=rule.per_day,
                branch=rule.branch,
            ),
        )
        for rule in part.rules or ()
    )
    mode = RemediationMode(part.mode) if part.mode else None
    globs = tuple(
        glob_from_root(node, chosen.root)
        for node in chosen.document.items("remediate", "may_edit")
        if isinstance(node, Scalar)
    )
    return Remediation(
        **given(
            mode=mode,
            ceiling=mode,
            may_edit=globs,
            rules=rules,
            per_day=part.per_day,
            max_memory=part.max_memory,
        )
    )


def _secrets(
    variables: Mapping[str, str],
    names: list[str],
    services: tuple[ServiceSpec, ...],
    github: GithubRules | None,
) -> Iterator[tuple[str, Secret]]:
    """What redaction must know. A variable stands under its own name, so that preflight can see
    which of `require_env` are set; a service's secret under that of its service and variable.
    """
    for name in names:
        if variables.get(name):
            yield name, Secret(name, variables[name])
    if github is not None and github.token is not None:
        yield github.token.name, github.token
    for service in services:
        for secret in (*service.run.secrets, *service.build.secrets):
            if secret.value is not None and secret.value.reveal():
                yield f"{service.name}.{secret.name}", secret.value
