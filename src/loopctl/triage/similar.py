"""Templates that one statement left: alike but for one word that took many values.

Masking knows numbers and quoted text; a user's name or a host it takes for words. Only what is
novel is looked at, and a bucket is capped: on very diverse streams merging is what gets slow
(facts/log-triage.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Final

_MANY: Final = 5
"""So many values a word takes before it is taken for a value: two words may be two messages."""
_FEWEST_WORDS: Final = 3
_MOST_WORDS: Final = 40
_MOST_TEMPLATES: Final = 5000
_VARIES: Final = "<*>"
_MASKED: Final = frozenset({"<n>", "<q>", "<ip>", "<path>", "<url>", "<hex>", "<uuid>", "<time>"})


def statements(templates: Iterable[str]) -> Mapping[str, str]:
    """For each template that has many like it, the one that stands for them all."""
    # By hash: to keep every text with every word left out would take a hundred times the log.
    alike: dict[int, list[tuple[str, int]]] = {}
    for template in islice(templates, _MOST_TEMPLATES):
        words = template.split(" ")
        if _FEWEST_WORDS <= len(words) <= _MOST_WORDS and "|" not in words[0]:
            for at in range(1, len(words)):
                if words[at] not in _MASKED and not words[at].startswith("status="):
                    alike.setdefault(hash(_without(words, at)), []).append((template, at))
    found: dict[str, str] = {}
    for members in alike.values():
        if len(members) >= _MANY:
            for template, at in members:
                found.setdefault(template, _without(template.split(" "), at))
    return found


def _without(words: Sequence[str], at: int) -> str:
    return " ".join((*words[:at], _VARIES, *words[at + 1 :]))
