"""The chain from symptom to cause: each link observed, inferred, or called a hypothesis."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from loopctl.model.finding import Quote, Why
from loopctl.triage.alike import without_values
from loopctl.triage.match import Hit, Seen
from loopctl.triage.records import cut
from loopctl.triage.signatures import WhyTemplate

_PLACEHOLDER: Final = re.compile(r"\{([a-z_]+)\}")
_MOST_VALUES: Final = 5
_MOST_EVIDENCE: Final = 8
_LONGEST_VALUE: Final = 200


@dataclass(frozen=True, slots=True)
class Named:
    """A value that was captured, and the quote that shows it; None for what was only counted."""

    text: str
    quote: Quote | None


class Evidence:
    """A finding's quotes: no two the same, cut, indexed."""

    def __init__(self) -> None:
        self._quotes: list[Quote] = []
        self._looks: set[str] = set()

    def index(self, quote: Quote) -> int:
        """Where the quote stands; it is added where it was not yet."""
        shown = cut(quote)
        if shown not in self._quotes:
            self._quotes.append(shown)
        return self._quotes.index(shown)

    def fill(self, hits: Sequence[Sequence[Hit]]) -> None:
        """Add the first hits of every clause, then others that say something else, up to eight."""
        for rank in range(max(map(len, hits), default=0)):
            for clause in hits:
                for quote in _shown(clause[rank].quotes) if rank < len(clause) else ():
                    if len(self._quotes) >= _MOST_EVIDENCE:
                        return
                    if rank == 0 or _look(quote) not in self._looks:
                        self.index(quote)
                        self._looks.add(_look(quote))

    def __iter__(self) -> Iterator[Quote]:
        return iter(self._quotes)


def _look(quote: Quote) -> str:
    """The same for two quotes that differ in ids and values alone."""
    return f"{quote.kind} {without_values(quote.quote)}"


def _shown(quotes: Sequence[Quote]) -> Sequence[Quote]:
    """Of a tail that was kept whole the end: what ended it stands last."""
    is_tail = all(quote.kind in ("log", "build") for quote in quotes)
    return quotes[-_MOST_EVIDENCE:] if is_tail else quotes


def named_values(seen: Seen, names: Sequence[str], cases: int) -> dict[str, Named]:
    """What each name stands for in this match; names that were not captured are left out."""
    found = {"cases": Named(str(cases), None)}
    if seen.service:
        found["service"] = Named(seen.service, None)
    hits = [hit for clause in seen.hits for hit in clause]
    for name in names:
        if name not in found and (named := _named(name, hits)):
            found[name] = named
    return found


def _named(name: str, hits: Sequence[Hit]) -> Named | None:
    """Captures are listed, as in a list of missing names; of a field the first value counts."""
    captured = [hit for hit in hits if name in hit.captured]
    if captured:
        texts = list(dict.fromkeys(hit.captured[name] for hit in captured))
        more = f" and {len(texts) - _MOST_VALUES} more" if len(texts) > _MOST_VALUES else ""
        text = ", ".join(texts[:_MOST_VALUES]) + more
        return Named(_short(text), captured[0].quotes[0])
    for hit in hits:
        value = hit.record.fields.get(name)
        if value is not None and value != "":
            return Named(_short(str(value)), _showing(name, str(value), hit))
    return None


def _showing(name: str, text: str, hit: Hit) -> Quote:
    """The quote that says it in so many words; a place is shown by the frame, the last of them."""
    said = [quote for quote in (*hit.quotes, *hit.record.lines) if text in quote.quote]
    return (said or hit.quotes)[-1 if name == "where" else 0]


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"


def placeholders(*texts: str) -> list[str]:
    """The names that texts of a signature ask for."""
    return [name for text in texts for name in _PLACEHOLDER.findall(text)]


def fill(text: str, values: Mapping[str, Named]) -> tuple[str, bool]:
    """The text with its placeholders filled, and whether all of them could be."""
    missing: list[str] = []

    def value(match: re.Match[str]) -> str:
        named = values.get(match[1])
        if named is None:
            missing.append(match[1])
            return f"(not captured: {match[1].replace('_', ' ')})"
        return named.text

    return _PLACEHOLDER.sub(value, text), not missing


def chain(
    templates: Sequence[WhyTemplate], values: Mapping[str, Named], evidence: Evidence
) -> tuple[Why, ...]:
    """The links that can be told. It ends at the first hypothesis: what follows from a guess is
    no knowledge, and a chain is never padded.
    """
    links: list[Why] = []
    for template in templates:
        link = _link(template, values, evidence)
        if link.status == "hypothesis" and template.optional:
            continue
        links.append(link)
        if link.status == "hypothesis":
            break
    return tuple(links)


def _link(template: WhyTemplate, values: Mapping[str, Named], evidence: Evidence) -> Why:
    question, _ = fill(template.question, values)
    answer, complete = fill(template.answer, values)
    shown = values.get(template.evidence or "")
    if complete and shown is not None and shown.quote is not None:
        return Why(question, answer, "observed", evidence.index(shown.quote))
    if complete and template.inferred:
        return Why(question, answer, "inferred")
    return Why(question, answer, "hypothesis")
