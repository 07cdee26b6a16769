"""The likely cause with what shows it, what changed, and what was tried.

Findings stand in the journal in the order the diagnosis ranked them; the first with a known
signature is the likely cause. Without one the brief says that no cause is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

from loopctl.inert import one_line
from loopctl.journal.causes import Cause, beneath_text, causes_of
from loopctl.journal.earlier_runs import UNREAD
from loopctl.journal.known_issue import known_issue
from loopctl.journal.mending import Mending, mendings
from loopctl.journal.wording import NO_COMMITS, count, short
from loopctl.journal.worklog import CycleRecord, ServiceRecord, Worklog
from loopctl.model.events import CommitChanged, NovelLine, RemedyDecided, RunStarted
from loopctl.model.finding import Finding, Quote
from loopctl.model.questions import SAID_FIRST, WHICH_CHANGED
from loopctl.model.state import OutcomeKind, State, Verdict

_COMMITS = 3
_MOVED = "somebody else changed the environment (environment.moved)"


@dataclass(frozen=True, slots=True)
class CauseLines:
    """The likely cause, the line that shows it, and a log line; empty where there is none."""

    cause: str = ""
    quote: str = ""
    log: str = ""


def likely(cycle: CycleRecord) -> Finding | None:
    """The finding that explains the cycle best, None when there is none.

    That a run is no evidence explains why nothing is proven, and never why something failed.
    """
    failed = cycle.failed_stage
    unproven = failed is not None and failed.kind is OutcomeKind.UNPROVEN
    causes = [cause.finding for cause in causes_of(cycle.findings)]
    findings = [finding for finding in causes if unproven or not finding.not_evidence]
    known = [finding for finding in findings if finding.signature is not None]
    return next(iter(known or findings), None)


def likely_cause(cycle: CycleRecord) -> Cause | None:
    """The same with what hangs beneath it."""
    finding = likely(cycle)
    return next((c for c in causes_of(cycle.findings) if c.finding is finding), None)


def cause_lines(worklog: Worklog) -> CauseLines:
    """What is known of the cause."""
    cycle, ended = worklog.last, worklog.ended
    if cycle is None or ended is None:
        return CauseLines()
    finding = likely(cycle)
    novel = _unquoted(cycle, finding)
    if finding is None:
        return CauseLines(_without_finding(cycle, ended.verdict), _seen(cycle), _novel(novel))
    quote = _telling(finding)
    others = [q for q in finding.evidence[1:] if q.kind == "log" and q != quote]
    second = answered_by(finding, SAID_FIRST) or _last_of_its_place(others)
    log = _told(second, cycle) if second else _novel(novel)
    return CauseLines(_cause(finding, cycle), _quoted(quote) if quote else "", log)


def _without_finding(cycle: CycleRecord, verdict: Verdict) -> str:
    """What is said of the cause where nothing was found, or nobody looked."""
    # A missing tool or a signal is its own explanation.
    if verdict in (Verdict.PREFLIGHT, Verdict.INTERRUPTED, Verdict.LOCKED):
        return ""
    failed = cycle.failed_stage
    # Such a run ends where it stands: it looks for no cause, because it has seen it.
    moved = failed is not None and failed.kind is OutcomeKind.MOVED
    if moved:
        return _MOVED
    looked = next((s for s in reversed(cycle.stages) if s.stage is State.DIAGNOSE), None)
    if looked is not None and looked.kind is OutcomeKind.ERRORED:
        return f"not known, the diagnosis itself has failed: {looked.detail}"
    return "no known cause"


def _told(quote: Quote, cycle: CycleRecord) -> str:
    """A quote of the log, with how new it is where that is known."""
    line = next((line for line in cycle.novel if line.source == quote.source), None)
    return _quoted(quote) if line is None or not line.baseline else _novel(line)


def answered_by(finding: Finding, question: str) -> Quote | None:
    """The quote that the answer to one of the diagnosis's own questions rests on."""
    asked = next((why for why in finding.whys if why.question == question), None)
    if asked is None or asked.evidence is None:
        return None
    return finding.evidence[asked.evidence]


def _telling(finding: Finding) -> Quote | None:
    """The quote that a person should see: the first, or the last words where a tail was quoted.

    A tail that no why points into was kept whole, oldest line first; what ended it stands last.
    """
    evidence = finding.evidence
    if not evidence or any(why.evidence == 0 for why in finding.whys):
        return evidence[0] if evidence else None
    last = evidence[0]
    for quote in evidence[1:]:
        if quote.kind not in ("log", "build") or not _follows(quote, last):
            break
        last = quote
    return last


def _last_of_its_place(quotes: Sequence[Quote]) -> Quote | None:
    """Of last words, which are quoted oldest first and have no numbers, the last: it tells most."""
    if not quotes or "#" in quotes[0].source:
        return next(iter(quotes), None)
    place = quotes[0].source
    return list(takewhile(lambda quote: quote.source == place, quotes))[-1]


def _follows(quote: Quote, before: Quote) -> bool:
    place, _, number = quote.source.rpartition("#")
    earlier, _, line = before.source.rpartition("#")
    if place != earlier or not (number.isdecimal() and line.isdecimal()):
        return False
    return int(number) == int(line) + 1


def _unquoted(cycle: CycleRecord, finding: Finding | None) -> NovelLine | None:
    """The first novel line that neither the finding quotes already nor what failed says."""
    quoted = {quote.source for quote in finding.evidence} if finding else set()
    faults = cycle.failed_stage.faults if cycle.failed_stage else ()
    said = "\n".join(fault.summary for fault in faults)
    lines = (line for line in cycle.novel if line.source not in quoted)
    return next((line for line in lines if line.quote not in said), None)


def _cause(finding: Finding, cycle: CycleRecord) -> str:
    service = f"{one_line(finding.service, 63)}: " if finding.service else ""
    title = one_line(finding.title, 200)
    reach = f"{_reach(finding, cycle)}{_other_causes(finding, cycle)}"
    if finding.signature is None:
        said = "" if title.lower() == "no known cause" else f"; {title}"
        return f"{service}no known cause{said}{reach}"
    signature = one_line(finding.signature, 80)
    said = f"{service}{title} ({signature}, confidence {finding.confidence:.2f}){reach}"
    remedy = finding.remedy
    # What loopctl itself may do is told as what was tried, or proposed.
    if remedy is None or remedy.action != "person" or not remedy.detail:
        return said
    return f"{said}; to do: {one_line(remedy.detail, 240)}"


def _reach(finding: Finding, cycle: CycleRecord) -> str:
    """What is known of it from before, and how much fails by it."""
    cause = next((c for c in causes_of(cycle.findings) if c.finding is finding), None)
    known, beneath = known_issue(finding), beneath_text(cause) if cause else ""
    alike = len(finding.cases)
    said = [f"{count(alike, 'test')} alike"] if finding.signature is None and alike > 1 else []
    said += [f"beneath it {beneath}"] if beneath else []
    said += [known] if known else []
    return f"; {'; '.join(said)}" if said else ""


def _other_causes(finding: Finding, cycle: CycleRecord) -> str:
    """That there are more, so that nobody takes the first for the only one."""
    found = [cause.finding for cause in causes_of(cycle.findings)]
    others = sum(other is not finding and not other.not_evidence for other in found)
    return f"; {count(others, 'other finding')} in the report" if others else ""


def _seen(cycle: CycleRecord) -> str:
    """What the failed stage itself captured: evidence also where nobody knows the cause."""
    faults = cycle.failed_stage.faults if cycle.failed_stage else ()
    quotes = [quote for fault in faults for quote in fault.quotes]
    return _quoted(quotes[0]) if quotes else ""


def _quoted(quote: Quote) -> str:
    return f'"{one_line(quote.quote, 240)}" at {one_line(quote.source, 200)}'


def _novel(novel: NovelLine | None) -> str:
    if novel is None:
        return ""
    what = "in no green run" if novel.baseline else "no green run to compare with"
    times = count(novel.count, "time")
    return f'"{one_line(novel.quote, 240)}" at {one_line(novel.source, 200)} ({times}, {what})'


def where_text(worklog: Worklog) -> str:
    """The service, image and revision that this was about."""
    cycle = worklog.last
    if cycle is None:
        return ""
    record = blamed(cycle)
    if record is None:
        return ""
    parts = [one_line(record.name, 63)]
    if record.revision is not None:
        parts.append(f"revision {one_line(record.revision.name, 63)}")
    if record.artifact is not None:
        parts.append(f"image {short(record.artifact.digest)}")
    if record.source is not None:
        parts.append(_source(record))
    return ", ".join(parts) if len(parts) > 1 else ""


def _source(record: ServiceRecord) -> str:
    assert record.source is not None
    commit = f"commit {short(record.source.commit)}" if record.source.commit else "no commit"
    return f"{commit}{' with uncommitted changes' if record.source.dirty else ''}"


def blamed(cycle: CycleRecord) -> ServiceRecord | None:
    """The service that the finding, else a fault, names; else the first."""
    finding = likely(cycle)
    failed = cycle.failed_stage
    named = [finding.service] if finding else []
    named += [fault.service for fault in failed.faults] if failed else []
    named += list(cycle.services)
    return next((cycle.services[name] for name in named if name and name in cycle.services), None)


def changes_text(worklog: Worklog) -> str:
    """Commits and configuration that changed since the last green run."""
    cycle, run = worklog.last, worklog.run
    failed = cycle.failed_stage if cycle else None
    if cycle is None or (failed is not None and failed.stage is State.PREFLIGHT):
        return ""
    commits = cycle.commits
    unread = any(each.what.startswith(UNREAD) for each in worklog.not_checked)
    alone = " that this machine knows of; the history could not be read" if unread else ""
    since = run.green_run or (commits[0].since_run if commits else None)
    if since is None:
        return f"no green run to compare with{alone}"
    tied = tied_commit(cycle)
    # The one that touched what the evidence names comes first, however many came after it.
    commits = tuple(sorted(commits, key=lambda commit: short(commit.commit) != tied))
    named = "; ".join(_commit(commit, tied) for commit in commits[:_COMMITS])
    more = f" and {len(commits) - _COMMITS} more" if len(commits) > _COMMITS else ""
    said = f"{count(len(commits), 'commit')}{': ' if commits else ''}{named}{more}"
    if not commits and any(each.what == NO_COMMITS for each in worklog.not_checked):
        said = "commits not known"
    said += "".join(f"; {one_line(change.text, 120)}" for change in cycle.changed[:_COMMITS])
    return f"{said}; configuration: {_configuration(run)}; since {one_line(since, 120)}{alone}"


def tied_commit(cycle: CycleRecord) -> str | None:
    """The short id of the commit that touched what the likely cause's evidence names."""
    finding = likely(cycle)
    quote = answered_by(finding, WHICH_CHANGED) if finding else None
    if quote is None or quote.kind != "commit":
        return None
    return quote.source.removeprefix("git/")


def _commit(commit: CommitChanged, tied: str | None) -> str:
    name = short(commit.commit)
    note = " (it touched what the evidence names)" if name == tied else ""
    return f"{name} {one_line(commit.subject, 60)}{note}"


def _configuration(run: RunStarted) -> str:
    changed = run.config_changed
    if not changed:
        and_values = " and the values it gives" if run.given_compared else ""
        return f"the loop's files{and_values} are the same"
    named = ", ".join(one_line(name, 80) for name in changed[:_COMMITS])
    return f"{named} and {len(changed) - _COMMITS} more" if len(changed) > _COMMITS else named


def tried_text(worklog: Worklog) -> str:
    """Every remedy that was carried out, by cycle, and whether it has mended; of the last one, what
    came of it. Where none followed it, why not.
    """
    tried = [
        (cycle.number, cycle.remedy)
        for cycle in worklog.cycles
        if cycle.remedy is not None and cycle.remedy.result in ("done", "failed", "refused")
    ]
    if not tried:
        return _begun(worklog.last) or f"nothing{_proposed(worklog.last)}"
    shown = {each.cycle: _mended(each) for each in mendings(worklog.cycles)}
    *before, (last_number, last_tried) = tried
    said = "".join(f"cycle {n}: {_tried(remedy)}{shown.get(n, '')}; " for n, remedy in before)
    said += f"cycle {last_number}: {_tried(last_tried)}: {one_line(last_tried.detail, 240)}"
    said += shown.get(last_number, "")
    last = worklog.last.remedy if worklog.last else None
    then = f"; then {one_line(last.detail, 240)}" if last and last.result == "proposed" else ""
    then = then or (f"; {begun}" if (begun := _begun(worklog.last)) else "")
    return f"{said}{then}"


def _proposed(cycle: CycleRecord | None) -> str:
    remedy = cycle.remedy if cycle else None
    if cycle is None or remedy is None or remedy.result != "proposed":
        return ""
    if remedy.action != "person":
        return f"; proposed: {one_line(remedy.detail, 240)}"
    # What a signature asks a person for stands beside the cause; what comes in place of a rebuild
    # stands nowhere else.
    asked = {f.remedy.action for f in cycle.findings if f.remedy and f.signature == remedy.rule}
    by_rule = remedy.rule is not None and remedy.rule.startswith("remediate.")
    return f"; to do: {one_line(remedy.detail, 240)}" if by_rule or "rebuild" in asked else ""


def _begun(cycle: CycleRecord | None) -> str:
    """A remedy of which nobody knows what it did: the run was ended meanwhile, or killed."""
    if cycle is None or cycle.remedy is not None or cycle.remedy_begun is None:
        return ""
    last = cycle.stages[-1]
    why = f": {one_line(last.detail, 240)}" if last.detail else ""
    action = one_line(str(cycle.remedy_begun.detail.get("action", "remedy")), 40)
    return f"cycle {cycle.number}: {action}, begun and not ended{why}"


def _mended(mending: Mending) -> str:
    return f" ({one_line(mending.said, 160)})" if mending.shown.seen else ""


def _tried(remedy: RemedyDecided) -> str:
    action = "remedy" if remedy.action == "none" else one_line(remedy.action, 40)
    return f"{action}, {remedy.result}"
