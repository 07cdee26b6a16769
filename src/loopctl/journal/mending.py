"""Whether a remedy has mended what it was for: read from the cycle that followed it. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from loopctl.inert import one_line
from loopctl.journal.progress import sources
from loopctl.journal.wording import short
from loopctl.journal.worklog import CycleRecord, ServiceRecord, Worklog
from loopctl.model.events import RemedyDecided
from loopctl.model.evidence import SuiteOutcome
from loopctl.model.finding import Finding
from loopctl.model.state import OutcomeKind, State
from loopctl.ports.history import RemedyRecord

CARRIED_OUT: Final = ("done", "failed", "refused")
_NO_REMEDY: Final = ("person", "none")
_TITLE: Final = 120


@dataclass(frozen=True, slots=True)
class Shown:
    """Whether something is mended, None where nobody has looked, and what shows it, in words."""

    mended: bool | None
    seen: str = ""


@dataclass(frozen=True, slots=True)
class Mending:
    """A remedy that was carried out in a cycle, and what came of what it was for."""

    cycle: int
    remedy: RemedyDecided
    shown: Shown

    @property
    def said(self) -> str:
        """`mended, …` or `did not mend: …`; empty where nobody has looked."""
        if self.shown.mended is None:
            return ""
        word = "mended" if self.shown.mended else "did not mend"
        return f"{word}: {self.shown.seen}" if self.shown.seen else word


def mendings(cycles: Sequence[CycleRecord]) -> tuple[Mending, ...]:
    """Every remedy that was carried out, in order, the cycles that say nothing passed over."""
    found = []
    for at, cycle in enumerate(cycles):
        remedy = cycle.remedy
        if remedy is None or remedy.result not in CARRIED_OUT or remedy.action in _NO_REMEDY:
            continue
        after = next((c for c in cycles[at + 1 :] if not c.says_nothing), None)
        found.append(Mending(cycle.number, remedy, shown_by(remedy, cycle, after)))
    return tuple(found)


def shown_by(remedy: RemedyDecided, before: CycleRecord, after: CycleRecord | None) -> Shown:
    """What the cycle `after` it, or a look right after it, shows of a remedy."""
    if remedy.result != "done":
        return Shown(False if remedy.result == "failed" else None)
    if remedy.mended is not None or after is None or remedy.ends is not None:
        return Shown(remedy.mended, remedy.seen)
    looked = _looked(remedy, before, after)
    again = _still(remedy, before, after)
    if again is None:
        return looked
    told = looked.seen if looked.mended is False else one_line(again.title, _TITLE)
    return Shown(mended=False, seen=f"still: {told}")


def remedy_records(worklog: Worklog) -> tuple[RemedyRecord, ...]:
    """What later runs need to know of the remedies that this one carried out."""
    began = {cycle.number: _remediated_at(cycle) for cycle in worklog.cycles}
    return tuple(
        RemedyRecord(
            cause=each.remedy.rule or "",
            action=each.remedy.action,
            result="done" if each.remedy.result == "done" else "failed",
            at=began[each.cycle] or worklog.started_at,
            service=each.remedy.service,
            mended=each.shown.mended,
            on=each.remedy.on,
        )
        for each in mendings(worklog.cycles)
    )


def done_on(cycle: CycleRecord) -> str:
    """A digest of all sources of a cycle, by which a remedy done again is told; empty: unknown."""
    read: Mapping[str, str] = sources(cycle)
    built = {n: s.artifact.digest for n, s in cycle.services.items() if s.artifact is not None}
    names = {**built, **read}
    if not names:
        return ""
    text = "\n".join(f"{name}={names[name]}" for name in sorted(names))
    return f"sha256:{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"


def same_cause(finding: Finding, other: Finding) -> bool:
    """Whether both tell of one cause; captured words may differ from cycle to cycle."""
    if finding.fingerprint == other.fingerprint:
        return True
    known = finding.signature is not None and finding.signature == other.signature
    return known and finding.service == other.service


def _still(remedy: RemedyDecided, before: CycleRecord, after: CycleRecord) -> Finding | None:
    """The finding that the remedy was for, where it is found again."""
    was = [f for f in before.findings if f.fingerprint in remedy.cause]
    return next((f for f in after.findings if any(same_cause(f, w) for w in was)), None)


def _looked(remedy: RemedyDecided, before: CycleRecord, after: CycleRecord) -> Shown:
    concerned = [s for n, s in after.services.items() if remedy.service in (None, n)]
    match remedy.verify:
        case "image_tree":
            return _all(_content(service) for service in concerned)
        case "health":
            return _all(_health(service) for service in concerned)
        case "suites":
            return _suites(before, after)
        case _:
            return _stage(before, after)


def _all(shown: Iterator[Shown | None]) -> Shown:
    """The first that is not whole; else all of it together."""
    each = [one for one in shown if one is not None]
    wrong = next((one for one in each if one.mended is False), None)
    if wrong is not None or not each:
        return wrong or Shown(None)
    return Shown(mended=True, seen="; ".join(one.seen for one in each))


def _content(service: ServiceRecord) -> Shown | None:
    proof = service.proof
    if proof is None:
        return None
    holds = short(proof.image_tree)
    if proof.holds:
        return Shown(mended=True, seen=f"the image of {service.name} now holds {holds}")
    wants = short(proof.source_tree)
    return Shown(mended=False, seen=f"the image of {service.name} holds {holds}, not {wants}")


def _health(service: ServiceRecord) -> Shown | None:
    health = service.health
    if health is None:
        return None
    if health.healthy:
        return Shown(mended=True, seen=f"{health.revision} is healthy")
    said = f": {one_line(health.detail, _TITLE)}" if health.detail else ""
    return Shown(mended=False, seen=f"{health.revision} is not healthy{said}")


def _suites(before: CycleRecord, after: CycleRecord) -> Shown:
    """The suites that had not passed; all where none had come so far."""
    failed = [n for n, s in before.suites.items() if s.judgement and not _passed(before, n)]
    wanted = failed or list(after.suites)
    judged = [name for name in wanted if after.suites[name].judgement is not None]
    wrong = [name for name in judged if not _passed(after, name)]
    if wrong:
        return Shown(mended=False, seen=f"{', '.join(wrong)} did not pass")
    if not judged or len(judged) < len(wanted):
        return Shown(None)
    return Shown(mended=True, seen=f"{', '.join(judged)} passed")


def _passed(cycle: CycleRecord, suite: str) -> bool:
    judgement = cycle.suites[suite].judgement
    return judgement is not None and judgement.outcome is SuiteOutcome.PASSED


def _stage(before: CycleRecord, after: CycleRecord) -> Shown:
    """Whether the stage that had failed came to a good end."""
    failed = before.failed_stage
    if failed is None:
        return Shown(None)
    ends = {record.stage: record.kind for record in after.stages}
    name = failed.stage.value
    if ends.get(failed.stage) in (OutcomeKind.OK, OutcomeKind.MORE_WAVES, OutcomeKind.PARTIAL):
        return Shown(mended=True, seen=f"{name} came to a good end")
    now = after.failed_stage
    if now is not None and now.stage is failed.stage:
        return Shown(mended=False, seen=f"{name} failed again")
    return Shown(None)


def _remediated_at(cycle: CycleRecord) -> datetime | None:
    return next((s.started_at for s in cycle.stages if s.stage is State.REMEDIATE), None)
