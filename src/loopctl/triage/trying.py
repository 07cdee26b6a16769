"""Tries signatures on the captures that they name, and on what green runs have left."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from typing import Literal

from loopctl.errors import Problem
from loopctl.model.finding import Finding, Quote
from loopctl.triage.assemble import assemble
from loopctl.triage.captures import read_capture
from loopctl.triage.diagnose import diagnose
from loopctl.triage.loading import Catalogue, Written
from loopctl.triage.match import Matcher, Part
from loopctl.triage.records import log_record, records_of


@dataclass(frozen=True, slots=True)
class Tried:
    """One capture held against one signature. `line` proves that it was seen, `why` says what is
    wrong: for a cause that was not seen, the clause that did not hold.
    """

    signature: str
    capture: str
    wanted: Literal["seen", "not seen"]
    ok: bool
    line: Quote | None = None
    why: str | None = None


def try_all(written: Sequence[Written], catalogue: Catalogue) -> Iterator[Tried]:
    """Every capture that these signatures name, in their order. `catalogue` has all in force."""
    findings: dict[tuple[str, str], tuple[Finding, ...] | str] = {}
    for each in written:
        examples = each.signature.tests
        wanted = [*((n, True) for n in examples.positive), *((n, False) for n in examples.negative)]
        for name, positive in wanted:
            key = (str(each.fixtures), name)
            if key not in findings:
                findings[key] = _findings(each.fixtures / name, catalogue)
            yield _tried(each, name, findings[key], positive=positive)


def on_green(
    written: Sequence[Written], catalogue: Catalogue, captures: Iterable[Traversable]
) -> Iterator[Problem]:
    """A problem for each of these signatures that sees its cause in a capture of a green run."""
    mine = {each.signature.id: each for each in written}
    for file in captures:
        found = _findings(file, catalogue)
        if isinstance(found, str):
            yield Problem(found, where=str(file))
            continue
        for finding in found:
            each = mine.get(finding.signature or "")
            if each is not None:
                said = f"{finding.signature} matches a green run: {finding.evidence[0].quote!r}"
                hint = f"in {file.name}; make `match` say what only the failure shows"
                yield Problem(said, where=each.place("match"), hint=hint)


def missing_captures(written: Sequence[Written]) -> Iterator[Problem]:
    """A problem for each capture that is named and is not there."""
    for each in written:
        for part in ("positive", "negative"):
            for at, name in enumerate(getattr(each.signature.tests, part)):
                if not (each.fixtures / name).is_file():
                    where = each.place("tests", part, at)
                    hint = f"put it beside the file: {each.fixtures / name}"
                    yield Problem(f"there is no capture {name}", where=where, hint=hint)


def _findings(file: Traversable, catalogue: Catalogue) -> tuple[Finding, ...] | str:
    try:
        return diagnose(read_capture(file), catalogue).findings
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"the capture cannot be read: {error}"


def _tried(each: Written, name: str, found: tuple[Finding, ...] | str, *, positive: bool) -> Tried:
    identity = each.signature.id
    wanted: Literal["seen", "not seen"] = "seen" if positive else "not seen"
    if isinstance(found, str):
        return Tried(identity, name, wanted, ok=False, why=found)
    mine = next((finding for finding in found if finding.signature == identity), None)
    line = next(iter(mine.evidence), None) if mine else None
    if (mine is not None) == positive:
        return Tried(identity, name, wanted, ok=True, line=line)
    if mine is not None:
        return Tried(identity, name, wanted, ok=False, line=line, why="it is seen")
    return Tried(identity, name, wanted, ok=False, why=_nearest(each, name, found))


def _nearest(each: Written, name: str, found: Sequence[Finding]) -> str:
    """Which clause did not hold; or, where all held, which cause explains this one."""
    parts = list(_parts(each, name))
    vetoes = [part for part in parts if part.name.startswith("match.none") and part.hit]
    if vetoes:
        assert vetoes[0].hit is not None
        return f"{vetoes[0].name} forbids it: {vetoes[0].hit.quote}"
    missed = [p for p in parts if p.hit is None and not p.name.startswith("match.none")]
    needed = [part for part in missed if part.name.startswith("match.all")] or missed
    if each.signature.match.all and not any(p.name.startswith("match.all") for p in missed):
        needed = []
    if needed:
        return "; ".join(f"{part.name} hit nothing: {_asked(part)}" for part in needed[:3])
    by = next((f.signature for f in found if f.signature), None)
    return f"every clause holds, and {by or 'what recovered'} explains it"


def _parts(each: Written, name: str) -> Iterator[Part]:
    symptoms = read_capture(each.fixtures / name)
    matcher = Matcher(Catalogue((each.signature,)))
    for record in records_of(symptoms):
        matcher.see(record)
    for log in symptoms.logs:
        for event in assemble(log.entries):
            if matcher.wants(event):
                matcher.see(log_record(log, event, None))
    return matcher.parts()


def _asked(part: Part) -> str:
    clause = part.clause
    asked = [f"on: {clause.on}"]
    asked += [f"{each.field} {each.op} {each.value!r}" for each in clause.comparisons]
    if clause.regex is not None:
        asked.append(f"regex {clause.regex!r}")
    return ", ".join(asked) + (f", or {len(clause.or_)} other looks" if clause.or_ else "")
