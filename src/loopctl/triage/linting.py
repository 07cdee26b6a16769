"""What is wrong with a signature that has the right form: found without running it. Pure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator, Sequence
from typing import Final, Protocol

from loopctl.errors import Problem
from loopctl.triage.acting import OWN_ACTIONS
from loopctl.triage.record_fields import FIELDS, TRACE_FIELDS
from loopctl.triage.signatures import Clause, Signature

_PLACEHOLDER: Final = re.compile(r"\{([a-z_]+)\}")
_LINK: Final = re.compile(r"https?://[^\s/]+\S*|(?:[\w.-]+/[\w.-]+)?#\d+")
_ALWAYS: Final = frozenset({"cases", "service"})

Path = tuple[int | str, ...]
Finding = tuple[Path, str, str | None]


class Placed(Protocol):
    """A signature, and where its parts stand."""

    @property
    def signature(self) -> Signature:
        """The signature."""

    def place(self, *path: int | str) -> str:
        """`file:line:column` of a part of it."""


def problems_of(written: Sequence[Placed], known: Collection[str]) -> Iterator[Problem]:
    """Everything that is wrong with these; `known` are the ids of all signatures in force."""
    seen: dict[str, str] = {}
    for each in written:
        identity = each.signature.id
        if identity in seen:
            yield Problem(f"{identity} is written twice, first at {seen[identity]}", each.place())
        seen.setdefault(identity, each.place())
        for path, said, hint in _found(each.signature, known):
            yield Problem(said, where=each.place(*path), hint=hint)


def _found(signature: Signature, known: Collection[str]) -> Iterator[Finding]:
    for at, explained in enumerate(signature.explains):
        if explained not in known:
            near = difflib.get_close_matches(explained, list(known), 1)
            hint = f"did you mean {near[0]}?" if near else "`loopctl signatures list` names all"
            yield ("explains", at), f"explains {explained!r}, which does not exist", hint
    for path, clause in _clauses(signature):
        yield from _of_clause(path, clause, signature)
    yield from _names(signature)
    yield from _remedy(signature)
    for at, link in enumerate(signature.links):
        if not _LINK.fullmatch(link):
            said = f"{link!r} leads nowhere"
            yield ("links", at), said, "write https://…, #123 or owner/repository#123"


def _clauses(signature: Signature) -> Iterator[tuple[Path, Clause]]:
    for part in ("all", "any", "none", "recovered"):
        for at, clause in enumerate(getattr(signature.match, part)):
            yield ("match", part, at), clause
            for other, look in enumerate(clause.or_):
                yield ("match", part, at, "or", other), look


def _of_clause(path: Path, clause: Clause, signature: Signature) -> Iterator[Finding]:
    fields = FIELDS[clause.on]
    for comparison in clause.comparisons:
        for name in filter(None, (comparison.field, comparison.ref)):
            if name not in fields:
                said = f"a record of `on: {clause.on}` has no field {name!r}"
                yield path, said, f"it has {', '.join(sorted(fields))}"
    traced = any(comparison.field in TRACE_FIELDS for comparison in clause.comparisons)
    if clause.on == "log" and clause.regex is None and not traced:
        said = "a clause on logs without a regex would look at every line"
        yield path, said, "add a regex, or ask for a traceback's field, as `type` or `in_app`"
    if clause.confidence is not None and clause.confidence > signature.confidence.base:
        said = "a clause cannot be surer than its signature's `confidence.base`"
        yield (*path, "confidence"), said, f"at most {signature.confidence.base:g}"
    if path[1] == "recovered":
        kinds = {look.on for on, look in _clauses(signature) if on[1] in ("all", "any")}
        if clause.on not in kinds:
            said = f"nothing is seen `on: {clause.on}` that could be over"
            yield path, said, "a trouble is ended by what is of its own kind"
    elif clause.same:
        yield (*path, "same"), "`same` is for `recovered` alone", None


def _names(signature: Signature) -> Iterator[Finding]:
    """Every name that a text asks for must be one that evidence can give."""
    match = signature.match
    looks = [look for clause in (*match.all, *match.any) for look in clause.looks]
    given = {name for look in looks for name in (*look.captures, *FIELDS[look.on])} | _ALWAYS
    for path, text in _texts(signature):
        for name in _PLACEHOLDER.findall(text):
            if name not in given:
                yield path, *_unknown(name, given)
    asked: list[tuple[Path, str]] = [
        (("whys", at, "evidence"), why.evidence)
        for at, why in enumerate(signature.whys)
        if why.evidence is not None
    ]
    asked += [(("group_by", at), name) for at, name in enumerate(signature.group_by)]
    asked += [(("match", "differ", at), name) for at, name in enumerate(match.differ or ())]
    for path, name in asked:
        if name not in given:
            yield path, *_unknown(name, given)


def _unknown(name: str, given: Collection[str]) -> tuple[str, str]:
    near = difflib.get_close_matches(name, list(given), 1)
    hint = f"did you mean {near[0]}? " if near else ""
    return (
        f"nothing in `all` or `any` gives {name!r}",
        f"{hint}capture it in a regex: (?P<{name}>…)",
    )


def _texts(signature: Signature) -> Iterator[tuple[Path, str]]:
    yield ("title",), signature.title
    yield ("remedy", "detail"), signature.remedy.detail
    for at, why in enumerate(signature.whys):
        yield ("whys", at, "question"), why.question
        yield ("whys", at, "answer"), why.answer


def _remedy(signature: Signature) -> Iterator[Finding]:
    remedy = signature.remedy
    if remedy.mode != "auto":
        return
    if remedy.action not in OWN_ACTIONS:
        said = f"{remedy.action!r} is never done without a person"
        others = ", ".join(sorted(OWN_ACTIONS))
        yield ("remedy", "mode"), said, f"write mode: person; alone it does {others}"
    elif remedy.verify is None:
        said = "a remedy that is done without a person says what shows that it has mended"
        yield ("remedy",), said, "add verify: image_tree, health or suites"
