"""Schema: suites, what they ask and what their passes must prove."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from loopctl.loopfile.quantities import (
    Day,
    FreeTable,
    FreeValue,
    OwnText,
    SomeTime,
    Text,
    Tolerated,
    VariableName,
    without_free_keys,
    wrong,
)
from loopctl.loopfile.schema_base import Id, Part
from loopctl.loopfile.schema_service import Statuses

GradeName = Literal["contradicted", "unproven", "suspect", "plausible", "observed", "proven"]
Amount = Annotated[int, Field(ge=1)]
_WANTS_SHARDS = "must be a whole number from 1, or auto"
_SWITCH = WithJsonSchema({"anyOf": [{"enum": ["on", "off"]}, {"type": "boolean"}]})


def _shards(value: object) -> object:
    whole = isinstance(value, int) and not isinstance(value, bool) and value >= 1
    if value != "auto" and not whole:
        raise wrong(_WANTS_SHARDS)
    return value


def _switch(value: object) -> object:
    match value:
        case "on" | True:
            return True
        case "off" | False:
            return False
        case _:
            raise wrong("must be on or off")


class TimeoutPart(Part):
    """How long a suite, and one test of it, may take."""

    suite: SomeTime | None = Field(None, description="The whole suite; `10m` unless given.")
    test: SomeTime | None = Field(None, description="One test; `2m` unless given.")


class TolerancePart(Part):
    """How many cases may end in each way: a number, or a share of what was collected."""

    failed: Tolerated | None = Field(
        None, description="Cases that failed, or took too long; `0` unless given."
    )
    broken: Tolerated | None = Field(
        None, description="Cases whose own code is at fault; `0` unless given."
    )
    skipped: Tolerated | None = Field(
        None, description="Cases that were skipped; `0` unless given."
    )
    flaky: Tolerated | None = Field(
        None, description="Cases that passed when run again; `0` unless given."
    )


class QuarantinePart(Part):
    """A case whose failure is not counted until a day, and who answers for it."""

    case: Text = Field(description="The id of the case.")
    owner: Text = Field(description="Who answers for it.")
    until: Day = Field(description="Its last day; past it the file no longer validates.")


class EvidencePart(Part):
    """What a pass of this suite must prove."""

    require: GradeName | None = Field(
        None, description="The least grade that counts; `observed` unless given."
    )
    target: list[str] | None = Field(
        None, description="Services that a test may meet; all deployed ones unless given."
    )
    forbid: list[Text] | None = Field(
        None, description="Text that must not appear in output; it explains, never proves."
    )
    control: Literal["off", "changed", "always"] | None = Field(
        None,
        description="Run again with the target refused; `off` unless given.",
    )
    receipts: Annotated[bool, BeforeValidator(_switch), _SWITCH] | None = Field(
        None, description="off: put no trace id into the tests' requests; `on` unless given."
    )


class RequestPart(Part):
    """One request of an http suite: exactly one verb with its URL, and what must come back."""

    get: Text | None = Field(None, description="GET this URL.")
    head: Text | None = Field(None, description="HEAD this URL.")
    post: Text | None = Field(None, description="POST to this URL.")
    put: Text | None = Field(None, description="PUT to this URL.")
    patch: Text | None = Field(None, description="PATCH this URL.")
    delete: Text | None = Field(None, description="DELETE this URL.")
    headers: dict[str, OwnText] | None = Field(None, description="Headers to send.")
    send: FreeValue = Field(None, description="What to send, as JSON.")
    status: Statuses | None = Field(
        None, description="What must come back, one status or several; any 2xx unless given."
    )
    json_: FreeTable | None = Field(None, alias="json", description="Fields of the answer.")
    max_latency: SomeTime | None = Field(None, description="How long it may take.")


class ExpectPart(Part):
    """What a websocket suite must receive."""

    events: list[Text] | None = Field(None, description="The events that must come.")
    ordered: bool | None = Field(None, description="Whether in this order; `true` unless given.")
    field: Text | None = Field(
        None, description="The field that names an event; `type` unless given."
    )
    within: SomeTime | None = Field(
        None, description="All of them by then; the time of a test unless given."
    )


class SuitePart(Part):
    """One suite of tests."""

    id: Id = Field(description="Names it everywhere.")
    title: Text | None = Field(None, description="For people; the id unless given.")
    priority: Literal["P0", "P1", "P2", "P3"] | None = Field(
        None, description="P0 comes first, and every suite gates promotion; `P1` unless given."
    )
    phase: Literal["verify", "confirm"] | None = Field(
        None,
        description="Met on the candidate, or after promotion; `verify` unless given.",
    )
    kind: Literal["pytest", "command", "http", "websocket"] | None = Field(
        None, description="What runs it; `pytest` unless given."
    )
    run: Text | None = Field(
        None, description="pytest: its arguments; command: a shell line, {junit} in it."
    )
    python: Text | None = Field(
        None, description="The project's interpreter, from `cwd`; loopctl's own unless given."
    )
    cwd: Text | None = Field(None, description="Where it runs; the project root unless given.")
    env: Annotated[dict[VariableName, OwnText], BeforeValidator(without_free_keys)] | None = Field(
        None, description="Environment variables for the tests."
    )
    collect_min: Amount | None = Field(
        None, description="Fewer cases are not a pass; `1` unless given."
    )
    timeout: TimeoutPart | None = Field(None, description="How long it may take.")
    tolerance: TolerancePart | None = Field(
        None, description="What is tolerated; nothing unless given."
    )
    retries: Annotated[int, Field(ge=0, le=10)] | None = Field(
        None,
        description="A retry that passes is flaky, and is counted; `0` unless given.",
    )
    shards: (
        Annotated[
            int | Literal["auto"],
            BeforeValidator(_shards),
            WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1}, {"const": "auto"}]}),
        ]
        | None
    ) = Field(None, description="Parts that run side by side, or auto; `1` unless given.")
    executor: Literal["local", "cloud-run-job"] | None = Field(
        None, description="Where the parts run; `local` unless given."
    )
    repeatable: bool | None = Field(
        None, description="Whether running a test twice harms nothing; `false` unless given."
    )
    needs: list[str] | None = Field(None, description="Suites that must have passed before.")
    on_fail: Literal["stop", "continue"] | None = Field(
        None,
        description="What of later suites; stop for P0 and P1, else continue, unless given.",
    )
    protects: str | None = Field(None, description="The service that it stands for.")
    quarantine: list[QuarantinePart] | None = Field(None, description="Cases not counted.")
    evidence: EvidencePart | None = Field(None, description="What a pass must prove.")
    requests: list[RequestPart] | None = Field(None, description="http: what is asked.")
    url: Text | None = Field(None, description="websocket: where to connect.")
    headers: dict[str, OwnText] | None = Field(
        None, description="websocket: headers of the handshake."
    )
    send: list[FreeValue] | None = Field(None, description="websocket: what is sent.")
    expect: ExpectPart | None = Field(None, description="websocket: what must come.")
    connections: Annotated[int, Field(ge=1, le=1000)] | None = Field(
        None, description="websocket: how many at once; `1` unless given."
    )
