"""BUILD: images from nothing but the source, content proven.

Suites are collected meanwhile, where that takes no longer: `suite_collection` says where else.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from loopctl.errors import Stopped
from loopctl.journal.store import Journal
from loopctl.journal.worklog import CycleRecord
from loopctl.model.artifact import ContentProof
from loopctl.model.events import (
    BuildStep,
    ContentProven,
    ImageBuilt,
    Intent,
    NotChecked,
    SourceRead,
)
from loopctl.model.finding import Fault, FaultKind, Quote
from loopctl.model.outcome import Outcome, worst
from loopctl.model.plan import ServiceSpec
from loopctl.model.state import OutcomeKind
from loopctl.ports.builder import Builder, BuildError, BuildStorageError
from loopctl.ports.source import SourceError, Sources
from loopctl.process import Stop, in_parallel
from loopctl.stages.suite_collection import SuiteCollection


@dataclass(frozen=True, slots=True)
class ToBuild:
    """The services to build; `jobs` builds run side by side."""

    services: tuple[ServiceSpec, ...]
    jobs: int


class Build:
    """Builds every service, and collects the suites in the same scope if that is given to it."""

    def __init__(
        self,
        todo: ToBuild,
        sources: Sources,
        builder: Builder,
        collection: SuiteCollection | None = None,
    ) -> None:
        self._todo = todo
        self._sources = sources
        self._builder = builder
        self._collection = collection

    def __call__(self, cycle: CycleRecord, journal: Journal, stop: Stop) -> Outcome:
        """OK; FAILED or ERRORED where a build did; UNPROVEN where content is not the source's."""
        tasks: dict[str, Callable[[Stop], Outcome]] = {}
        for service in self._todo.services:
            tasks[f"build {service.name}"] = self._build_task(service, journal)
        if self._collection is not None:
            tasks |= self._collection.tasks(journal)
        merged = worst(list(in_parallel(stop, self._todo.jobs + 1, tasks).values()))
        if merged.kind is OutcomeKind.OK:
            names = ", ".join(service.name for service in self._todo.services)
            return Outcome(OutcomeKind.OK, f"built {names or 'nothing'}")
        return merged

    def _build_task(self, spec: ServiceSpec, journal: Journal) -> Callable[[Stop], Outcome]:
        return lambda stop: self._build(spec, journal, stop)

    def _build(self, spec: ServiceSpec, journal: Journal, stop: Stop) -> Outcome:
        try:
            with stop.child(spec.build.timeout_s) as limited:
                proof = self._built(spec, journal, limited)
        except BuildStorageError as error:
            summary = f"{spec.name}: {error.what}"
            fault = Fault(FaultKind.STORAGE, summary, spec.name, hint=error.hint)
            return Outcome(OutcomeKind.ERRORED, summary, (fault,))
        except BuildError as error:
            return _failed(spec, error)
        except Stopped:
            # Either the whole run was stopped, or only the time for this build is up.
            stop.remaining(0)
            late = f"the build was not finished within {spec.build.timeout_s:g} s"
            return _failed(spec, BuildError(late, hint="raise build.timeout, if it needs longer"))
        except SourceError as error:
            fault = Fault(FaultKind.BUILD_STEP, error.what, spec.name, hint=error.hint)
            return Outcome(OutcomeKind.ERRORED, error.what, (fault,))
        if spec.provenance == "content" and not proof.holds:
            fault = provenance_fault(proof)
            return Outcome(OutcomeKind.UNPROVEN, fault.summary, (fault,))
        return Outcome(OutcomeKind.OK)

    def _built(self, spec: ServiceSpec, journal: Journal, stop: Stop) -> ContentProof:
        assert spec.source is not None
        source = self._sources.read(spec.source, stop)
        journal.append(
            SourceRead(source.digest, source.commit, source.dirty, len(source.files)),
            service=spec.name,
        )
        folder = journal.folder / "build" / str(journal.cycle)
        log = folder / f"{spec.name}.log"
        began = time.monotonic()
        with journal.effect(Intent("build", f"{journal.cycle}/{spec.name}"), service=spec.name):
            artifact = self._builder.build(
                spec,
                source,
                log,
                lambda p: _report(journal, spec, BuildStep(p.step, p.seconds, p.cached)),
                stop,
            )
        seconds = time.monotonic() - began
        path = str(log.relative_to(journal.folder))
        journal.append(ImageBuilt(artifact, seconds, path), service=spec.name)
        proof = self._builder.prove(artifact, source, spec, stop)
        journal.append(ContentProven(proof), service=spec.name)
        for what in proof.not_covered:
            journal.append(NotChecked(f"content of {spec.name}", what))
        return proof


def _report(journal: Journal, spec: ServiceSpec, step: BuildStep) -> None:
    journal.append(step, service=spec.name)


def _failed(spec: ServiceSpec, error: BuildError) -> Outcome:
    fault = Fault(
        FaultKind.BUILD_STEP,
        f"{spec.name}: {error.what}",
        spec.name,
        None if error.step_exit is None else str(error.step_exit),
        error.quotes,
        error.hint,
    )
    return Outcome(OutcomeKind.FAILED, fault.summary, (fault,))


def provenance_fault(proof: ContentProof) -> Fault:
    """The broken link between source and image, with the files that show it."""
    differences: Mapping[str, tuple[str, ...]] = {
        "stale": proof.stale,
        "missing": proof.missing,
        "of another mode": proof.mode_differs,
    }
    named = [
        f"{len(files)} {what} ({', '.join(files[:3])}{', …' if len(files) > 3 else ''})"
        for what, files in differences.items()
        if files
    ]
    summary = f"{proof.service}: the image is not the source's: {'; '.join(named)}"
    quotes = tuple(
        Quote("condition", f"image of {proof.service}", f"{path} is {what}")
        for what, files in differences.items()
        for path in files[:5]
    )
    return Fault(FaultKind.PROVENANCE, summary, proof.service, proof.image_tree, quotes)
