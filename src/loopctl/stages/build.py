"""BUILD: images from nothing but the source, content proven.

Suites are collected meanwhile, where that takes no longer: `suite_collection` says where else.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from loopctl.errors import PortError, Stopped
from loopctl.journal.store import Journal
from loopctl.journal.worklog import CycleRecord
from loopctl.model.artifact import Artifact, ContentProof, SourceTree
from loopctl.model.events import (
    BuildStep,
    ContentProven,
    ImageBuilt,
    ImagePublished,
    Intent,
    NotChecked,
    Note,
    SourceRead,
)
from loopctl.model.finding import Fault, FaultKind, Quote
from loopctl.model.outcome import Outcome, worst
from loopctl.model.plan import ServiceSpec
from loopctl.model.state import OutcomeKind
from loopctl.ports.builder import (
    Builder,
    BuilderGoneError,
    BuildError,
    BuildStorageError,
    NotAsNamedError,
    Noticed,
    Progress,
)
from loopctl.ports.publisher import Publisher, PublishError
from loopctl.ports.remedy import Branches, RemedyError
from loopctl.ports.source import SourceError, Sources
from loopctl.process import Stop, in_parallel
from loopctl.stages.content_chain import broken_link
from loopctl.stages.migrations import NO_FILES, digest_of
from loopctl.stages.suite_collection import SuiteCollection


@dataclass(frozen=True, slots=True)
class ToBuild:
    """The services to build; `jobs` builds run side by side. `root` is the project's."""

    services: tuple[ServiceSpec, ...]
    jobs: int
    root: Path = Path()


@dataclass(frozen=True, slots=True)
class Made:
    """An artifact beside the source that it was made from; None for one of which there is none."""

    artifact: Artifact
    source: SourceTree | None


class Build:
    """Builds every service, and collects the suites in the same scope if that is given to it."""

    def __init__(
        self,
        todo: ToBuild,
        sources: Sources,
        builder: Builder,
        publisher: Publisher | None = None,
        collection: SuiteCollection | None = None,
        branches: Branches | None = None,
    ) -> None:
        self._todo = todo
        self._sources = sources
        self._builder = builder
        self._publisher = publisher
        self._collection = collection
        self._branches = branches

    def __call__(self, cycle: CycleRecord, journal: Journal, stop: Stop) -> Outcome:
        """OK; FAILED or ERRORED where a build did; UNPROVEN where content is not the source's."""
        try:
            services = self._placed(journal, stop)
        except RemedyError as error:
            fault = Fault(FaultKind.CONTROL_PLANE, error.what, hint=error.hint)
            return Outcome(OutcomeKind.ERRORED, error.what, (fault,))
        tasks: dict[str, Callable[[Stop], Outcome]] = {}
        for service in services:
            tasks[f"build {service.name}"] = self._build_task(service, journal)
        if self._collection is not None:
            tasks |= self._collection.tasks(journal)
        merged = worst(list(in_parallel(stop, self._todo.jobs + 1, tasks).values()))
        if merged.kind is OutcomeKind.OK:
            return Outcome(OutcomeKind.OK, _named(self._todo.services))
        return merged

    def _placed(self, journal: Journal, stop: Stop) -> Sequence[ServiceSpec]:
        """The services with their sources on the branch that a remedy worked on, if one did."""
        taken = journal.fold.branch_tree
        if taken is None or self._branches is None:
            return self._todo.services
        tree, root = journal.folder / taken.folder, self._todo.root
        self._branches.again(tree, taken.branch, stop)
        return [
            replace(spec, source=tree / spec.source.relative_to(root))
            if spec.source is not None and spec.source.is_relative_to(root)
            else spec
            for spec in self._todo.services
        ]

    def _build_task(self, spec: ServiceSpec, journal: Journal) -> Callable[[Stop], Outcome]:
        return lambda stop: self._build(spec, journal, stop)

    def _build(self, spec: ServiceSpec, journal: Journal, stop: Stop) -> Outcome:
        try:
            with stop.child(spec.build.timeout_s) as limited:
                made, cached = self._made(spec, journal, limited)
                proof = self._proven(made, spec, journal, limited)
                fault = broken_link(spec, proof, cached)
                if fault is not None:
                    return Outcome(OutcomeKind.UNPROVEN, fault.summary, (fault,))
                self._publish(made.artifact, spec, journal, limited)
        except (BuilderGoneError, PublishError) as error:
            return _unavailable(spec, error)
        except NotAsNamedError as error:
            summary = f"{spec.name}: {error.what}"
            quote = Quote("condition", f"image of {spec.name}", error.what)
            fault = Fault(
                FaultKind.NOT_AS_NAMED, summary, spec.name, spec.image, (quote,), error.hint
            )
            return Outcome(OutcomeKind.UNPROVEN, summary, (fault,))
        except BuildStorageError as error:
            summary = f"{spec.name}: {error.what}"
            fault = Fault(FaultKind.STORAGE, summary, spec.name, hint=error.hint)
            return Outcome(OutcomeKind.ERRORED, summary, (fault,))
        except BuildError as error:
            if stop.reason == "deadline":
                # It failed for want of the run's time, not of its own.
                stop.remaining(0)
            return _failed(spec, error)
        except Stopped:
            # Either the whole run was stopped, or only the time for this build is up.
            stop.remaining(0)
            late = f"the build was not finished within {spec.build.timeout_s:g} s"
            return _failed(spec, BuildError(late, hint="raise build.timeout, if it needs longer"))
        except SourceError as error:
            fault = Fault(FaultKind.BUILD_STEP, error.what, spec.name, hint=error.hint)
            return Outcome(OutcomeKind.ERRORED, error.what, (fault,))
        return Outcome(OutcomeKind.OK)

    def _made(
        self, spec: ServiceSpec, journal: Journal, stop: Stop
    ) -> tuple[Made, tuple[str, ...]]:
        """What was built of what, and the steps that came from a cache."""
        source = self._source(spec, journal, stop)
        cached: list[str] = []

        def report(told: Progress | Noticed) -> None:
            match told:
                case Progress(step=step, seconds=seconds, cached=from_cache):
                    if from_cache:
                        cached.append(step)
                    journal.append(BuildStep(step, seconds, from_cache), service=spec.name)
                case Noticed(text=text):
                    journal.append(Note(f"{spec.name}: {text}"))

        folder = journal.folder / "build" / str(journal.cycle)
        log = folder / f"{spec.name}.log"
        began = time.monotonic()
        with journal.effect(Intent("build", f"{journal.cycle}/{spec.name}"), service=spec.name):
            artifact = self._builder.build(spec, source, log, report, stop)
        seconds = time.monotonic() - began
        path = str(log.relative_to(journal.folder))
        journal.append(ImageBuilt(artifact, seconds, path), service=spec.name)
        return Made(artifact, source), tuple(cached)

    def _source(self, spec: ServiceSpec, journal: Journal, stop: Stop) -> SourceTree | None:
        if spec.source is None:
            assert spec.image is not None
            return None
        source = self._sources.read(spec.source, stop)
        taken = journal.fold.branch_tree
        root = journal.folder / taken.folder if taken else self._todo.root
        schema = digest_of(spec, root, self._sources, stop)
        journal.append(
            SourceRead(source.digest, source.commit, source.dirty, len(source.files), schema),
            service=spec.name,
        )
        if spec.migrations and schema is None:
            journal.append(NotChecked(f"the schema of {spec.name}", NO_FILES))
        return source

    def _proven(self, made: Made, spec: ServiceSpec, journal: Journal, stop: Stop) -> ContentProof:
        proof = self._builder.prove(made.artifact, made.source, spec, stop)
        journal.append(ContentProven(proof), service=spec.name)
        for what in proof.not_covered:
            journal.append(NotChecked(f"content of {spec.name}", what))
        return proof

    def _publish(self, artifact: Artifact, spec: ServiceSpec, journal: Journal, stop: Stop) -> None:
        """Push what has been proven: nothing else ever reaches the registry.

        What was built elsewhere is in one already.
        """
        if self._publisher is None or artifact.elsewhere:
            return
        began = time.monotonic()
        intent = Intent("publish", f"{journal.cycle}/{spec.name}/{artifact.digest}")
        with journal.effect(intent, service=spec.name):
            published = self._publisher.publish(artifact, stop)
        journal.append(ImagePublished(published, time.monotonic() - began), service=spec.name)


def _named(services: Sequence[ServiceSpec]) -> str:
    """What was done, in words."""
    built = ", ".join(each.name for each in services if each.image is None)
    taken = ", ".join(each.name for each in services if each.image is not None)
    done = [f"built {built}"] if built else []
    done += [f"took {taken} as built elsewhere"] if taken else []
    return "; ".join(done) or "built nothing"


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


def _unavailable(spec: ServiceSpec, error: PortError) -> Outcome:
    """Engine or registry are at fault: neither the source nor its steps are."""
    summary = f"{spec.name}: {error.what}"
    fault = Fault(FaultKind.CONTROL_PLANE, summary, spec.name, hint=error.hint)
    return Outcome(OutcomeKind.ERRORED, summary, (fault,))
