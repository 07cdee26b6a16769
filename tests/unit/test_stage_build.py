"""BUILD makes images from nothing but the source, and proves what is in them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
from fakes import FakeBuilder, FakePublisher, FakeReceipts, FakeSources, FakeSuite
from loop_rig import RUN_ID, a_case, a_journal, a_service, a_suite, written

from loopctl.errors import Stopped
from loopctl.model.artifact import ContentProof, Elsewhere
from loopctl.model.events import (
    BuildStep,
    ContentProven,
    Event,
    ImageBuilt,
    ImagePublished,
    Intent,
    NotChecked,
    Note,
    Result,
    SourceRead,
    SuiteCollected,
)
from loopctl.model.evidence import CaseStatus, Collection
from loopctl.model.finding import FaultKind, Quote
from loopctl.model.outcome import Outcome
from loopctl.model.plan import BuildSpec, ServiceSpec, SuiteKind, SuiteSpec
from loopctl.model.state import OutcomeKind, State
from loopctl.ports.builder import (
    BuilderGoneError,
    BuildError,
    BuildStorageError,
    NotAsNamedError,
    Noticed,
    Progress,
)
from loopctl.ports.publisher import PublishError
from loopctl.ports.source import SourceError
from loopctl.ports.suite import SuiteError
from loopctl.process import Stop
from loopctl.stages.build import Build, ToBuild
from loopctl.stages.suite_collection import SuiteCollection
from loopctl.stages.suite_run import RunFacts, SuiteRunner
from loopctl.triage.diagnose import diagnose
from loopctl.triage.loading import load_catalogue
from loopctl.triage.symptoms import Symptoms

TREE = "sha256:tree-of-chat"


class Yard:
    """One service and one suite to make ready."""

    def __init__(self, folder: Path, *services: ServiceSpec, suite: SuiteSpec | None = None):
        self.services = services or (a_service(),)
        self.suites = (suite or a_suite(),)
        self.builder, self.sources, self.suite = FakeBuilder(), FakeSources(), FakeSuite()
        self.publisher: FakePublisher | None = None
        self.suite.cases = {spec.id: [a_case()] for spec in self.suites}
        self.events: list[Event] = []
        self.journal = a_journal(
            folder, self.services, self.suites, subscribers=[self.events.append]
        )

    def build(self, stop: Stop | None = None) -> Outcome:
        facts = RunFacts(RUN_ID, "local", loopback=True, health_paths={}, gated={})
        runner = SuiteRunner({SuiteKind.PYTEST: self.suite}, FakeReceipts(), facts)
        collection = SuiteCollection(self.suites, 2, runner)
        todo = ToBuild(self.services, 2)
        stage = Build(todo, self.sources, self.builder, self.publisher, collection)
        return stage(self.journal.fold.cycle(), self.journal, stop or Stop(10.0))


def test_source_image_and_proof_are_written_down(tmp_path: Path) -> None:
    yard = Yard(tmp_path)
    assert yard.build() == Outcome(OutcomeKind.OK, "built chat")
    record = yard.journal.fold.cycle().services["chat"]
    assert record.source == SourceRead(TREE, "c0ffee", dirty=False, files=1)
    assert record.artifact is not None
    assert record.proof == ContentProof("chat", TREE, TREE)
    assert record.build_log == "build/1/chat.log"
    assert yard.journal.fold.cycle().suites["p1"].collected == 1


def test_a_build_stands_between_its_intent_and_its_result(tmp_path: Path) -> None:
    yard = Yard(tmp_path)
    yard.build()
    kinds = [type(e.payload) for e in yard.events if e.service == "chat"]
    assert kinds == [SourceRead, Intent, BuildStep, Result, ImageBuilt, ContentProven]


def test_a_step_that_fails_is_the_services_fault_with_its_end_quoted(tmp_path: Path) -> None:
    yard = Yard(tmp_path)
    quote = Quote("build", "build/1/chat.log", "ERROR: no such package")
    yard.builder.fails["build"] = BuildError("pip failed", step="pip", step_exit=1, quotes=(quote,))
    outcome = yard.build()
    assert outcome.kind is OutcomeKind.FAILED
    (fault,) = outcome.faults
    assert (fault.kind, fault.value, fault.quotes) == (FaultKind.BUILD_STEP, "1", (quote,))
    assert not written(yard.events, ImageBuilt)


def test_a_source_that_cannot_be_read_is_not_the_services_fault(tmp_path: Path) -> None:
    yard = Yard(tmp_path)
    yard.sources.fails["read"] = SourceError("git is broken", hint="git fsck")
    outcome = yard.build()
    assert (outcome.kind, outcome.faults[0].hint) == (OutcomeKind.ERRORED, "git fsck")


def test_a_full_disk_is_the_machines_fault_and_no_failed_build_step(tmp_path: Path) -> None:
    yard = Yard(tmp_path)
    error = BuildStorageError("cannot write images: No space left on device", hint="free some disk")
    yard.builder.fails["build"] = error
    outcome = yard.build()
    assert outcome.kind is OutcomeKind.ERRORED
    (fault,) = outcome.faults
    assert (fault.kind, fault.service, fault.hint) == (
        FaultKind.STORAGE,
        "chat",
        "free some disk",
    )
    assert "No space left" in fault.summary
    findings = diagnose(Symptoms(State.BUILD, outcome.faults), load_catalogue()).findings
    assert [finding.signature for finding in findings] == [None]


@pytest.mark.parametrize(
    "proof",
    [
        ContentProof("chat", TREE, "sha256:x", stale=("main.py",)),
        ContentProof("chat", TREE, "sha256:x", missing=("main.py",)),
        ContentProof("chat", TREE, "sha256:x", mode_differs=("main.py",)),
        ContentProof(
            "chat", TREE, "sha256:x", undeclared=("main.py: altered by step 3 (RUN sed)",)
        ),
    ],
)
def test_an_image_that_is_not_the_sources_is_not_deployed(
    tmp_path: Path, proof: ContentProof
) -> None:
    yard = Yard(tmp_path)
    yard.builder.proofs["chat"] = proof
    outcome = yard.build()
    assert outcome.kind is OutcomeKind.UNPROVEN
    assert outcome.faults[0].kind is FaultKind.PROVENANCE
    assert "main.py" in outcome.detail


def test_an_image_that_holds_no_file_of_the_source_shows_nothing(tmp_path: Path) -> None:
    yard = Yard(tmp_path)
    yard.builder.proofs["chat"] = ContentProof("chat", TREE, TREE, compared=0)
    outcome = yard.build()
    assert outcome.kind is OutcomeKind.UNPROVEN
    assert outcome.detail == "chat: no file of the source is to be found in the image"


def test_an_image_on_another_base_than_the_engine_has_is_not_the_sources(tmp_path: Path) -> None:
    yard = Yard(tmp_path)
    other = "it stands on another base:1 than the engine has now (sha256:new)"
    yard.builder.proofs["chat"] = ContentProof("chat", TREE, TREE, other_base=other)
    outcome = yard.build()
    assert (outcome.kind, outcome.detail) == (OutcomeKind.UNPROVEN, f"chat: {other}")


def test_a_step_out_of_the_cache_is_a_broken_chain_though_the_content_is_right(
    tmp_path: Path,
) -> None:
    yard = Yard(tmp_path)
    yard.builder.told = [Progress("COPY . .", 0.1), Progress("RUN make", 0.0, cached=True)]
    outcome = yard.build()
    assert outcome.kind is OutcomeKind.UNPROVEN
    (fault,) = outcome.faults
    assert fault.kind is FaultKind.PROVENANCE
    assert fault.summary == "chat: built without cache, and yet from the cache: RUN make"
    (finding,) = diagnose(Symptoms(State.BUILD, outcome.faults), load_catalogue()).findings
    assert finding.signature == "deploy.stale-image"


@pytest.mark.parametrize(
    ("wanted", "labelled", "kind"),
    [
        ("label", TREE, OutcomeKind.OK),
        ("label", "sha256:other", OutcomeKind.UNPROVEN),
        ("label", None, OutcomeKind.UNPROVEN),
        ("none", None, OutcomeKind.OK),
    ],
)
def test_provenance_by_label_wants_the_label_and_none_wants_nothing(
    tmp_path: Path, wanted: Literal["label", "none"], labelled: str | None, kind: OutcomeKind
) -> None:
    yard = Yard(tmp_path, replace(a_service(), provenance=wanted))
    proof = ContentProof("chat", TREE, "sha256:x", stale=("main.py",), labelled=labelled)
    yard.builder.proofs["chat"] = proof
    assert yard.build().kind is kind


def test_what_a_builder_notices_stands_in_the_worklog(tmp_path: Path) -> None:
    yard = Yard(tmp_path)
    yard.builder.told = [Noticed("the base image b exists in this engine only")]
    yard.build()
    assert written(yard.events, Note) == [Note("chat: the base image b exists in this engine only")]


def test_what_is_deployed_is_what_the_registry_calls_the_proven_image(tmp_path: Path) -> None:
    yard = Yard(tmp_path)
    yard.publisher = FakePublisher()
    assert yard.build().kind is OutcomeKind.OK
    artifact = yard.journal.fold.cycle().services["chat"].artifact
    assert artifact is not None
    assert artifact.digest == "sha256:manifest-of-chat"
    assert artifact.image_id == "sha256:image-of-chat"
    (published,) = [e.payload for e in yard.events if isinstance(e.payload, ImagePublished)]
    assert published.artifact == artifact


def test_an_image_that_is_not_the_sources_reaches_no_registry(tmp_path: Path) -> None:
    yard = Yard(tmp_path)
    yard.publisher = FakePublisher()
    yard.builder.proofs["chat"] = ContentProof("chat", TREE, "sha256:x", stale=("main.py",))
    assert yard.build().kind is OutcomeKind.UNPROVEN
    assert yard.publisher.calls == []


@pytest.mark.parametrize("gone", ["build", "publish"])
def test_an_engine_or_a_registry_that_fails_is_not_the_sources_fault(
    tmp_path: Path, gone: str
) -> None:
    yard = Yard(tmp_path)
    yard.publisher = FakePublisher()
    yard.builder.fails["build"] = BuilderGoneError("no Docker engine answers", hint="start it")
    if gone == "publish":
        yard.builder.fails.clear()
        yard.publisher.fails["publish"] = PublishError("no Docker engine answers", hint="start it")
    outcome = yard.build()
    assert outcome.kind is OutcomeKind.ERRORED
    (fault,) = outcome.faults
    assert (fault.kind, fault.hint) == (FaultKind.CONTROL_PLANE, "start it")
    (finding,) = diagnose(Symptoms(State.BUILD, outcome.faults), load_catalogue()).findings
    assert finding.signature == "platform.engine-gone"


IMAGE = f"registry.test/apps/chat@sha256:{'ab' * 32}"


def test_an_image_that_was_built_elsewhere_is_taken_as_it_is(tmp_path: Path) -> None:
    yard = Yard(tmp_path, a_service(image=IMAGE, source=None), a_service("worker"))
    yard.publisher = FakePublisher()
    assert yard.build() == Outcome(OutcomeKind.OK, "built worker; took chat as built elsewhere")
    assert yard.publisher.calls == ["publish sha256:image-of-worker"]
    record = yard.journal.fold.cycle().services["chat"]
    assert record.source is None
    assert record.artifact is not None
    assert (record.artifact.location, record.artifact.elsewhere) == (IMAGE, True)
    assert record.artifact.source_tree == "", "it is the same image while its digest is the same"


def test_beside_an_image_the_source_is_read_and_written_down(tmp_path: Path) -> None:
    yard = Yard(tmp_path, a_service(image=IMAGE))
    assert yard.build() == Outcome(OutcomeKind.OK, "took chat as built elsewhere")
    record = yard.journal.fold.cycle().services["chat"]
    assert record.source is not None
    assert record.source.tree == TREE


def test_an_image_that_is_not_what_its_digest_names_is_a_broken_chain(tmp_path: Path) -> None:
    yard = Yard(tmp_path, a_service(image=IMAGE, source=None))
    yard.builder.fails["build"] = NotAsNamedError("the manifest is not sha256:ab", hint="look")
    outcome = yard.build()
    assert outcome.kind is OutcomeKind.UNPROVEN
    (fault,) = outcome.faults
    assert (fault.kind, fault.value, fault.hint) == (FaultKind.NOT_AS_NAMED, IMAGE, "look")
    (finding,) = diagnose(Symptoms(State.BUILD, outcome.faults), load_catalogue()).findings
    assert finding.signature == "deploy.not-as-named"


@pytest.mark.parametrize(
    ("provenance", "known", "kind"),
    [
        ("content", Elsewhere("sha256:ab", "content"), OutcomeKind.OK),
        ("content", Elsewhere("sha256:ab", "nothing"), OutcomeKind.UNPROVEN),
        ("label", Elsewhere("sha256:ab", "label", "beef", "beef"), OutcomeKind.OK),
        ("label", Elsewhere("sha256:ab", "label", "dead", "beef"), OutcomeKind.UNPROVEN),
        ("label", Elsewhere("sha256:ab", "label", None, "beef"), OutcomeKind.UNPROVEN),
        ("label", Elsewhere("sha256:ab", "label", "beef", None), OutcomeKind.UNPROVEN),
        ("label", Elsewhere("sha256:ab", "label", None, None), OutcomeKind.UNPROVEN),
        ("none", Elsewhere("sha256:ab", "nothing"), OutcomeKind.OK),
    ],
)
def test_what_each_provenance_wants_of_an_image_built_elsewhere(
    tmp_path: Path,
    provenance: Literal["content", "label", "none"],
    known: Elsewhere,
    kind: OutcomeKind,
) -> None:
    yard = Yard(tmp_path, a_service(image=IMAGE, source=None, provenance=provenance))
    yard.builder.proofs["chat"] = ContentProof("chat", "", "", elsewhere=known)
    assert yard.build().kind is kind


def test_what_no_comparison_can_show_is_listed_as_not_checked(tmp_path: Path) -> None:
    yard = Yard(tmp_path)
    yard.builder.proofs["chat"] = ContentProof("chat", TREE, TREE, not_covered=("base image",))
    assert yard.build().kind is OutcomeKind.OK
    assert written(yard.events, NotChecked) == [NotChecked("content of chat", "base image")]


def test_a_build_that_takes_too_long_is_told_as_that(tmp_path: Path) -> None:
    yard = Yard(tmp_path, a_service(build=BuildSpec("local", timeout_s=0.0)))
    outcome = yard.build()
    assert outcome.kind is OutcomeKind.FAILED
    assert "not finished within 0 s" in outcome.detail
    assert outcome.faults[0].hint


def test_a_run_that_is_stopped_is_no_slow_build(tmp_path: Path) -> None:
    yard = Yard(tmp_path)
    stop = Stop()
    yard.builder.hooks["build"] = lambda: stop.stop("SIGINT")
    with pytest.raises(Stopped, match="SIGINT"):
        yard.build(stop)


def test_a_suite_with_nothing_to_run_is_seen_before_anything_is_deployed(tmp_path: Path) -> None:
    yard = Yard(tmp_path)
    yard.suite.collections["p1"] = Collection((), deselected=7)
    outcome = yard.build()
    assert outcome.kind is OutcomeKind.UNPROVEN
    (fault,) = outcome.faults
    assert (fault.kind, fault.value) == (FaultKind.NOTHING_COLLECTED, "0")
    assert "7 were deselected" in fault.summary
    assert fault.hint == "cd /project && python -m pytest --collect-only -q tests"


def test_fewer_tests_than_expected_are_seen_too(tmp_path: Path) -> None:
    yard = Yard(tmp_path, suite=a_suite(collect_min=5))
    assert "only 1 tests were collected; 5 are expected" in yard.build().detail


def test_a_test_that_cannot_be_imported_yet_is_left_to_the_tests_themselves(tmp_path: Path) -> None:
    yard = Yard(tmp_path)
    errors = (a_case("test_x", CaseStatus.BROKEN),)
    yard.suite.collections["p1"] = Collection((), errors=errors)
    assert yard.build().kind is OutcomeKind.OK
    assert written(yard.events, SuiteCollected) == [SuiteCollected(0, 0, 1)]


def test_a_kind_that_cannot_collect_is_not_held_to_it(tmp_path: Path) -> None:
    yard = Yard(tmp_path)
    yard.suite.collections["p1"] = None
    assert yard.build().kind is OutcomeKind.OK


def test_a_suite_that_cannot_be_collected_is_unproven(tmp_path: Path) -> None:
    yard = Yard(tmp_path)
    yard.suite.fails["collect"] = SuiteError("the interpreter crashed")
    outcome = yard.build()
    assert outcome.kind is OutcomeKind.UNPROVEN
    assert "p1: the interpreter crashed" in outcome.detail


def test_a_failed_build_goes_before_a_suite_that_is_unproven(tmp_path: Path) -> None:
    yard = Yard(tmp_path)
    yard.builder.fails["build"] = BuildError("pip failed")
    yard.suite.collections["p1"] = Collection(())
    outcome = yard.build()
    assert outcome.kind is OutcomeKind.FAILED
    assert len(outcome.faults) == 2
