"""What all parts of the loop file's schema share."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    WithJsonSchema,
    model_validator,
)

from loopctl.loopfile.quantities import matching, without_free_keys

T = TypeVar("T")

_ID = r"[a-z](?:[a-z0-9-]*[a-z0-9])?"
_ID_SAYS = "must be lowercase letters, digits and hyphens, from a letter to a letter or digit"


def _free_keys(schema: dict[str, Any]) -> None:
    schema["patternProperties"] = {"^x-": {}}


class Part(BaseModel):
    """One map of the loop file: its keys are all known, but for those that start with `x-`."""

    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, json_schema_extra=_free_keys
    )

    @model_validator(mode="before")
    @classmethod
    def _pass_over_free_keys(cls, value: object) -> object:
        return without_free_keys(value)


Id: TypeAlias = Annotated[
    str,
    AfterValidator(matching(_ID, _ID_SAYS)),
    WithJsonSchema({"type": "string", "pattern": f"^(?!x-){_ID}$"}),
]
ServiceId: TypeAlias = Annotated[
    str,
    AfterValidator(matching(f"(?=.{{1,49}}$){_ID}", f"{_ID_SAYS}, under 50 characters")),
    WithJsonSchema({"type": "string", "pattern": f"^(?!x-){_ID}$", "maxLength": 49}),
]
ServicesOf: TypeAlias = Annotated[dict[ServiceId, T], BeforeValidator(without_free_keys)]
ByName: TypeAlias = Annotated[dict[Id, T], BeforeValidator(without_free_keys)]
