"""The tree of a filter: NOT binds tightest, then OR, then AND, whether written or left out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from emulator.log_filter_tokens import OPERATORS, FilterError, Kind, Token, syntax_error, tokens

LONGEST_FILTER = 20_000
"""Characters, comments included."""


@dataclass(frozen=True, slots=True)
class And:
    """All of them hold; none at all: everything."""

    terms: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """One of them holds."""

    terms: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """It does not hold, be it that its field is missing."""

    term: Node


@dataclass(frozen=True, slots=True)
class Value:
    """The right-hand side of a comparison, before it is made a field's type."""

    text: str
    quoted: bool = False

    @property
    def is_null(self) -> bool:
        """Whether JSON's null is meant."""
        return not self.quoted and self.text == "NULL_VALUE"


@dataclass(frozen=True, slots=True)
class Present:
    """The `*` of `field:*`."""


@dataclass(frozen=True, slots=True)
class Path:
    """A field by its names, and where it stands in the filter."""

    segments: tuple[str, ...]
    place: str


@dataclass(frozen=True, slots=True)
class Apply:
    """A function; as a term of its own, or on the left of a comparison."""

    name: str
    """In lower case."""
    arguments: tuple[Path | Value | Apply, ...]
    place: str


@dataclass(frozen=True, slots=True)
class Compare:
    """`field operator value`."""

    field: Path | Apply
    operator: str
    value: Value | Present


@dataclass(frozen=True, slots=True)
class Anywhere:
    """A value alone: some field has it."""

    value: Value


Node = And | Or | Not | Compare | Anywhere | Apply


def parse(source: str) -> Node:
    """The tree of a filter; an empty one is `And(())`.

    Raises FilterError, with the service's own text and place where it is known.
    """
    if len(source) > LONGEST_FILTER:
        raise FilterError(
            f"Unparseable filter: {len(source)} characters, at most {LONGEST_FILTER} are allowed"
        )
    return _Parser(source).whole()


class _Parser:
    def __init__(self, source: str) -> None:
        self._source = source
        self._tokens = list(tokens(source))
        self._at = 0

    @property
    def _now(self) -> Token:
        return self._tokens[self._at]

    def _take(self) -> Token:
        token = self._now
        self._at += 1
        return token

    def _refuse(self, token: Token) -> FilterError:
        return syntax_error(self._source, token.start, token.text)

    def _place(self, token: Token) -> str:
        line = self._source.count("\n", 0, token.start) + 1
        column = token.start - self._source.rfind("\n", 0, token.start)
        return f"line {line}, column {column}, token '{token.text}'"

    def whole(self) -> Node:
        if self._is_over():
            return And(())
        tree = self._all_of(self._term)
        if not self._is_over():
            raise self._refuse(self._now)
        return tree

    def _is_over(self) -> bool:
        return self._now.kind is Kind.END

    def _all_of(self, one: Callable[[], Node]) -> Node:
        terms = [self._one_of(one)]
        while not (self._is_over() or self._now.is_sign(")")):
            if self._now.is_keyword("AND"):
                self._take()
            terms.append(self._one_of(one))
        return terms[0] if len(terms) == 1 else And(tuple(terms))

    def _one_of(self, one: Callable[[], Node]) -> Node:
        terms = [self._maybe_not(one)]
        while self._now.is_keyword("OR"):
            self._take()
            terms.append(self._maybe_not(one))
        return terms[0] if len(terms) == 1 else Or(tuple(terms))

    def _maybe_not(self, one: Callable[[], Node]) -> Node:
        if self._now.is_keyword("NOT") or (self._now.is_sign("-") and not self._is_number()):
            self._take()
            return Not(self._maybe_not(one))
        return one()

    def _in_parentheses(self, one: Callable[[], Node]) -> Node:
        self._take()
        tree = self._all_of(one)
        if not self._now.is_sign(")"):
            raise self._refuse(self._now)
        self._take()
        return tree

    def _term(self) -> Node:
        token = self._now
        if token.is_sign("("):
            return self._in_parentheses(self._term)
        if self._is_number():
            return Anywhere(self._value())
        if token.kind is not Kind.WORD or token.is_keyword("AND", "OR", "NOT"):
            raise self._refuse(token)
        self._take()
        left = self._call(token) if self._calls(token) else Path(token.segments, self._place(token))
        if self._now.is_sign(*OPERATORS):
            return self._comparison(left)
        return left if isinstance(left, Apply) else Anywhere(Value(token.value, token.quoted))

    def _comparison(self, field: Path | Apply) -> Node:
        operator = self._take().text

        def one() -> Node:
            if self._now.is_sign("("):
                return self._in_parentheses(one)
            if self._now.is_sign("*") and operator == ":":
                self._take()
                return Compare(field, operator, Present())
            return Compare(field, operator, self._value())

        return one()

    def _is_number(self) -> bool:
        """Whether a sign begins a number here: only right of an operator is it none of NOT."""
        if not self._now.is_sign("-", "+") or self._at == 0:
            return False
        number = self._tokens[self._at + 1]
        touches = number.start == self._now.end
        after_operator = self._tokens[self._at - 1].is_sign(*OPERATORS)
        return touches and after_operator and number.text[:1].isdigit() and not number.quoted

    def _value(self) -> Value:
        sign = self._take().text if self._is_number() else ""
        token = self._take()
        if token.kind is not Kind.WORD or token.is_keyword("AND", "OR", "NOT"):
            raise self._refuse(token)
        return Value(sign + token.value, token.quoted)

    def _calls(self, token: Token) -> bool:
        opens = self._now.is_sign("(") and self._now.start == token.end
        return opens and len(token.segments) == 1 and not token.quoted

    def _call(self, name: Token) -> Apply:
        self._take()
        arguments: list[Path | Value | Apply] = []
        while not self._now.is_sign(")"):
            if arguments:
                if not self._now.is_sign(","):
                    raise self._refuse(self._now)
                self._take()
            arguments.append(self._argument())
        self._take()
        return Apply(name.text.lower(), tuple(arguments), self._place(name))

    def _argument(self) -> Path | Value | Apply:
        token = self._take()
        if token.kind is not Kind.WORD or token.is_keyword("AND", "OR", "NOT"):
            raise self._refuse(token)
        if self._calls(token):
            return self._call(token)
        if token.quoted and len(token.segments) == 1:
            return Value(token.value, quoted=True)
        return Path(token.segments, self._place(token))
