"""Known causes as data: what each needs to see, what it says, what may be done.

Grown from the schema in facts/log-triage.md. `all` must be seen, `none` must not; of `any` one
must be seen where `all` is empty, otherwise each corroborates. What `recovered` sees is over: what
was seen before it does not count.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from loopctl.triage.regexes import compiled, problem_with

Scalar = str | int | float | bool | None
On = Literal["log", "test", "condition", "http", "ws_close", "metric"]


def _safe(pattern: str) -> str:
    if problem := problem_with(pattern):
        raise ValueError(problem)
    return pattern


Regex = Annotated[str, AfterValidator(_safe)]


class _Strict(BaseModel):
    """Unknown keys are errors: nothing in a catalogue is silently ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Comparison(_Strict):
    """A field of a record against a value, or against another field of it (`ref`)."""

    field: str
    op: Literal["eq", "ne", "lt", "le", "gt", "ge", "in"] = "eq"
    value: Scalar | tuple[Scalar, ...] = None
    ref: str | None = None

    @model_validator(mode="after")
    def _one_side(self) -> Self:
        if self.ref is not None and "value" in self.model_fields_set:
            raise ValueError("give a value or a ref, not both")
        if (self.op == "in") != isinstance(self.value, tuple):
            raise ValueError("`in` goes with a list of values, and only `in`")
        return self


class Clause(_Strict):
    """What one piece of evidence looks like.

    `source` is a log's stream or a suite's id; `regex` is looked for in every line of the record;
    a line that `unless` matches too is passed over. `field` … is short for a single entry of
    `where`. `or` holds other looks of the same evidence.
    `confidence` is the signature's base where this is all there is to go by: a line of a log says
    less than what loopctl itself has seen. `same` is for `recovered`: over is only what has the
    same values under these names.
    """

    on: On
    source: str | None = None
    regex: Regex | None = None
    unless: Regex | None = None
    where: tuple[Comparison, ...] = ()
    field: str | None = None
    op: Literal["eq", "ne", "lt", "le", "gt", "ge", "in"] = "eq"
    value: Scalar | tuple[Scalar, ...] = None
    ref: str | None = None
    or_: tuple[Clause, ...] = Field(default=(), alias="or")
    confidence: float | None = Field(default=None, ge=0, le=1)
    same: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.field is None and {"op", "value", "ref"} & self.model_fields_set:
            raise ValueError("op, value and ref need a field")
        if not self.regex and not self.comparisons:
            raise ValueError("a clause needs a regex, a field or a where")
        if self.unless and not self.regex:
            raise ValueError("unless needs a regex")
        if any(other.or_ for other in self.or_):
            raise ValueError("an `or` within an `or`: write them beside each other")
        return self

    @property
    def comparisons(self) -> tuple[Comparison, ...]:
        """Everything that is asked of the record's fields."""
        if self.field is None:
            return self.where
        given = self.model_dump(include={"field", "op", "value", "ref"}, exclude_unset=True)
        return (Comparison.model_validate(given), *self.where)

    @property
    def captures(self) -> frozenset[str]:
        """The names that the regex captures."""
        return compiled(self.regex).names if self.regex else frozenset()

    @property
    def looks(self) -> tuple[Clause, ...]:
        """The clause itself, and what its `or` holds."""
        return (self, *self.or_)


class Match(_Strict):
    """When the cause is seen.

    `differ`: two names of which the values must not be the same; what has but one of them counts
    only where the other was seen and is different.
    """

    all: tuple[Clause, ...] = ()
    any: tuple[Clause, ...] = ()
    none: tuple[Clause, ...] = ()
    recovered: tuple[Clause, ...] = ()
    differ: tuple[str, str] | None = None

    @model_validator(mode="after")
    def _sees_something(self) -> Self:
        if not self.all and not self.any:
            raise ValueError("`all` or `any` must hold a clause")
        return self


SUREST: Final = 0.99
"""Nothing that is known from logs and answers alone is certain."""


class Confidence(_Strict):
    """How sure the match makes us; `act_at` is the least for acting without a person."""

    base: float = Field(default=0.6, ge=0, le=1)
    per_corroboration: float = Field(default=0.1, ge=0, le=1)
    act_at: float = Field(default=0.9, ge=0, le=1)

    def raised(self, corroborating: int, base: float | None = None) -> float:
        """The base, raised by so many clauses that corroborate; at most .99."""
        base = self.base if base is None else base
        return min(SUREST, base + self.per_corroboration * corroborating)


class WhyTemplate(_Strict):
    """A question and its answer with `{name}`s.

    With `evidence`, the name that shows it, the answer is observed once that was captured; without
    it is `inferred` when the signature says so, else a hypothesis. `optional`: left out, not
    guessed, where it was not captured.
    """

    question: str
    answer: str
    evidence: str | None = None
    inferred: bool = False
    optional: bool = False


class RemedyTemplate(_Strict):
    """What may be done: `auto` within `limit` times a run, or `person`.

    `verify` is what shows that it has mended; without it, that the failed stage comes to a good
    end. `pause` are seconds to wait before it.
    """

    action: Literal["rebuild", "retry", "rollback", "run", "raise-memory", "wait", "person"]
    mode: Literal["auto", "person"] = "person"
    limit: int = Field(default=1, ge=0, le=10)
    verify: Literal["image_tree", "health", "suites"] | None = None
    pause: float = Field(default=0.0, ge=0, le=300)
    detail: str = ""


class Examples(_Strict):
    """Fixture files that the signature must match, and must not."""

    positive: tuple[str, ...] = Field(min_length=1)
    negative: tuple[str, ...] = Field(min_length=1)


class Signature(_Strict):
    """A known cause. `explains` names signatures that say less about the same failure.

    `group_by`: captures or fields whose values tell two findings of this signature apart.
    `plain_title` is the title where not every name of `title` was captured. `not_evidence`: the run
    itself is at fault and proves nothing about the service.
    """

    schema_: Literal[1] = Field(alias="schema")
    id: str = Field(pattern=r"^[a-z0-9]+(?:[.-][a-z0-9]+)+$")
    title: str
    plain_title: str | None = None
    severity: Literal["critical", "high", "medium", "low"]
    confidence: Confidence = Confidence()
    match: Match
    group_by: tuple[str, ...] = ()
    explains: tuple[str, ...] = ()
    not_evidence: bool = False
    whys: tuple[WhyTemplate, ...] = ()
    remedy: RemedyTemplate
    links: tuple[str, ...] = ()
    tests: Examples
