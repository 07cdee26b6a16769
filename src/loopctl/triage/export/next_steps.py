"""What to type next, having seen an export: what shows more, the most useful first."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Final

from loopctl.model.finding import Finding
from loopctl.triage.diagnose import NovelLine
from loopctl.triage.export.pieces import Piece
from loopctl.triage.export.symptoms import Capture
from loopctl.triage.export.times import UNKNOWN

_EXPORTED: Final = (
    "gcloud logging read 'resource.type=\"cloud_run_revision\"' --freshness=1h --limit=5000"
    " --format=json > export.json"
)
_AROUND: Final = 8
_BEFORE: Final = timedelta(minutes=5)
_AFTER: Final = timedelta(minutes=2)


def next_steps(
    captures: Sequence[Capture],
    findings: Sequence[Finding],
    novel: Sequence[NovelLine],
    green: str | None,
) -> tuple[str, ...]:
    """Commands; one that works without loopctl is always among them."""
    places = [quote.source for finding in findings[:1] for quote in finding.evidence]
    places += [line.quote.source for line in novel[:1]]
    found = next(filter(None, (_at(captures, place) for place in places)), None)
    steps: list[str] = []
    if found is not None:
        steps += [_shown(*found), *_asked(*found)]
    elif any(_of_tests(place) for place in places):
        steps.append(f"grep -n -e '^E  ' -e '^FAILED' -e '^ERROR' {_word(captures[0])}")
    elif captures:
        steps.append(f"less {_word(captures[0])}")
    else:
        steps.append(_EXPORTED)
    if green is not None and (novel or findings):
        steps.append(green)
    return tuple(steps)


def green_command(captures: Sequence[Capture]) -> str | None:
    """What compares the same logs with those of a good time."""
    files = dict.fromkeys(_word(capture) for capture in captures)
    named = " ".join(f"--logs {file}" for file in files)
    return f"loopctl triage {named} --green GOOD_LOG" if files else None


def _of_tests(place: str) -> bool:
    return "::" in place or ".py" in place


def _at(captures: Sequence[Capture], place: str) -> tuple[Capture, Piece] | None:
    source, _, number = place.rpartition("#")
    for capture in captures:
        if capture.source == source and number.isdecimal():
            for piece in capture.pieces:
                if piece.number == int(number):
                    return capture, piece
    return None


def _shown(capture: Capture, piece: Piece) -> str:
    """The entry with those around it."""
    packed = capture.source.endswith(".gz")
    word = _word(capture)
    first = max(0, piece.number - 1 - _AROUND)
    if capture.export.is_array:
        over = f"jq '.[{first}:{piece.number + _AROUND}]'"
        return f"zcat {word} | {over}" if packed else f"{over} {word}"
    over = f"sed -n {first + 1},{piece.number + _AROUND}p"
    return f"zcat {word} | {over}" if packed else f"{over} {word}"


def _asked(capture: Capture, piece: Piece) -> Iterator[str]:
    """All that Cloud Logging has of that time, where the entry came from it."""
    project = piece.project or next((p.project for p in capture.pieces if p.project), "")
    if not project or piece.at == UNKNOWN or not piece.service:
        return
    since = (piece.at - _BEFORE).strftime("%Y-%m-%dT%H:%M:%SZ")
    until = (piece.at + _AFTER).strftime("%Y-%m-%dT%H:%M:%SZ")
    query = (
        f'resource.labels.service_name="{piece.service}"'
        f' AND timestamp>="{since}" AND timestamp<="{until}"'
    )
    if piece.revision:
        query += f' AND resource.labels.revision_name="{piece.revision}"'
    yield (
        f"gcloud logging read {shlex.quote(query)} --project={shlex.quote(project)} --order=asc"
        " --format='value(timestamp,severity,textPayload)'"
    )


def _word(capture: Capture) -> str:
    return shlex.quote(capture.source)
