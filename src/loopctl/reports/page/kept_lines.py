"""Reading a kept log or request log for the lines of a few seconds: one pass, bounded memory.

A line is parsed only when its second is wanted. What is damaged, cut or foreign is passed over.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Literal

_TEXT: Final = 1200
_LINE_BYTES: Final = 256 * 1024
_AT: Final = b'{"at":"'
_SECOND: Final = slice(len(_AT), len(_AT) + 19)
_LONGEST_ESCAPE: Final = 6
_BAD: Final = re.compile(
    r"\b(?:error|exception|traceback|fail(?:ed|ure)?|fatal|panic|critical|refused|timed? ?out)\b",
    re.IGNORECASE,
)

Mark = Literal["", "bad", "own", "quoted"]
"""Why a line stands out: it looks bad, it is of this test, or a finding quotes it."""


@dataclass(frozen=True, slots=True)
class Said:
    """A log line, or a request as a line; `what` is its stream, or `request`. `source` is its
    place in the run, `aside`: it was said a little before the test or after it.
    """

    at: datetime
    service: str
    what: str
    text: str
    source: str
    mark: Mark
    trace: str | None = None
    aside: bool = False


def said_in(
    path: Path, name: str, service: str, seconds: Collection[bytes], quoted: Collection[str]
) -> Iterator[tuple[bytes, Said]]:
    """The lines of these seconds (`2026-03-04T09:00:00`, UTC), each with its second.

    `name` is the file's in the run, `quoted` are the places that a finding quotes. Raises
    `OSError`.
    """
    for number, raw in _lines(path):
        second = raw[_SECOND]
        if second not in seconds or not raw.startswith(_AT):
            continue
        document = _document(raw)
        said = _said(document, service, f"{name}#{number}", quoted) if document else None
        if said is not None:
            yield second, said


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Each line with its number, cut where it is very long."""
    with path.open("rb") as file:
        number = 0
        while raw := file.readline(_LINE_BYTES):
            number += 1
            rest = raw
            while not rest.endswith(b"\n") and rest:
                rest = file.readline(_LINE_BYTES)
            yield number, raw


def _document(raw: bytes) -> Mapping[str, object] | None:
    text = raw.decode("utf-8", "replace")
    if (whole := _parsed(text)) is not None or text.endswith("\n"):
        return whole
    # One that was cut ends within its text, perhaps within an escape.
    ends = (text[: len(text) - less] + '"}' for less in range(_LONGEST_ESCAPE))
    return next((found for end in ends if (found := _parsed(end)) is not None), None)


def _parsed(text: str) -> Mapping[str, object] | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _said(
    document: Mapping[str, object], service: str, source: str, quoted: Collection[str]
) -> Said | None:
    try:
        at = datetime.fromisoformat(str(document["at"]))
    except (KeyError, ValueError):
        return None
    is_log = "text" in document
    if at.tzinfo is None or not (is_log or "path" in document):
        return None
    text = str(document["text"])[:_TEXT] if is_log else _request(document)
    bad = _is_bad_line(document, text) if is_log else _is_bad_request(document)
    mark: Mark = "quoted" if source in quoted else "bad" if bad else ""
    what = str(document.get("stream", "")) if is_log else "request"
    trace = document.get("trace")
    return Said(at, service, what, text, source, mark, trace if isinstance(trace, str) else None)


def _is_bad_line(document: Mapping[str, object], text: str) -> bool:
    severe = document.get("severity") in ("ERROR", "CRITICAL", "ALERT", "EMERGENCY")
    return severe or _BAD.search(text) is not None


def _is_bad_request(document: Mapping[str, object]) -> bool:
    status, code = document.get("status"), document.get("close_code")
    failed = status is None if document.get("event") != "close" else False
    return (
        failed
        or (isinstance(status, int) and status >= 500)
        or code not in (None, 1000, 1001)
        or bool(document.get("error"))
    )


def _request(document: Mapping[str, object]) -> str:
    """`GET /rooms 200 in 4 ms`, `close /ws 1011 by service: it broke`."""
    path = document.get("path", "")
    if document.get("event") == "close":
        reason = document.get("close_reason")
        by = document.get("closed_by")
        said = f"close {path} {document.get('close_code', '')}"
        return said + (f" by {by}" if by else "") + (f": {reason}" if reason else "")
    method = "open" if document.get("event") == "open" else document.get("method", "")
    status = document.get("status")
    latency = document.get("latency_s")
    took = f" in {latency * 1000:.0f} ms" if isinstance(latency, int | float) else ""
    error = f": {document['error']}" if document.get("error") else ""
    return f"{method} {path} {'no answer' if status is None else status}{took}{error}"
