"""Compares two runs by their worklogs, and by the records that the history keeps of them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from loopctl.evidence.criteria import measured
from loopctl.journal.history import changed_names
from loopctl.journal.run_record import stage_seconds
from loopctl.journal.wording import iso
from loopctl.journal.worklog import CycleRecord, ServiceRecord, Worklog
from loopctl.model.events import Left
from loopctl.model.evidence import CriterionJudgement
from loopctl.ports.history import RunRecord
from loopctl.reports.compared import (
    Changed,
    Commits,
    Comparison,
    ConfigurationChanges,
    CriterionChange,
    DurationChange,
    FindingChanges,
    FindingLine,
    RunFacts,
)
from loopctl.reports.comparing_cases import case_changes, suite_changes
from loopctl.reports.comparing_logs import log_changes
from loopctl.reports.facts import source_of

NOISE_S = 1.0
"""A duration must differ by more than so many seconds to be told…"""

NOISE_SHARE = 0.25
"""… and by more than this share of the former; a measured value by this share alone."""

LEAST_RUNS = 5
"""From so many earlier green runs on, what lies within their range is noise, too."""

Range = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two runs: its worklog, and what the history keeps of it, None where nothing."""

    worklog: Worklog
    record: RunRecord | None = None


@dataclass(frozen=True, slots=True)
class Around:
    """What is known beside the two runs.

    `commits` are those between them, `usual` the least and the most seconds of earlier green runs
    by `run`, `stage NAME` and `suite ID`. `one_key` tells that both hashed under the same key.
    """

    commits: Commits = field(default_factory=Commits)
    usual: Mapping[str, Range] = field(default_factory=dict)
    one_key: bool = False


def compare(a: Side, b: Side, around: Around) -> Comparison:
    """What is not the same in `b` as in `a`: of both the last cycle, which speaks for the run."""
    before, after = a.worklog.last, b.worklog.last
    return Comparison(
        a=facts_of(a.worklog),
        b=facts_of(b.worklog),
        ended=tuple(_ended(a.worklog, b.worklog)),
        serving=tuple(_serving(a.worklog, b.worklog)),
        cases=case_changes(before, after),
        findings=_findings(before, after),
        commits=around.commits,
        made_of=tuple(_made_of(before, after)),
        configuration=_configuration(a, b, one_key=around.one_key),
        suites=suite_changes(before, after),
        criteria=tuple(_criteria(before, after)),
        durations=tuple(_durations(a.worklog, b.worklog, around.usual)),
        logs=log_changes(before, after, a.record, b.record),
    )


def facts_of(worklog: Worklog) -> RunFacts:
    """Which run it is."""
    run, ended = worklog.run, worklog.ended
    source = source_of(worklog.last)
    return RunFacts(
        run_id=run.run_id,
        loop=run.loop,
        environment=run.environment,
        platform=run.platform,
        verdict=ended.verdict.value if ended else None,
        exit_code=ended.exit_code if ended else None,
        stop_reason=ended.stop_reason.value if ended else None,
        partial=run.partial is not None,
        started_at=iso(worklog.started_at),
        duration_s=round(ended.duration_s, 3) if ended else None,
        commit=source.commit,
        dirty=source.dirty,
        tree=source.tree,
        loopctl=run.loopctl,
    )


def _ended(a: Worklog, b: Worklog) -> Iterator[Changed]:
    one, other = facts_of(a), facts_of(b)
    told = {
        "verdict": (one.verdict, other.verdict),
        "exit code": (one.exit_code, other.exit_code),
        "stop reason": (one.stop_reason, other.stop_reason),
        "partial": (a.run.partial, b.run.partial),
        "loop": (one.loop, other.loop),
        "environment": (one.environment, other.environment),
        "platform": (one.platform, other.platform),
    }
    for what, (before, after) in told.items():
        if before != after:
            yield Changed(what, _text(before), _text(after))
    if one.loopctl != other.loopctl:
        yield Changed("loopctl", one.loopctl, other.loopctl, counts=False)


def _serving(a: Worklog, b: Worklog) -> Iterator[Changed]:
    """Who is left serving. A revision's name is new with each run: that alone does not count."""
    before, after = ({x.service: x for x in w.ended.left} if w.ended else {} for w in (a, b))
    for name in {**after, **before}:
        one, other = before.get(name), after.get(name)
        if _left(one) != _left(other):
            yield Changed(name, _left(one), _left(other), counts=_how(one) != _how(other))


def _left(left: Left | None) -> str | None:
    if left is None:
        return None
    shares = sorted(left.traffic.items(), key=lambda share: (-share[1], share[0]))
    said = ", ".join(f"{name} {percent} %" for name, percent in shares if percent)
    return f"{said or 'no revision'}, {_how(left)}"


def _how(left: Left | None) -> str | None:
    if left is None:
        return None
    return "dead" if left.dead else "verified" if left.verified else "unverified"


def _findings(a: CycleRecord | None, b: CycleRecord | None) -> FindingChanges:
    before, after = _by_fingerprint(a), _by_fingerprint(b)
    return FindingChanges(
        new=tuple(each for key, each in after.items() if key not in before),
        gone=tuple(each for key, each in before.items() if key not in after),
        same=tuple(each for key, each in after.items() if key in before),
    )


def _by_fingerprint(cycle: CycleRecord | None) -> dict[str, FindingLine]:
    found = cycle.findings if cycle else ()
    return {
        f.fingerprint: FindingLine(f.fingerprint, f.title, f.signature, f.service) for f in found
    }


def _made_of(a: CycleRecord | None, b: CycleRecord | None) -> Iterator[Changed]:
    before, after = (cycle.services if cycle else {} for cycle in (a, b))
    for name in {**after, **before}:
        one, other = before.get(name), after.get(name)
        trees, digests = (_tree(one), _tree(other)), (_digest(one), _digest(other))
        if trees[0] != trees[1]:
            yield Changed(f"source of {name}", *trees)
        if digests[0] != digests[1]:
            # The same source built again is the same to whoever asks, though its digest differs.
            same_source = trees[0] is not None and trees[0] == trees[1]
            yield Changed(f"image of {name}", *digests, counts=not same_source)
        revisions = _revision(one), _revision(other)
        if revisions[0] != revisions[1]:
            yield Changed(f"revision of {name}", *revisions, counts=False)


def _tree(service: ServiceRecord | None) -> str | None:
    if service is None or service.source is None:
        return service.artifact.source_tree or None if service and service.artifact else None
    return f"{service.source.tree} (dirty)" if service.source.dirty else service.source.tree


def _digest(service: ServiceRecord | None) -> str | None:
    return service.artifact.digest if service and service.artifact else None


def _revision(service: ServiceRecord | None) -> str | None:
    return service.revision.name if service and service.revision else None


def _configuration(a: Side, b: Side, *, one_key: bool) -> ConfigurationChanges:
    before, after = a.worklog.run, b.worklog.run
    given = _comparable(a, b, one_key=one_key)
    names = given or (before.given, after.given)
    told = before.given and after.given
    values = changed_names(*given) if given else ()
    return ConfigurationChanges(
        values=tuple(name for name in values if name in names[0] and name in names[1]),
        added=tuple(sorted(names[1].keys() - names[0].keys())) if told or given else (),
        removed=tuple(sorted(names[0].keys() - names[1].keys())) if told or given else (),
        files=changed_names(before.files, after.files),
        suite_files=_other_files(_suite_files(a.worklog.last), _suite_files(b.worklog.last)),
        unknown=None if given else _WHY_NOT,
    )


_WHY_NOT = "values are kept as hashes, and these two runs hashed them under different keys"

_Given = tuple[Mapping[str, str], Mapping[str, str]]


def _comparable(a: Side, b: Side, *, one_key: bool) -> _Given | None:
    """What both were given, hashed under one key."""
    before, after = a.worklog.run.given, b.worklog.run.given
    # Under two keys no two hashes are equal: one that is shows that there is only one.
    if one_key or before == after or any(before.get(n) == after[n] for n in after):
        return before, after
    if a.record and b.record and a.record.hashed_by and a.record.hashed_by == b.record.hashed_by:
        return a.record.configuration, b.record.configuration
    return None


def _other_files(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[str, ...]:
    """A suite that one of them has not run has told nothing of its files there."""
    return tuple(sorted(name for name in before.keys() & after if before[name] != after[name]))


def _suite_files(cycle: CycleRecord | None) -> dict[str, str]:
    suites = cycle.suites.values() if cycle else ()
    return {suite.facts.id: suite.files for suite in suites if suite.files is not None}


def _criteria(a: CycleRecord | None, b: CycleRecord | None) -> Iterator[CriterionChange]:
    before, after = ({c.metric: c for c in cycle.criteria} if cycle else {} for cycle in (a, b))
    for metric in {**after, **before}:
        one, other = before.get(metric), after.get(metric)
        limits, values = (_limit(one), _limit(other)), (_value(one), _value(other))
        met = (one.met if one else None, other.met if other else None)
        counts = limits[0] != limits[1] or met[0] is not met[1]
        noise = values[0] is None or values[1] is None or not _moved(values[0], values[1])
        shown = (measured(one) if one else "", measured(other) if other else "")
        yield CriterionChange(metric, limits, values, met, noise, counts, shown)


def _limit(judged: CriterionJudgement | None) -> str | None:
    return f"{judged.op} {judged.limit}" if judged else None


def _value(judged: CriterionJudgement | None) -> float | None:
    return judged.value if judged else None


def _moved(before: float, after: float) -> bool:
    return abs(after - before) > NOISE_SHARE * abs(before)


def _durations(a: Worklog, b: Worklog, usual: Mapping[str, Range]) -> Iterator[DurationChange]:
    before, after = seconds_of(a), seconds_of(b)
    for what in {**after, **before}:
        one, other = before.get(what), after.get(what)
        yield DurationChange(what, one, other, _is_noise(one, other, usual.get(what)))


def seconds_of(worklog: Worklog) -> dict[str, float]:
    """Seconds of the run, of each stage and of each suite that was run, in its last cycle."""
    cycle, ended = worklog.last, worklog.ended
    found = {"run": round(ended.duration_s, 3)} if ended else {}
    found |= {f"stage {name}": taken for name, taken in stage_seconds(cycle).items()}
    for suite in cycle.suites.values() if cycle else ():
        if suite.judgement is not None and suite.end is not None:
            found[f"suite {suite.facts.id}"] = round(suite.judgement.duration_s, 3)
    return found


def _is_noise(before: float | None, after: float | None, usual: Range | None) -> bool:
    if before is None or after is None:
        return True
    if abs(after - before) <= NOISE_S or not _moved(before, after):
        return True
    return usual is not None and usual[0] <= after <= usual[1]


def _text(value: object) -> str | None:
    return None if value is None else str(value)
