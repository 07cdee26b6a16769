"""What people do without: grep for errors from the end; the severest and rarest first."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any, Final

from bench.diagnosis.scoring import TOP, Answer

_BAD: Final = re.compile(r"error|exception|fail|fatal|panic|critical", re.IGNORECASE)
_MASK: Final = re.compile(r"0x[0-9a-f]+|\d+|\b[0-9a-f]{8,}\b")
_RANKS: Final = (
    re.compile(r"fatal|panic|critical", re.IGNORECASE),
    re.compile(r"error|exception|traceback|fail", re.IGNORECASE),
    re.compile(r"warn", re.IGNORECASE),
)


def grep_from_the_end(text: str) -> Answer:
    """The last lines that hold a bad word: `grep -iE 'error|…' | tail`."""
    lines = [line for line in texts_of(text) if _BAD.search(line)]
    return Answer((), tuple(lines[::-1][:TOP]))


def severe_and_rare(text: str) -> Answer:
    """One line of each kind, the severest first, of these the rarest."""
    lines = texts_of(text)
    kinds = [_MASK.sub("#", line) for line in lines]
    often = Counter(kinds)
    first: dict[str, str] = {}
    for kind, line in zip(kinds, lines, strict=True):
        first.setdefault(kind, line)
    ranked = sorted(first, key=lambda kind: (_rank(first[kind]), often[kind]))
    return Answer((), tuple(first[kind] for kind in ranked[:TOP]))


def _rank(line: str) -> int:
    return next((at for at, words in enumerate(_RANKS) if words.search(line)), len(_RANKS))


def texts_of(text: str) -> list[str]:
    """The lines of an export, by time: of JSON what `jq` would be asked for."""
    entries = _entries(text)
    if entries is None:
        return text.splitlines()
    entries.sort(key=lambda entry: str(entry.get("timestamp", entry.get("time", ""))))
    return [line for entry in entries for line in _said(entry).splitlines()]


def _entries(text: str) -> list[dict[str, Any]] | None:
    if text.startswith("["):
        try:
            return list(json.loads(text))
        except ValueError:
            return None
    if text.startswith("{"):
        return [json.loads(line) for line in text.splitlines()]
    return None


def _said(entry: dict[str, Any]) -> str:
    asked = entry.get("httpRequest")
    told = [entry.get("severity", ""), entry.get("log", ""), entry.get("textPayload", "")]
    if asked:
        told.append(f"{asked['requestMethod']} {asked['requestUrl']} {asked['status']}")
    if "jsonPayload" in entry:
        told.append(json.dumps(entry["jsonPayload"], ensure_ascii=False))
    if "protoPayload" in entry:
        told.append(entry["protoPayload"]["status"]["message"])
    return " ".join(filter(None, told))
