"""Schema: the whole loop file, as pydantic models and as JSON Schema for editors."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from loopctl.evidence.criteria import is_measurable
from loopctl.loopfile.quantities import (
    Measure,
    OwnText,
    Size,
    SomeTime,
    Text,
    VariableName,
    matching,
    one_or_many,
    wrong,
)
from loopctl.loopfile.schema_base import ByName, Part, ServicesOf
from loopctl.loopfile.schema_service import HttpUrl, ServicePart
from loopctl.loopfile.schema_suite import SuitePart

LOOP_NAME = r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}"
# One whose variable is not set is as it was written: it is switched off.
_NOTICE_URL = r"(?:[a-z][a-z0-9+.-]{0,40}://\S+|.*\$\{.*)?"
_NOTICE_SAYS = "must be a URL: https://…, or another that apprise knows, such as mailto://…"
_METRIC = r"[a-z][a-z0-9_]*(?:\.[a-z0-9_]+)*"


def _one_region(value: object) -> object:
    if isinstance(value, list):
        raise wrong("must be one region: a list is refused, one environment is one place")
    return value


def _trigger(value: object) -> object:
    if not isinstance(value, dict) or not value:
        raise wrong("must name what it waits for: signature, stage, verdict, suite or service")
    return value


def _measurable(metric: str) -> str:
    if not is_measurable(metric):
        raise wrong("ends in no aggregate: these are p50, p95, p99, max, min and mean")
    return metric


class EnvironmentPart(Part):
    """Where the loop runs."""

    platform: Literal["local", "docker", "cloud-run"] = Field(description="Where services run.")
    protected: bool | None = Field(
        None,
        description="Asks for --confirm; prod* always does; `false` unless given.",
    )
    strategy: Literal["candidate", "direct"] | None = Field(
        None,
        description="New revisions serve once verified, or at once; `candidate` unless given.",
    )
    after_green: Literal["pin", "latest"] | None = Field(
        None,
        description="cloud-run: whom traffic follows once green; `pin` unless given.",
    )
    env_file: Text | None = Field(None, description="KEY=VALUE lines for ${…} in this file.")
    require_env: list[VariableName] | None = Field(
        None, description="Variables that preflight wants; secret ones."
    )
    services: ServicesOf[ServicePart] | None = Field(
        None, description="Merged over the services below, for this environment only."
    )
    registry: Text | None = Field(None, description="docker: host/prefix to push to.")
    project: Text | None = Field(None, description="cloud-run: the Google Cloud project.")
    region: Annotated[str, BeforeValidator(_one_region)] | None = Field(
        None, description="cloud-run: one region."
    )
    repository: Text | None = Field(
        None, description="cloud-run: where in Artifact Registry images go."
    )
    endpoint: Text | None = Field(None, description="cloud-run: another API endpoint.")
    transport: Literal["grpc", "rest"] | None = Field(
        None, description="cloud-run: how the APIs are spoken to; `grpc` unless given."
    )
    impersonate: Text | None = Field(
        None, description="cloud-run: the service account that loopctl acts as."
    )
    keep_revisions: Annotated[int, Field(ge=1)] | None = Field(
        None, description="cloud-run: how many revisions are kept; all unless given."
    )


class CriterionPart(Part):
    """A limit on a metric over all samples of the cycle."""

    metric: Annotated[
        str,
        AfterValidator(matching(_METRIC, "must look like http.p95")),
        AfterValidator(_measurable),
    ] = Field(description="What is measured.")
    op: Literal["<", "<=", ">", ">=", "=="] = Field(description="How it is compared.")
    value: Measure = Field(description="The limit: a number or a duration.")
    min_samples: Annotated[int, Field(ge=1)] | None = Field(
        None, description="With fewer it is not judged; `1` unless given."
    )


class ImpactPart(Part):
    """Somebody's estimate of what a service is worth, printed with its source."""

    value: OwnText = Field(description="The estimate.")
    source: Text = Field(description="Whose it is.")


class LimitsPart(Part):
    """When the loop stops trying."""

    max_cycles: Annotated[int, Field(ge=1, le=100)] | None = Field(
        None, description="How often it goes round; `3` unless given."
    )
    deadline: SomeTime | None = Field(
        None, description="How long the run may go on; `2h` unless given."
    )
    no_progress: Annotated[int, Field(ge=1)] | None = Field(
        None,
        description="Cycles that fail alike on the same source; `2` unless given.",
    )
    jobs: Annotated[int, Field(ge=1, le=64)] | None = Field(
        None, description="Builds and suites side by side; `2` unless given."
    )


class TriggerPart(Part):
    """What a remedy waits for; all that is given must hold."""

    signature: Text | None = Field(None, description="The id of a signature.")
    # Only what leads to a remedy: nothing was changed yet when preflight fails.
    stage: Literal["build", "deploy", "health", "verify", "promote", "confirm"] | None = Field(
        None, description="The stage that failed."
    )
    verdict: Literal["red", "unproven", "undelivered"] | None = Field(
        None, description="How the cycle ended."
    )
    suite: Text | None = Field(None, description="The suite that failed.")
    service: Text | None = Field(None, description="The service that failed.")


class RulePart(Part):
    """A remedy: when to do what, and how often in a run."""

    when: Annotated[TriggerPart, BeforeValidator(_trigger)] = Field(description="When.")
    do: Literal["rebuild", "retry", "rollback", "run", "raise-memory", "wait"] = Field(
        description="What."
    )
    command: Annotated[list[OwnText], Field(min_length=1)] | None = Field(
        None, description="With `do: run`, what is run in the project root."
    )
    timeout: SomeTime | None = Field(
        None, description="With `do: run`, how long it may take; `30m` unless given."
    )
    limit: Annotated[int, Field(ge=1)] | None = Field(
        None, description="How often in a run; `1` unless given."
    )
    per_day: Annotated[int, Field(ge=1)] | None = Field(
        None, description="How often in 24 hours, over all runs; as remediate.per_day unless given."
    )
    branch: bool | None = Field(
        None,
        description="With `do: run`, on a branch in a work tree of its own; `false` unless given.",
    )


class RemediatePart(Part):
    """What loopctl may do by itself."""

    mode: Literal["off", "propose", "auto"] | None = Field(
        None,
        description="--remediate goes no further than this; `propose` unless given.",
    )
    may_edit: list[Text] | None = Field(
        None, description="Globs a remedy may change besides the services' sources."
    )
    per_day: Annotated[int, Field(ge=1)] | None = Field(
        None, description="How many remedies in 24 hours, over all runs; `50` unless given."
    )
    max_memory: Size | None = Field(
        None, description="How far raise-memory may go; `2Gi` unless given."
    )
    rules: list[RulePart] | None = Field(None, description="The remedies.")


class NoticePart(Part):
    """Who is told, and of what."""

    on: Annotated[
        list[Literal["green", "red", "unproven", "preflight", "undelivered", "interrupted"]],
        BeforeValidator(one_or_many),
        Field(min_length=1),
    ] = Field(description="The verdicts that are told; what was told is also told as mended.")
    url: Annotated[str, AfterValidator(matching(_NOTICE_URL, _NOTICE_SAYS))] = Field(
        description="A webhook, or any URL of apprise's; empty: switched off."
    )
    kind: Literal["slack", "teams", "webhook", "apprise"] | None = Field(
        None, description="As the URL's host tells unless given."
    )
    environments: (
        Annotated[list[Text], BeforeValidator(one_or_many), Field(min_length=1)] | None
    ) = Field(None, description="Only in these; in all unless given.")
    every: Literal["change", "run"] | None = Field(
        None, description="When something has changed, or of every run; change unless given."
    )


_REPOSITORY = r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}/[A-Za-z0-9._-]{1,100}"
_A_LABEL = r"[^,\x00-\x1f\x7f]{1,50}"
_Label = Annotated[
    str, AfterValidator(matching(_A_LABEL, "must be a label: at most 50 characters, no comma"))
]


class GithubPart(Part):
    """What is told on GitHub."""

    repository: (
        Annotated[str, AfterValidator(matching(_REPOSITORY, "must look like owner/name"))] | None
    ) = Field(None, description="owner/name; that of the CI job unless given.")
    token: str | None = Field(
        description='A reference, "${GITHUB_TOKEN:-}"; where it is empty nothing is told.'
    )
    issues: bool | None = Field(None, description="An issue for each cause; `true` unless given.")
    comment: bool | None = Field(
        None, description="A comment on the pull request; `true` unless given."
    )
    status: bool | None = Field(None, description="A status of the commit; `true` unless given.")
    labels: list[_Label] | None = Field(None, description="On new issues, beside `loopctl`.")
    environments: list[Text] | None = Field(
        None, description="Which are told of; all, and in CI jobs alone, unless given."
    )
    api: HttpUrl | None = Field(
        None, description="Of GitHub Enterprise, https://HOST/api/v3; that of the job unless given."
    )


class WorklogPart(Part):
    """How runs are kept, and what is kept out of them."""

    keep: Annotated[int, Field(ge=1)] | None = Field(
        None, description="Runs of this loop that are kept; `50` unless given."
    )
    redact: list[Text] | None = Field(
        None, description="Names of variables, or `re:` and a pattern, never shown."
    )


class LoopFile(Part):
    """A loop: where it runs, which services it takes there, which suites must prove them."""

    version: Literal[1] = Field(description="Of this format.")
    name: Annotated[
        str, AfterValidator(matching(LOOP_NAME, "must be letters, digits, - and _"))
    ] = Field(description="Equals the file's stem.")
    description: str | None = Field(None, description="What it proves, in a sentence.")
    owner: OwnText | None = Field(None, description="Whom to call; on the first screen.")
    runbook: Text | None = Field(None, description="What to do; on the first screen.")
    extends: (
        Annotated[
            list[Text],
            BeforeValidator(one_or_many),
            WithJsonSchema(
                {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
            ),
        ]
        | None
    ) = Field(None, description="Files below this one: maps merge, lists replace.")
    default_environment: Text | None = Field(
        None, description="Where it runs when nobody says; the first one unless given."
    )
    environments: Annotated[ByName[EnvironmentPart], Field(min_length=1)] | None = Field(
        None, description="Where it can run; one named local, on that platform, unless given."
    )
    services: Annotated[ServicesOf[ServicePart], Field(min_length=1)] = Field(
        description="What is deployed, or only gated on."
    )
    suites: Annotated[list[SuitePart], Field(min_length=1)] = Field(
        description="The tests that must prove it."
    )
    criteria: list[CriterionPart] | None = Field(None, description="Limits on metrics.")
    impact: ServicesOf[ImpactPart] | None = Field(None, description="What a service is worth.")
    loop: LimitsPart | None = Field(None, description="When it stops trying.")
    remediate: RemediatePart | None = Field(None, description="What it may mend by itself.")
    signatures: list[Text] | None = Field(None, description="Files with your known failures.")
    history: Text | None = Field(
        None,
        description="Where later runs find earlier ones: a folder, or any URL of fsspec's.",
    )
    github: GithubPart | None = Field(None, description="What is told on GitHub.")
    notify: list[NoticePart] | None = Field(None, description="Who is told.")
    worklog: WorklogPart | None = Field(None, description="How runs are kept.")


def json_schema() -> dict[str, Any]:
    """JSON Schema, draft 2020-12, of a loop file as it is written, variables included."""
    schema = _for_editors(LoopFile.model_json_schema(by_alias=True))
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _for_editors(schema: Any) -> Any:
    """Without the noise of pydantic, and with `${…}` wherever a value is typed or has a form."""
    if isinstance(schema, list):
        return [_for_editors(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    clean = {key: value for key, value in schema.items() if key not in {"default", "title"}}
    for key in ("properties", "patternProperties", "$defs"):
        if key in clean:
            clean[key] = {name: _for_editors(below) for name, below in clean[key].items()}
    for key in ("items", "additionalProperties", "anyOf"):
        if key in clean:
            clean[key] = _for_editors(clean[key])
    return _or_reference(clean)


def _or_reference(schema: dict[str, Any]) -> dict[str, Any]:
    typed = schema.get("type") in ("integer", "number", "boolean")
    if not typed and not schema.keys() & {"pattern", "enum", "const", "format"}:
        return schema
    reference = {"type": "string", "pattern": r"\$\{"}
    about = {"description", "examples"}
    bare = {key: value for key, value in schema.items() if key not in about}
    return {"anyOf": [bare, reference], **{key: schema[key] for key in schema.keys() & about}}
