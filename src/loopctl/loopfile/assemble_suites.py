"""Makes the suites of a `Plan` of the models that have passed every check."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from loopctl.loopfile.assemble_services import given
from loopctl.loopfile.chosen import Chosen
from loopctl.loopfile.nodes import Table
from loopctl.loopfile.paths import absolute, written_path
from loopctl.loopfile.schema_suite import EvidencePart, SuitePart, TimeoutPart, TolerancePart
from loopctl.model.evidence import Grade
from loopctl.model.plan import (
    EvidenceSpec,
    Priority,
    Quarantined,
    ServiceSpec,
    SuiteKind,
    SuitePhase,
    SuiteSpec,
    Tolerance,
)

_STOPPING = (Priority.P0, Priority.P1)


def suites_of(
    chosen: Chosen, parts: Sequence[SuitePart], services: Sequence[ServiceSpec]
) -> tuple[SuiteSpec, ...]:
    """The suites by priority, but none before one that it needs."""
    deployed = tuple(service.name for service in services if service.is_deployed)
    targets = deployed or tuple(service.name for service in services)
    made = [_suite(chosen, *pair, targets) for pair in zip(parts, chosen.suites, strict=True)]
    waiting = sorted(made, key=lambda suite: suite.priority)
    ordered: list[SuiteSpec] = []
    while waiting:
        names = {suite.id for suite in waiting}
        ready = next(suite for suite in waiting if not names.intersection(suite.needs))
        waiting.remove(ready)
        ordered.append(ready)
    return tuple(ordered)


def _suite(chosen: Chosen, part: SuitePart, table: Table, targets: tuple[str, ...]) -> SuiteSpec:
    cwd = table.scalar("cwd")
    folder = written_path(cwd) if cwd else chosen.root
    priority = Priority(part.priority or "P1")
    timeout = part.timeout or TimeoutPart()
    quarantine = tuple(Quarantined(c.case, c.owner, c.until) for c in part.quarantine or ())
    return SuiteSpec(
        id=part.id,
        title=part.title or part.id,
        priority=priority,
        phase=SuitePhase(part.phase or "verify"),
        kind=SuiteKind(part.kind or "pytest"),
        run=part.run or "",
        cwd=folder,
        quarantine=quarantine,
        evidence=_evidence(part.evidence or EvidencePart(), targets),
        tolerance=_tolerance(part.tolerance or TolerancePart()),
        on_fail=part.on_fail or _on_fail(priority),
        probe=_probe(part),
        **given(
            # A path is made absolute without following links: a venv's python is a link.
            python=str(absolute(folder / part.python))
            if part.python and "/" in part.python
            else part.python,
            env=part.env,
            collect_min=part.collect_min,
            suite_timeout_s=timeout.suite,
            test_timeout_s=timeout.test,
            retries=part.retries,
            shards=part.shards,
            repeatable=part.repeatable,
            needs=tuple(part.needs or ()),
            protects=part.protects,
        ),
    )


def _on_fail(priority: Priority) -> Literal["stop", "continue"]:
    return "stop" if priority in _STOPPING else "continue"


def _evidence(part: EvidencePart, targets: tuple[str, ...]) -> EvidenceSpec:
    return EvidenceSpec(
        target=tuple(part.target) if part.target else targets,
        **given(
            require=Grade(part.require) if part.require else None,
            forbid=tuple(part.forbid or ()),
            control=part.control,
            receipts=part.receipts,
        ),
    )


def _tolerance(part: TolerancePart) -> Tolerance:
    return Tolerance(
        **given(failed=part.failed, broken=part.broken, skipped=part.skipped, flaky=part.flaky)
    )


def _probe(part: SuitePart) -> dict[str, object] | None:
    """The keys of the declarative kinds, durations in seconds."""
    keys = {"requests", "url", "headers", "send", "expect", "connections"}
    probe = part.model_dump(include=keys, by_alias=True, exclude_none=True)
    return probe or None
