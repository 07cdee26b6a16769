"""Schema: services, how they are built, run and found healthy."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from loopctl.loopfile.quantities import (
    Duration,
    FreeTable,
    OwnText,
    OwnTextOrNull,
    Size,
    SomeTime,
    Text,
    VariableName,
    matching,
    one_or_many,
    without_free_keys,
    wrong,
)
from loopctl.loopfile.schema_base import Part

_REFERENCE = r"[A-Za-z0-9_-]{1,255}:(?:latest|[1-9][0-9]*)"
_REFERENCE_SAYS = "must look like name:latest or name:7; it names a secret and must not be one"
_IMAGE = r"[^\s@]+@sha256:[0-9a-f]{64}"


def _cpu(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise wrong("must be a number of processors")
    return value if isinstance(value, str) else str(getattr(value, "text", value))


Cpu = Annotated[
    str,
    BeforeValidator(_cpu),
    AfterValidator(matching(r"\d+(?:\.\d+)?|\d+m", "must be a number of processors, as 1 or 500m")),
    WithJsonSchema({"type": ["string", "number"]}),
]
Port = Annotated[int, Field(ge=1, le=65535)]
Path = Annotated[str, AfterValidator(matching(r"/.*", "must start with /"))]
Status = Annotated[int, Field(ge=100, le=599)]
Statuses = Annotated[
    list[Status],
    BeforeValidator(one_or_many),
    Field(min_length=1),
    WithJsonSchema(
        {"anyOf": [{"type": "integer"}, {"type": "array", "items": {"type": "integer"}}]}
    ),
]
HttpUrl = Annotated[
    str, AfterValidator(matching(r"https?://[^\s/?#]+\S*", "must be an http:// or https:// URL"))
]
Image = Annotated[
    str, AfterValidator(matching(_IMAGE, "must name an image by digest: repo/image@sha256:…"))
]
SecretReference = Annotated[
    str,
    AfterValidator(matching(_REFERENCE, _REFERENCE_SAYS)),
    WithJsonSchema({"type": "string", "pattern": f"^{_REFERENCE}$"}),
]


class SecretPart(Part):
    """A secret that the service is given as an environment variable."""

    value: OwnText | None = Field(None, description="The value, for local and docker.")
    secret: SecretReference | None = Field(
        None, description="Secret Manager's name:version, for cloud-run."
    )


class BuildPart(Part):
    """How the source of a service becomes something that can be run."""

    with_: Literal["docker", "cloud-build"] | None = Field(
        None, alias="with", description="What builds the image; local needs none."
    )
    dockerfile: Text | None = Field(
        None, description="docker, cloud-run: relative to the source; `Dockerfile` unless given."
    )
    target: Text | None = Field(
        None, description="The stage of the Dockerfile; the last one unless given."
    )
    args: Annotated[dict[VariableName, OwnText], BeforeValidator(without_free_keys)] | None = Field(
        None, description="Build arguments."
    )
    secrets: (
        Annotated[dict[VariableName, SecretPart], BeforeValidator(without_free_keys)] | None
    ) = Field(None, description="What RUN --mount=type=secret,id=NAME is given; in no image.")
    steps: list[Text] | None = Field(
        None, description="local: shell lines run in the fresh copy of the source."
    )
    alters: list[Text] | None = Field(
        None, description="Globs of copied files that a RUN step is meant to change."
    )
    timeout: SomeTime | None = Field(None, description="How long it may take; `15m` unless given.")


class RunPart(Part):
    """How a service is run. On Cloud Run only the fields named here change."""

    command: Annotated[list[OwnText], Field(min_length=1)] | None = Field(
        None,
        description="What is started; local needs it; elsewhere the image's own unless given.",
    )
    port: Port | None = Field(
        None, description="Told as PORT; local picks a free one; 8080 in a container unless given."
    )
    env: Annotated[dict[VariableName, OwnTextOrNull], BeforeValidator(without_free_keys)] | None = (
        Field(None, description="Merged into what the service has; null removes one.")
    )
    secrets: (
        Annotated[dict[VariableName, SecretPart], BeforeValidator(without_free_keys)] | None
    ) = Field(None, description="Secrets, by the variable that carries them.")
    cpu: Cpu | None = Field(None, description="Processors; for cloud-run and docker.")
    memory: Size | None = Field(None, description="Memory; for cloud-run and docker.")
    min_instances: Annotated[int, Field(ge=0)] | None = Field(
        None, description="cloud-run: instances that are always there."
    )
    max_instances: Annotated[int, Field(ge=1)] | None = Field(
        None, description="cloud-run: no more instances than these."
    )
    concurrency: Annotated[int, Field(ge=1, le=1000)] | None = Field(
        None, description="cloud-run: requests at once to one instance."
    )
    timeout: SomeTime | None = Field(None, description="cloud-run: how long one request may take.")
    service_account: Text | None = Field(None, description="cloud-run: whom it runs as.")
    cloud_run: FreeTable | None = Field(
        None, description="A fragment of a v2 Service, merged deep, containers by name."
    )


class HealthPart(Part):
    """When a service counts as healthy."""

    path: Path | None = Field(None, description="What is asked; `/health` unless given.")
    status: Statuses | None = Field(
        None, description="What it must answer, one status or several; `200` unless given."
    )
    redirects: Literal["deny", "follow"] | None = Field(
        None, description="deny: one is a failure that says so; `deny` unless given."
    )
    expect: FreeTable | None = Field(None, description="Fields of the JSON answer.")
    max_latency: SomeTime | None = Field(
        None, description="The slowest answer, but for the first, cold one; no limit unless given."
    )
    stable_for: Duration | None = Field(
        None, description="It must stay healthy this long; `0s` unless given."
    )
    timeout: SomeTime | None = Field(
        None, description="How long it is waited for; `5m` unless given."
    )


class AuthPart(Part):
    """How health, probes and suites prove who they are."""

    kind: Literal["none", "id_token"] = Field(description="`id_token` sends one.")
    audience: Text | None = Field(None, description="The token's audience.")
    impersonate: Text | None = Field(None, description="The service account that it is for.")


def _auth(value: object) -> object:
    return {"kind": value} if isinstance(value, str) else value


class ServicePart(Part):
    """One service. With `url` it is only gated on; else it has a `source`, an `image`, or both."""

    source: Text | None = Field(
        None, description="The folder that it is built from; beside an image what that must hold."
    )
    url: HttpUrl | None = Field(None, description="Where it is already: then never deployed.")
    image: Image | None = Field(
        None, description="An image built elsewhere, by digest; then nothing is built."
    )
    needs: list[str] | None = Field(None, description="Services deployed and healthy before it.")
    migrations: list[Text] | None = Field(
        None, description="Globs; when these differ nothing goes back by itself."
    )
    build: BuildPart | None = Field(None, description="How it is built.")
    provenance: Literal["content", "label", "none"] | None = Field(
        None, description="What green requires of the image; `content` unless given."
    )
    run: RunPart | None = Field(None, description="How it is run.")
    auth: (
        Annotated[
            AuthPart,
            BeforeValidator(_auth),
            WithJsonSchema(
                {
                    "anyOf": [
                        {"enum": ["none", "id_token"]},
                        {"type": "object", "required": ["kind"]},
                    ]
                }
            ),
        ]
        | None
    ) = Field(
        None,
        description="A kind, or a map {kind, audience, impersonate}; `none` unless given.",
    )
    public_url: HttpUrl | None = Field(
        None, description="Its custom domain: the base of suites with `phase: confirm`."
    )
    health: HealthPart | None = Field(None, description="When it counts as healthy.")
