"""The chain from commit to what the tests met, link by link, each with how far it was checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from loopctl.journal.wording import count, short, traffic
from loopctl.journal.worklog import CycleRecord, ServiceRecord, Worklog
from loopctl.model.artifact import ContentProof
from loopctl.model.events import ServiceFacts
from loopctl.model.evidence import CaseStatus, Grade
from loopctl.reports.facts import outcome_of

Checked = Literal["checked", "not checked", "broken"]


@dataclass(frozen=True, slots=True)
class Link:
    """One link: `value` is what is there, empty for nothing; `how` says why it is checked or not.

    `full` is the whole of a value that is shown short.
    """

    name: str
    value: str
    checked: Checked
    how: str
    full: str = ""


@dataclass(frozen=True, slots=True)
class Chain:
    """One service. `again` tells whether it was read again after the tests, in words."""

    service: ServiceRecord
    links: tuple[Link, ...]
    again: str
    again_checked: Checked
    not_covered: tuple[str, ...]


def chains(worklog: Worklog) -> tuple[Chain, ...]:
    """Of every service that the last cycle deploys; none before a cycle."""
    cycle = worklog.last
    if cycle is None:
        return ()
    return tuple(
        _chain(facts, cycle.services[facts.name], cycle, worklog)
        for facts in worklog.run.services
        if facts.deployed
    )


def _chain(
    facts: ServiceFacts, service: ServiceRecord, cycle: CycleRecord, worklog: Worklog
) -> Chain:
    again, checked = _again(service)
    links = (
        _commit(service),
        _tree(service),
        _content(facts, service),
        _digest(service),
        _revision(service),
        _traffic(service, worklog),
        _endpoint(service, cycle),
    )
    proof = service.proof
    return Chain(service, links, again, checked, proof.not_covered if proof else ())


def _commit(service: ServiceRecord) -> Link:
    source = service.source
    if source is None:
        return Link("commit", "", "not checked", "no source was read")
    if source.commit is None:
        return Link("commit", "none", "not checked", "the source is not in git")
    value = _bare(source.commit)
    if source.dirty:
        how = "the files differ from it: uncommitted changes"
        return Link("commit", value, "not checked", how, source.commit)
    return Link("commit", value, "checked", "the files are those of the commit", source.commit)


def _tree(service: ServiceRecord) -> Link:
    source = service.source
    if source is None:
        return Link("source tree", "", "not checked", "no source was read")
    how = f"hashed over {count(source.files, 'file')}"
    return Link("source tree", _bare(source.tree), "checked", how, source.tree)


def _content(facts: ServiceFacts, service: ServiceRecord) -> Link:
    name, proof = "image tree", service.proof
    if proof is None:
        asked = facts.provenance != "none"
        how = "the run did not get there" if asked else "the loop file does not ask for it"
        return Link(name, "", "not checked", how)
    value, full = (_bare(proof.image_tree), proof.image_tree) if proof.image_tree else ("", "")
    if proof.broken:
        return Link(name, value, "broken", "; ".join(_differences(proof)), full)
    if proof.of_source and proof.holds:
        compared = f", {count(proof.compared, 'file')} compared" if proof.compared else ""
        return Link(name, value, "checked", f"the content is the source's{compared}", full)
    if proof.elsewhere is not None:
        return _built_elsewhere(name, proof, proof.elsewhere.looked_at)
    return Link(name, value, "not checked", "the content was not compared", full)


def _built_elsewhere(name: str, proof: ContentProof, looked_at: str) -> Link:
    match looked_at:
        case "content":
            how = "every byte is the digest's; there is no source to compare it with"
            return Link(name, "", "checked" if proof.holds else "not checked", how)
        case "label":
            return Link(name, "", "not checked", "built elsewhere, only its label was looked at")
        case _:
            return Link(name, "", "not checked", "built elsewhere, nothing of it was looked at")


def _differences(proof: ContentProof) -> Iterator[str]:
    yield "the content is NOT the source's"
    kinds: Mapping[str, Sequence[str]] = {
        "stale": proof.stale,
        "missing": proof.missing,
        "of another mode": proof.mode_differs,
        "changed by an undeclared step": proof.undeclared,
    }
    for kind, files in kinds.items():
        if files:
            yield f"{count(len(files), 'file')} {kind}, first {files[0]}"
    if proof.other_base:
        yield proof.other_base


def _digest(service: ServiceRecord) -> Link:
    artifact = service.artifact
    if artifact is None:
        return Link("image digest", "", "not checked", "no image was made")
    value = _bare(artifact.digest)
    if service.proof is not None and service.proof.holds:
        return Link("image digest", value, "checked", "names the compared content", artifact.digest)
    how = "its content is not shown to be the source's"
    return Link("image digest", value, "not checked", how, artifact.digest)


def _revision(service: ServiceRecord) -> Link:
    revision, artifact = service.revision, service.artifact
    if revision is None:
        return Link("revision", "", "not checked", "none was deployed")
    if artifact is not None and revision.digest == artifact.digest:
        return Link("revision", revision.name, "checked", "it runs that digest")
    if artifact is None:
        return Link(
            "revision", revision.name, "not checked", "no image of this run to hold it against"
        )
    return Link("revision", revision.name, "broken", f"it runs {short(revision.digest)}")


def _traffic(service: ServiceRecord, worklog: Worklog) -> Link:
    ended = worklog.ended
    mine = service.revision.name if service.revision else ""
    for left in ended.left if ended else ():
        if left.service == service.name:
            has = left.traffic.get(mine) or not mine
            none = "" if has else "; the revision of this run has none of it"
            return Link("traffic", traffic(left.traffic), "checked", f"read back at the end{none}")
    state = service.routed or service.before
    if state is None:
        return Link("traffic", "", "not checked", "nobody has looked")
    how = "as last read back" if service.routed else "before the first write"
    return Link("traffic", traffic(state.traffic), "checked", how)


def _endpoint(service: ServiceRecord, cycle: CycleRecord) -> Link:
    name = "met by the tests"
    revision = service.revision
    address = (service.health.url if service.health else None) or ""
    if revision is None:
        return Link(name, address, "not checked", "none was deployed")
    if not any(_has_run(cycle)):
        return Link(name, address, "not checked", "no test has run against it")
    passes = [
        case
        for suite in cycle.suites.values()
        for case in suite.cases
        if case.status is CaseStatus.PASSED
    ]
    proven = sum(
        1 for c in passes if c.grade is Grade.PROVEN and c.reason and revision.name in c.reason
    )
    if proven:
        of = f"{proven} of {count(len(passes), 'pass', 'passes')}"
        how = f"its own request log names this revision for {of}"
        return Link(name, address, "checked", how)
    return Link(name, address, "not checked", "no pass rests on a receipt from it")


def _has_run(cycle: CycleRecord) -> Iterator[bool]:
    for suite in cycle.suites.values():
        yield bool(suite.cases) or outcome_of(suite).value != "not-run"


def _bare(digest: str) -> str:
    """The first digits: that they are of a hash the link's name says."""
    return short(digest.rpartition(":")[2])


def _again(service: ServiceRecord) -> tuple[str, Checked]:
    chain = service.chain
    if chain is None:
        return "not read again after the tests", "not checked"
    if chain.broken:
        return f"read again after the tests: {chain.broken}", "broken"
    share = f"serving {chain.serving_percent} %"
    return f"read again after the tests: {chain.revision} unchanged, {share}", "checked"
