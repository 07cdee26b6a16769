"""Ties what failed to what is not as it was: the last links of a chain of whys.

That something changed was observed; that it is the cause is only inferred, and only where the
evidence names what was changed: a file that a commit touched, a variable with another value.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from loopctl.model.finding import Change, Finding, Quote, Why
from loopctl.model.questions import WHAT_CHANGED, WHICH_CHANGED
from loopctl.triage.records import cut

_SHOWN: Final = 3
_TIED: Final = 2
_MOST_LINES: Final = 1000
_LONGEST: Final = 1000
_NOT_OURS: Final = (
    *("/site-packages/", "/dist-packages/", "/lib/python3", "/node_modules/", "<frozen "),
    *("node:internal", "/usr/local/go/src/", "/pkg/mod/"),
)
_PYTHON_FRAME: Final = re.compile(r'\s*[|+ ]*File "([^"]{1,400})", line \d')
_JAVA_FRAME: Final = re.compile(r"\s*at ([\w.$<>/@-]{1,300})\(([\w$]{1,80}\.\w{1,8}):\d")
_WORD: Final = re.compile(r"[\w./\\@+:<>-]+")
_PLACE: Final = re.compile(r"([^:]{1,300}\.[A-Za-z]\w{0,7})(?::[\w<>.]{1,80})?:\d")
_ID: Final = re.compile(r"[0-9a-f]{3,64}")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{3,}")


def with_changes(finding: Finding, said: Iterable[str], changes: Sequence[Change]) -> Finding:
    """The finding, its chain longer by what changed, where anything did that concerns it.

    `said` are the lines that it rests on, whole tracebacks among them.
    """
    mine = [change for change in changes if finding.service in (change.service, None)]
    mine += [change for change in changes if change.service is None and change not in mine]
    if not mine:
        return finding
    lines = [line[:_LONGEST] for line, _ in zip(said, range(_MOST_LINES), strict=False)]
    tied = list(_tied(mine, lines))[:_TIED]
    if finding.not_evidence and not tied:
        return finding
    evidence = list(finding.evidence)
    first = tied[0][0] if tied else mine[0]
    links = [Why(WHAT_CHANGED, _told(mine, first), "observed", _index(evidence, first))]
    links += [Why(WHICH_CHANGED, why, "inferred", _index(evidence, change)) for change, why in tied]
    return replace(finding, evidence=tuple(evidence), whys=before_a_guess(finding.whys, links))


def before_a_guess(whys: tuple[Why, ...], links: Sequence[Why]) -> tuple[Why, ...]:
    """What was observed does not follow from a guess: that stays the end of the chain."""
    guessed = whys and whys[-1].status == "hypothesis"
    known, guess = (whys[:-1], whys[-1:]) if guessed else (whys, ())
    return (*known, *links, *guess)


def _told(changes: Sequence[Change], first: Change) -> str:
    ordered = [first, *(change for change in changes if change is not first)]
    named = "; ".join(_named(change) for change in ordered[:_SHOWN])
    more = f"; and {len(ordered) - _SHOWN} more" if len(ordered) > _SHOWN else ""
    return f"{named}{more}"


def _named(change: Change) -> str:
    match change.kind:
        case "commit" if _is_commit(change):
            return f"commit {change.text}"
        case "configuration" | "image" | "resources" | "traffic":
            return f"{change.kind}: {change.text}"
        case _:
            return change.text


def _index(evidence: list[Quote], change: Change) -> int:
    quote = cut(_quote(change))
    if quote not in evidence:
        evidence.append(quote)
    return evidence.index(quote)


def _quote(change: Change) -> Quote:
    if change.kind == "commit":
        touched = f" ({', '.join(change.files[:_SHOWN])})" if change.files else ""
        touched = "" if all(file in change.text for file in change.files[:_SHOWN]) else touched
        return Quote("commit", f"git/{change.what}", f"{change.text}{touched}")
    return Quote("configuration", "changed since green", change.text)


def _tied(changes: Sequence[Change], lines: Sequence[str]) -> Iterator[tuple[Change, str]]:
    """Each change that the lines name, with the words that say how."""
    places = [place for line in lines for place in places_in(line)]
    words = {word for line in lines for word in _NAME.findall(line)}
    for change in changes:
        if change.kind == "commit":
            # The innermost frame stands last in most languages: it tells most.
            named = (
                file for place in reversed(places) for file in change.files if _same(place, file)
            )
            if file := next(named, None):
                yield change, f"{_who(change)} touched {file}, which the evidence names"
        elif _is_variable(change) and change.what in words:
            owner = f" of {change.service}" if change.service else ""
            yield change, f"{change.what}{owner} was changed, and the evidence names it"


def _who(change: Change) -> str:
    return f"commit {change.what}" if _is_commit(change) else "an edit"


def _is_commit(change: Change) -> bool:
    """Whether it has an id: edits that nobody has committed have none."""
    return change.text.startswith(f"{change.what} ") and _ID.fullmatch(change.what) is not None


def _is_variable(change: Change) -> bool:
    """Whether its name can only mean a variable: `FAULT` and `info` are words of any log."""
    return change.kind == "configuration" and "_" in change.what


def places_in(line: str) -> Iterator[str]:
    """The source files that a line of a traceback names, those of libraries left out."""
    if any(mark in line for mark in _NOT_OURS):
        return
    if python := _PYTHON_FRAME.match(line):
        yield python[1].replace("\\", "/")
    elif (java := _JAVA_FRAME.match(line)) and "/" not in java[2]:
        # `at org.shop.Cart.add(Cart.java:12)` stands in org/shop/Cart.java.
        yield "/".join([*java[1].split(".")[:-2], java[2]])
    else:
        for word in _WORD.findall(line):
            if place := _PLACE.match(word):
                yield place[1].replace("\\", "/")


def _same(place: str, file: str) -> bool:
    """Whether a place in a container is a file of the source: the end of one is the other.

    A lone name is the same only where it is the whole of both, or stands at the source's root.
    """
    one, other = place.split("/"), file.split("/")
    shorter = min(len(one), len(other))
    if one[-shorter:] != other[-shorter:]:
        return False
    return shorter > 1 or len(other) == 1
