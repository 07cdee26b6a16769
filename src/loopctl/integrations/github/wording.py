"""What is written on GitHub, as texts: everything that was captured is made inert in them."""

from __future__ import annotations

import re
from typing import Final

from loopctl.inert import code_block, code_span, for_markdown, for_terminal, one_line
from loopctl.integrations.github.marks import (
    BEGIN,
    END,
    cause_mark,
    comment_mark,
    run_mark,
    with_block,
)
from loopctl.integrations.github.seen import ROWS, Sightings
from loopctl.model.state import Verdict
from loopctl.ports.announcer import AnnouncedCause, Announcement

BODY: Final = 65_536
"""Characters that GitHub takes in a body."""

_TITLE: Final = 200
_LINE: Final = 400
_QUOTE_LINES: Final = 12
_QUOTE: Final = 2000
_DESCRIPTION: Final = 140
_CAUSES: Final = 10

# GitHub looks for these in titles too; a zero-width space behind the sign ends that.
_REFERENCE: Final = re.compile(r"(@)(?=\w)|(#)(?=\d)|(GH-)(?=\d)", re.ASCII)
_CLOSED: Final = (
    "This issue is closed. loopctl opens none again: see whether it was mended for good."
)


def cause_name(cause: AnnouncedCause) -> str:
    """The cause in one line, as it was captured: of one that nobody knows, what was seen."""
    if cause.signature is not None or cause.quote is None:
        return one_line(cause.title, _TITLE)
    first = next((line for line in cause.quote.splitlines() if line.strip()), "")
    return one_line(f"{cause.title}: {first}", _TITLE)


def issue_title(cause: AnnouncedCause) -> str:
    """`deploy: <cause> — <service>`; a title is no Markdown, and 256 characters at the most."""
    tail = f" — {one_line(cause.service, 50)}" if cause.service else ""
    whole = f"deploy: {cause_name(cause)}"[: 200 - len(tail)] + tail
    return _REFERENCE.sub(lambda found: f"{found[0]}\u200b", whole)[:250]


def issue_body(cause: AnnouncedCause, seen: Sightings, body: str = "") -> str | None:
    """A body with loopctl's block written again; None where other people's text leaves no room.

    The block is made smaller before that: fewer rows, then no quote.
    """
    for rows, quoted in ((ROWS, True), (5, True), (5, False), (1, False)):
        whole = with_block(body, _block(cause, seen.cut(rows), quoted=quoted))
        if len(whole) <= BODY:
            return whole
    return None


def twin_body(body: str, older: int) -> str:
    """The body of an issue that was made at the same moment as an older one of the same cause."""
    note = (
        f"This is the same as #{older}: two runs found the cause at the same moment. The older one "
        "is kept up; this one can be closed."
    )
    return f"{note}\n\n{body}"[:BODY]


def _block(cause: AnnouncedCause, seen: Sightings, *, quoted: bool) -> str:
    times = "1 run" if seen.count == 1 else f"{seen.count} runs"
    since = f", since {seen.since} UTC" if seen.since else ""
    return "\n".join(
        [
            BEGIN,
            cause_mark(cause.fingerprint),
            "",
            *_told(cause, quoted=quoted),
            f"### Seen in {times}{since}",
            "",
            seen.table(),
            "",
            "Written by loopctl, which never closes an issue and never opens one again. It finds "
            "this one by its label `loopctl` and a hidden mark: keep both. What you write outside "
            "of this block stays.",
            "",
            seen.state(),
            END,
        ]
    )


def _told(cause: AnnouncedCause, *, quoted: bool) -> list[str]:
    """The cause, what shows it, and what may mend it; each with an empty line behind it."""
    where = f" in {code_span(one_line(cause.service, 63))}" if cause.service else ""
    known = (
        f" ({code_span(cause.signature)}, confidence {cause.confidence:.2f})"
        if cause.signature
        else ""
    )
    said = [f"**{for_markdown(one_line(cause.title, _LINE))}**{where}{known}", ""]
    if quoted and cause.quote:
        place = f" at {code_span(one_line(cause.source, 200))}" if cause.source else ""
        said += [f"Shown by this{place}:", "", _quote(cause.quote), ""]
    if cause.suggestion:
        said += [f"What may mend it: {for_markdown(one_line(cause.suggestion, _LINE))}", ""]
    return said


def _quote(text: str, lines: int = _QUOTE_LINES, limit: int = _QUOTE) -> str:
    """As a block. What is captured may hold loopctl's own marks, which would be taken for such."""
    # Shown first and cut then: a character that is disarmed may take ten.
    shown = for_terminal(text[:limit], keep_newlines=True).replace("<!--", "<\\!--")
    return code_block(shown, lines, limit)


def sighting(run: Announcement, cause: AnnouncedCause, *, closed: bool) -> str:
    """The comment by which one more run is told on an issue."""
    said = [run_mark(run.run_id), f"Seen again by {_run(run)}: **{run.verdict.value}**.", ""]
    if closed:
        said += [_CLOSED, ""]
    tests = f"{cause.cases} tests fail by it." if cause.cases > 1 else ""
    said += [*([tests, ""] if tests else []), *_told(cause, quoted=True)]
    return "\n".join(said).rstrip()


def pull_comment(run: Announcement) -> str:
    """The one comment of this loop on a pull request: the first screen of its newest run."""
    name = for_markdown(f"{run.loop} on {run.environment}")
    head = f"### loopctl: {name}: {_verdict(run)}"
    screen = "\n".join(f"{label}: {text}" for label, text in run.lines)
    said = [comment_mark(run.loop, run.environment), run_mark(run.run_id), head, ""]
    said += [f"{_run(run)}, {run.duration_s:.0f} s.", ""]
    for cause in run.causes[:_CAUSES]:
        where = f" in {code_span(one_line(cause.service, 63))}" if cause.service else ""
        said.append(f"- {for_markdown(cause_name(cause))}{where}")
    if len(run.causes) > _CAUSES:
        said.append(f"- and {len(run.causes) - _CAUSES} more")
    said += ["", "<details><summary>The first screen</summary>", ""]
    said += [_quote(screen, 60, 20_000), "", "</details>"]
    return "\n".join(said)


def _verdict(run: Announcement) -> str:
    return f"PARTIAL, {run.verdict.value}" if run.partial else run.verdict.value


def _run(run: Announcement) -> str:
    """The run, where it can be looked at, and what it was made from."""
    url = run.job.url if run.job else None
    name = code_span(run.run_id)
    # Only where nothing in the address can end the link.
    linked = f"[{name}]({url})" if url and re.fullmatch(r"https?://[\w.:/%=-]+", url) else name
    commit = one_line(run.commit or "", 64)
    source = f" at {commit[:12]}" if re.fullmatch(r"[0-9a-f]{7,64}", commit) else ""
    changed = ", with changes that no commit holds" if run.dirty else ""
    where = code_span(f"{run.loop} on {run.environment}")
    return f"run {linked} of {where}{source}{changed}"


def description(run: Announcement) -> str:
    """A commit status in at most 140 characters: plain text, not rendered."""
    took = f" in {run.duration_s:.0f} s"
    if run.verdict is Verdict.GREEN:
        return _short(f"green{took}, run {run.run_id}")
    if not run.causes:
        return _short(f"{run.verdict.value}{took}, exit code {run.exit_code}, run {run.run_id}")
    more = len(run.causes) - 1
    rest = f" (and {more} more)" if more else ""
    first = run.causes[0]
    where = f"{one_line(first.service, 40)}: " if first.service else ""
    room = _DESCRIPTION - len(rest)
    return _short(f"{run.verdict.value}: {where}{cause_name(first)}", room) + rest


def beginning(run_id: str) -> str:
    """The description of a status that is pending: it tells whose it is."""
    return _short(f"run {run_id} goes on")


def _short(text: str, room: int = _DESCRIPTION) -> str:
    flat = one_line(text, 4 * _DESCRIPTION)
    return flat if len(flat) <= room else f"{flat[: room - 1]}…"
