"""What `triage` shows a person: who serves, the likely cause with what shows it, what to type next.

The first fifteen lines say all that matters; everything else comes after. Every line is inert.
"""

from __future__ import annotations

from collections.abc import Iterator

from loopctl.inert import for_terminal, one_line
from loopctl.journal.wording import count, seconds, short, traffic, utc
from loopctl.model.finding import Change, Finding, Quote
from loopctl.reports.facts import why_status
from loopctl.triage.diagnose import NovelLine
from loopctl.triage.triaged import Captured, ServiceLook, Triaged, UnderWay

MOST_LINES = 15
_NAMED = 3
_NOVEL = 3
_WHYS = 3
_ILL = {"unhealthy": "not healthy", "absent": "not there"}


def triaged_lines(triaged: Triaged) -> tuple[str, ...]:
    """The first screen, and below it what there is besides."""
    above, beside = list(_first(triaged)), list(_rest(triaged))
    return tuple(for_terminal(line) for line in [*above, *([""] if beside else []), *beside])


def _first(triaged: Triaged) -> Iterator[str]:
    """At most fifteen: of the whys as many as there is room for."""
    main = triaged.findings[0] if triaged.findings else None
    head, tail = list(_head(triaged)), list(_tail(triaged, main))
    yield from head
    if main is not None:
        cause = [f"LIKELY CAUSE: {_cause(main)}"]
        cause += [f"QUOTE: {_quoted(quote)}" for quote in main.evidence[:1]]
        room = max(0, MOST_LINES - len(head) - len(cause) - len(tail))
        yield from [*cause, *list(_whys(main))[: min(_WHYS, room)]]
    elif triaged.exit_code:
        yield f"LIKELY CAUSE: {_no_cause(triaged)}"
    yield from tail


def _head(triaged: Triaged) -> Iterator[str]:
    yield f"USERS: {_users(triaged)}"
    yield f"VERDICT: {_verdict(triaged)}"
    failed = [look for look in triaged.services if look.faults and look.state != "unknown"]
    yield from (f"FAILED: {one_line(look.faults[0].summary, 300)}" for look in failed[:_NAMED])
    if triaged.under_way is not None:
        yield f"RUN GOING ON: {under_way(triaged.under_way)}"


def _tail(triaged: Triaged, main: Finding | None) -> Iterator[str]:
    told = {quote.quote for quote in main.evidence} if main is not None else set()
    fresh = [line for line in triaged.novel if line.quote.quote not in told]
    for line in fresh[: 1 if main is not None else _NOVEL]:
        yield f"NEW: {_novel(line)}"
    if triaged.loop is not None:
        yield f"CHANGED SINCE GREEN: {_changes(triaged)}"
    unseen = [
        look.faults[0].summary
        for look in triaged.services
        if look.state == "unknown" and look.faults
    ]
    yield from (f"UNKNOWN: {one_line(text, 300)}" for text in [*unseen, *triaged.unknown][:1])
    yield from (f"NEXT: {one_line(command, 2000)}" for command in triaged.next[:3])
    if triaged.owner or triaged.runbook:
        runbook = one_line(triaged.runbook or "none named", 200)
        yield f"OWNER: {one_line(triaged.owner or 'not named', 80)}, runbook: {runbook}"


def _no_cause(triaged: Triaged) -> str:
    if triaged.services or any(capture.lines for capture in triaged.captured):
        return "no known cause"
    return "not known: there is nothing to read in it"


def _rest(triaged: Triaged) -> Iterator[str]:
    for number, finding in enumerate(triaged.findings, 1):
        yield f"{number}. {_cause(finding)}"
        yield from (f"   {line}" for line in _whys(finding))
        yield from (f"   shown by {_quoted(quote)}" for quote in finding.evidence)
        if finding.remedy is not None and finding.remedy.detail:
            what = one_line(finding.remedy.detail, 300)
            yield f"   to do ({finding.remedy.action}): {what}"
        yield from (f"   see {one_line(link, 300)}" for link in finding.links)
    if triaged.novel:
        yield f"New lines, ranked by {one_line(triaged.ranked_by, 300)}:"
        yield from (f"   {_novel(line)}" for line in triaged.novel)
    yield from (f"Changed: {_change(change)}" for change in triaged.changes)
    yield from (f"Not known: {one_line(text, 300)}" for text in triaged.unknown)
    for look in triaged.services:
        yield f"Service {_service(look)}"
        yield from (f"   {one_line(fault.summary, 300)}" for fault in look.faults)
        yield from (f"   to mend it: {one_line(f.mend, 2000)}" for f in look.faults if f.mend)
        yield from (f"   changed: {_change(change)}" for change in look.changes)
    yield from (f"Read: {_captured(capture)}" for capture in triaged.captured)
    yield from (f"Next: {one_line(command, 2000)}" for command in triaged.next[3:])


def _users(triaged: Triaged) -> str:
    if not triaged.services:
        return "not known: nothing but logs was looked at"
    named = "; ".join(_serving(look) for look in triaged.services[:_NAMED])
    more = len(triaged.services) - _NAMED
    return f"{named}; and {more} more services" if more > 0 else named


def _serving(look: ServiceLook) -> str:
    name = one_line(look.name, 63)
    if not look.traffic:
        return f"{name}: {'not there' if look.state == 'absent' else look.state}"
    since = f" since {utc(look.since)}" if look.since else ""
    serving = {revision for revision, share in look.traffic.items() if share}
    verified = "verified" if serving <= look.verified else "NOT verified"
    return f"{name}: {traffic(look.traffic)}{since}, {verified}, {look.state}, not changed by this"


def _verdict(triaged: Triaged) -> str:
    verdict = said_of(triaged)
    if triaged.loop is not None:
        where = f"{one_line(triaged.loop, 60)} on {one_line(triaged.environment or '', 40)}"
    else:
        files = list(dict.fromkeys(capture.source for capture in triaged.captured))
        where = ", ".join(one_line(name, 120) for name in files[:_NAMED])
        lines = sum(capture.lines for capture in triaged.captured)
        services = dict.fromkeys(capture.service for capture in triaged.captured)
        where += f" ({count(lines, 'entry', 'entries')} of {count(len(services), 'service')})"
    gaps = [capture.gap for capture in triaged.captured if capture.gap]
    incomplete = f", INCOMPLETE: {one_line(gaps[0], 160)}" if gaps else ""
    return f"{verdict}, {where}{incomplete}, exit code {triaged.exit_code}"


def said_of(triaged: Triaged) -> str:
    """What is wrong, in a few words: which services are how, else what their logs show."""
    ill = [look for look in triaged.services if look.state in ("unhealthy", "absent")]
    if ill:
        named = ", ".join(
            f"{one_line(look.name, 63)} is {_ILL[look.state]}" for look in ill[:_NAMED]
        )
        return f"{named} and {len(ill) - _NAMED} more" if len(ill) > _NAMED else named
    unseen = any(look.state == "unknown" for look in triaged.services)
    if triaged.exit_code == 1 and triaged.services:
        how = "how all of it is cannot be told" if unseen else "what serves is healthy"
        return f"{how}, and yet something is seen to be wrong"
    said = {0: "nothing is seen to be wrong", 1: "something is wrong"}
    return said.get(triaged.exit_code, "it cannot be told")


def _cause(finding: Finding) -> str:
    where = f" [{one_line(finding.service, 63)}]" if finding.service else ""
    where += ", a symptom of the one above" if finding.under else ""
    if finding.signature is None:
        return f"{one_line(finding.title, 240)}{where}"
    seen = ""
    if finding.seen is not None:
        runs = count(finding.seen.runs, "run")
        seen = f", seen in {runs} since {utc(finding.seen.since)}"
    sure = f"{finding.signature}, confidence {finding.confidence:.2f}{seen}"
    return f"{one_line(finding.title, 240)}{where} ({sure})"


def _whys(finding: Finding) -> Iterator[str]:
    for why in finding.whys:
        status = why_status(why, finding)
        yield f"WHY: {one_line(why.question, 120)} {one_line(why.answer, 240)} ({status})"


def under_way(run: UnderWay) -> str:
    """A run that holds the environment: what is seen may be its doing."""
    holder = f" by {one_line(run.holder, 120)}" if run.holder else ""
    return f"run {one_line(run.run_id, 120)} is going on since {utc(run.since)}{holder}"


def _quoted(quote: Quote) -> str:
    return f'"{one_line(quote.quote, 240)}" at {one_line(quote.source, 200)}'


def _novel(line: NovelLine) -> str:
    return f"{_quoted(line.quote)} ({count(line.count, 'time')}, {one_line(line.service, 63)})"


def _changes(triaged: Triaged) -> str:
    if triaged.green_run is None:
        return "no green run to compare with"
    changes = [*triaged.changes, *(c for look in triaged.services for c in look.changes)]
    said = "; ".join(_change(change) for change in changes[:_NAMED]) or "nothing that is known of"
    more = f"; and {len(changes) - _NAMED} more" if len(changes) > _NAMED else ""
    return f"{said}{more}; since {one_line(triaged.green_run, 120)}"


def _change(change: Change) -> str:
    text = one_line(change.text, 160)
    if change.kind == "commit":
        return text if change.text.startswith(change.what) else f"{short(change.what)}: {text}"
    if change.text.startswith(change.what):
        return text if change.kind == "image" else f"{change.kind} {text}"
    service = f" of {one_line(change.service, 63)}" if change.service else ""
    return f"{change.kind}{service}: {text}"


def _service(look: ServiceLook) -> str:
    answered = f", answers in {seconds(look.latency_s)}" if look.latency_s is not None else ""
    url = f" at {one_line(look.url, 200)}" if look.url else ""
    return f"{one_line(look.name, 63)}{url}: {look.state}{answered}"


def _captured(capture: Captured) -> str:
    gap = f"; {one_line(capture.gap, 300)}" if capture.gap else ""
    lines = count(capture.lines, "entry", "entries")
    return f"{lines} of {one_line(capture.service, 63)} in {one_line(capture.source, 200)}{gap}"
