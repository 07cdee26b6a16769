"""When two failing tests fail for one reason, though their texts differ in ids, values and paths.

Pure. What a reason is told by, the strongest first: the answer of a service that broke the test;
the line that asserts, where the message has nothing but values; the message with values masked.
"""

from __future__ import annotations

import re
from typing import Final

from loopctl.model.evidence import GradedCase
from loopctl.model.logs import RequestEntry
from loopctl.triage.records import case_headline
from loopctl.triage.templates import mask_message

UNAVAILABLE: Final = frozenset({502, 503, 504})
"""What says that a service is not there, whichever path was asked for."""

_LONGEST: Final = 1000
_QUOTED: Final = re.compile(r"\"[^\"]*\"|(?<!\w)'[^']*'")
_COLLECTION: Final = re.compile(r"\{[^{}]*\}|\[[^\[\]]*\]")
_WITH_DIGITS: Final = re.compile(r"\b(?=[a-z_-]*\d)[\w-]{3,}\b", re.IGNORECASE)
_ASSERTION: Final = re.compile(r"^(?:AssertionError: ?)?assert\b|^AssertionError$")
_VALUE: Final = re.compile(r"<\w+>|\b(?:None|True|False)\b|[^\w<>]+")
_ONLY: Final = re.compile(r"(?:\b(?:AssertionError|assert|not|in|is|and|or|len)\b|\s)*")
_STATUS: Final = re.compile(r"\b[1-5]\d\d\b")
_OF_STATUS: Final = re.compile(
    r"(?i:status|http|\bcode\b|server error|client error|unavailable|bad gateway)"
    r"|\b[1-5]\d\d (?:==|!=|in|not in) |(?:==|!=|got|expected) [1-5]\d\d\b"
)
_ASSERTS: Final = re.compile(r"^>\s+(\S.{0,400})", re.MULTILINE)


def reason_of(case: GradedCase) -> str:
    """What its text says, with all that differs from test to test masked; statuses stay."""
    headline = case_headline(case)[:_LONGEST]
    statuses = _STATUS.findall(headline) if _OF_STATUS.search(headline) else []
    masked = _masked(headline)
    if not statuses and _ASSERTION.match(headline) and _says_nothing(masked):
        asserts = _ASSERTS.search(case.detail or "")
        masked = f"{masked} in {asserts[1].strip()}" if asserts else f"{masked} in {case.where}"
    return " ".join([masked, *dict.fromkeys(statuses)])


def without_values(text: str) -> str:
    """A line as it would be with other ids, numbers and values."""
    return _WITH_DIGITS.sub("<id>", mask_message(_COLLECTION.sub("<values>", text[:_LONGEST])))


def _masked(headline: str) -> str:
    if _ASSERTION.match(headline):
        # Values are what an assertion compares: no name that is quoted in it tells two apart.
        return without_values(_QUOTED.sub("<q>", headline))
    return _WITH_DIGITS.sub("<id>", mask_message(headline))


def _says_nothing(masked: str) -> bool:
    """Whether an assertion shows values alone."""
    return _ONLY.fullmatch(_VALUE.sub(" ", masked)) is not None


def answer_of(request: RequestEntry, *, by_path: bool) -> str:
    """The reason of all tests that were answered so; paths tell two apart only where asked."""
    said = f"{request.service} answers {request.status}"
    if request.status in UNAVAILABLE or not by_path:
        return said
    return f"{said} to {request.method} {path_of(request.path)}"


def path_of(path: str) -> str:
    """A path with its ids masked: `/orders/<id>`."""
    parts = (_WITH_DIGITS.sub("<id>", part) for part in path.split("/"))
    return "/".join("<id>" if part.isdigit() else part for part in parts)


def is_5xx(request: RequestEntry) -> bool:
    """Whether the service answered with an error of its own."""
    return request.status is not None and request.status >= 500
