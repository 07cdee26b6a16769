"""What an event says in one line, for the views; all text of others is made inert here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from loopctl.evidence.criteria import told
from loopctl.inert import for_ci, one_line
from loopctl.journal.wording import count, seconds, short, traffic
from loopctl.model.events import (
    BuildStep,
    CasesGraded,
    ChainChecked,
    ChangeSeen,
    CommitChanged,
    ContentProven,
    CriteriaJudged,
    Event,
    FindingMade,
    HealthJudged,
    ImageBuilt,
    ImagePublished,
    Intent,
    LogsKept,
    NotChecked,
    Note,
    NovelLine,
    RemedyDecided,
    Result,
    RevisionDeployed,
    Routed,
    RunEnded,
    RunResumed,
    RunStarted,
    ServiceObserved,
    SourceRead,
    StageEntered,
    StageFinished,
    SuiteCollected,
    SuiteFinished,
    SuiteStarted,
    Unrecognised,
)
from loopctl.model.evidence import (
    CaseStatus,
    CriterionJudgement,
    GradedCase,
    SuiteJudgement,
)
from loopctl.model.state import OutcomeKind

_LINE = 400
_NAMED = 5
_TELLING_S = 1.0
"""Seconds from which a step of a build is worth a line of its own."""


def lines_of(event: Event, *, verbose: bool) -> Iterator[str]:
    """The lines for one event; none for what only `-v` shows, or nobody needs."""
    about = _about(event)
    for text in _texts(event, verbose=verbose):
        # A note may name what it is about itself: reports show it alone.
        yield for_ci(about + text.removeprefix(about))


def _about(event: Event) -> str:
    name = event.suite or event.service
    return f"{one_line(name, 80)}: " if name else ""


def _texts(event: Event, *, verbose: bool) -> Iterator[str]:
    match event.payload:
        case StageEntered(stage=stage):
            wave = f" wave {event.wave + 1}" if event.wave is not None else ""
            yield f"{stage.value}{wave} begins (cycle {event.cycle})"
        case StageFinished():
            yield from _stage_finished(event.payload)
        case SuiteCollected(count=number):
            # It may take longer than what its stage is called after.
            yield f"{count(number, 'case')} collected"
        case CasesGraded(cases=cases):
            yield from (_case(case) for case in cases if verbose or _is_bad(case))
        case _:
            yield from _run_texts(event)
            yield from _service_texts(event)
            if verbose:
                yield from _verbose_texts(event)


def _stage_finished(end: StageFinished) -> Iterator[str]:
    detail = f": {one_line(end.detail, _LINE)}" if end.detail else ""
    yield (
        f"{end.stage.value} {end.kind.value} in {seconds(end.duration_s)}, then"
        f" {end.to.value}{detail}"
    )
    if end.kind in (OutcomeKind.OK, OutcomeKind.MORE_WAVES, OutcomeKind.PARTIAL):
        return
    for fault in end.faults:
        named = fault.service is None or fault.service in fault.summary
        service = "" if named else f"{one_line(fault.service or '', 63)}: "
        hint = f" (do: {one_line(fault.hint, _LINE)})" if fault.hint else ""
        yield f"  {service}{one_line(fault.summary, _LINE)}{hint}"
        # Some faults quote what they say.
        quotes = [quote for quote in fault.quotes if quote.quote not in fault.summary]
        for quote in quotes[-3:]:
            yield f'  "{one_line(quote.quote, _LINE)}" at {one_line(quote.source, 200)}'


def _run_texts(event: Event) -> Iterator[str]:
    match event.payload:
        case RunStarted() as run:
            how = one_line(run.partial or "", 120).removeprefix("partial, ")
            partial = f", PARTIAL: {how}" if how else ""
            where = f"{one_line(run.loop, 60)} on {one_line(run.environment, 40)}"
            yield f"run {one_line(run.run_id, 120)}: {where}{partial}"
        case RunResumed() as resumed:
            before = "an interrupted" if resumed.after == "interrupted" else "a killed"
            yield f"gone on with after {before} process, at {resumed.stage.value}"
        case RunEnded() as end:
            yield f"{end.verdict.value}, exit code {end.exit_code}, in {seconds(end.duration_s)}"
        case SuiteStarted(expected=expected):
            number = f", {count(expected, 'case')} expected" if expected else ""
            yield f"begins{number}"
        case Intent(effect="suite", key=key) as intent if again := repeat_of(intent):
            yield f"{again} begins: {_what_for(key)}"
        case SuiteFinished(judgement=judgement):
            yield _suite(judgement)
        case CriteriaJudged(criteria=criteria):
            yield from _criteria(criteria)
        case FindingMade(finding=finding):
            known = one_line(finding.signature or "no known cause", 80)
            yield f"finding: {one_line(finding.title, _LINE)} ({known})"
        case RemedyDecided() as remedy:
            what = f"remedy {one_line(remedy.action, 40)} {remedy.result}"
            if remedy.action == "person":
                what = "for a person to do"
            yield f"{what}: {one_line(remedy.detail, _LINE)}"
        case Note(text=text):
            yield one_line(text, _LINE)
        case _:
            return


def _service_texts(event: Event) -> Iterator[str]:
    match event.payload:
        case BuildStep() as step if step.cached or step.seconds >= _TELLING_S:
            yield _build_step(step)
        case ImageBuilt(artifact=artifact) if artifact.elsewhere:
            yield f"image {short(artifact.digest)}, built elsewhere"
        case ImageBuilt(artifact=artifact, duration_s=took):
            yield f"image {short(artifact.digest)} built in {seconds(took)}"
        case ImagePublished(artifact=artifact, duration_s=took):
            yield f"pushed as {one_line(artifact.location, _LINE)} in {seconds(took)}"
        case ContentProven(proof=proof) if proof.broken:
            yield "the image does NOT hold the source"
        case RevisionDeployed(revision=revision, first=first):
            ever = ", the first ever" if first else ""
            yield f"revision {one_line(revision.name, 63)} deployed{ever}"
        case HealthJudged() as health:
            word = "healthy" if health.healthy else "NOT healthy"
            detail = f": {one_line(health.detail, _LINE)}" if health.detail else ""
            yield f"{word} after {seconds(health.duration_s)}{detail}"
        case ChainChecked(broken=str() as broken):
            yield f"the chain is broken: {one_line(broken, _LINE)}"
        case Routed(state=state, why=why):
            yield f"traffic ({why}): {traffic(state.traffic)}"
        case _:
            return


def _verbose_texts(event: Event) -> Iterator[str]:
    match event.payload:
        case NovelLine() as novel:
            yield f'"{one_line(novel.quote, _LINE)}" at {one_line(novel.source, 200)}'
        case CriteriaJudged(criteria=criteria):
            yield from (one_line(told(each), _LINE) for each in criteria)
        case CommitChanged() as commit:
            yield f"commit {short(commit.commit)} {one_line(commit.subject, 120)}"
        case ChangeSeen(change=change):
            yield f"changed since green: {one_line(change.text, 120)}"
        case NotChecked() as missing:
            yield f"not checked: {one_line(missing.what, 200)}: {one_line(missing.why, _LINE)}"
        case Intent() as intent:
            yield f"about to {intent.effect} {one_line(intent.key, 200)}"
        case Result(ok=False) as result:
            yield f"{result.effect} failed: {one_line(result.detail, _LINE)}"
        case Unrecognised(kind=kind):
            yield f"an event of a later version: {one_line(kind, 60)}"
        case _:
            yield from _verbose_of_services(event)


def _verbose_of_services(event: Event) -> Iterator[str]:
    match event.payload:
        case BuildStep() as step if not step.cached and step.seconds < _TELLING_S:
            yield _build_step(step)
        case SourceRead() as source:
            dirty = ", uncommitted changes" if source.dirty else ""
            yield f"source {short(source.tree)}, {count(source.files, 'file')}{dirty}"
        case ServiceObserved(when=when, state=state):
            yield f"{when}: {traffic(state.traffic) if state else 'does not exist'}"
        case LogsKept() as kept:
            yield f"{count(kept.lines, 'log line')} kept in {one_line(kept.path, 200)}"
        case _:
            return


def repeat_of(intent: Intent) -> str | None:
    """Which run of a suite beside its first one an intent is for; None for the first."""
    match intent.key.split("/")[2:]:
        case [name] if name.startswith("retry-"):
            return f"retry {one_line(name.removeprefix('retry-'), 10)}"
        case [name] if name.startswith("control"):
            return "control run"
        case _:
            return None


def _what_for(key: str) -> str:
    match key.rsplit("/", maxsplit=1)[-1]:
        case "control":
            return "what has passed runs once more, without its services"
        case name if name.startswith("control"):
            return "what needs its services runs once more, while they answer wrongly"
        case _:
            return "what did not pass runs once more"


def _criteria(criteria: Sequence[CriterionJudgement]) -> Iterator[str]:
    """How they stand: what they come to, the end of the stage tells."""
    yield f"criteria: {met_text(criteria, '')}"


def met_text(criteria: Sequence[CriterionJudgement], noun: str) -> str:
    """How many of the criteria are met; by name which are missed, and which nobody can judge."""
    met = sum(1 for each in criteria if each.met)
    said = " ".join(filter(None, (f"{met} of {len(criteria)}", noun, "met")))
    for word, verdict in (("missed", False), ("too few samples of", None)):
        names = [one_line(each.metric, 60) for each in criteria if each.met is verdict]
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        said += f"; {word} {', '.join(names[:_NAMED])}{more}" if names else ""
    return said


def _suite(judgement: SuiteJudgement) -> str:
    numbers = ", ".join(
        f"{judgement.counts[status]} {status.value}"
        for status in CaseStatus
        if judgement.counts.get(status)
    )
    least = f", lowest grade {judgement.grade.value}" if judgement.grade else ""
    reasons = f": {one_line('; '.join(judgement.reasons), _LINE)}" if judgement.reasons else ""
    return (
        f"{judgement.outcome.value} in {seconds(judgement.duration_s)},"
        f" {numbers or 'no case'} of {judgement.collected}{least}{reasons}"
    )


def _is_bad(case: GradedCase) -> bool:
    return case.status not in (CaseStatus.PASSED, CaseStatus.SKIPPED)


def _case(case: GradedCase) -> str:
    told = case.message if _is_bad(case) else case.reason or case.message
    grade = f" {case.grade.value}" if case.grade else ""
    why = f": {one_line(told, _LINE)}" if told else ""
    return f"{case.status.value}{grade} {one_line(case.id, 200)}{why}"


def _build_step(step: BuildStep) -> str:
    cached = ", from the cache" if step.cached else ""
    return f"build step in {seconds(step.seconds)}{cached}: {one_line(step.step, _LINE)}"
