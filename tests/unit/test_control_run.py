"""The control run within a suite: what it asks, what it finds, and where it must not happen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from fakes import FakeReceipts, FakeSuite, an_end, revision
from loop_rig import RUN_ID, a_case, a_journal, a_suite, written

from loopctl.evidence.control import STAND_IN
from loopctl.model.events import Event, Intent, NotChecked
from loopctl.model.evidence import (
    Case,
    CaseStatus,
    Contact,
    Grade,
    GradedCase,
    PhaseRecord,
    SuiteOutcome,
    TestPhase,
)
from loopctl.model.plan import EvidenceSpec, SuiteKind, SuiteSpec
from loopctl.model.references import Endpoint
from loopctl.ports.suite import Withhold
from loopctl.process import Stop
from loopctl.stages.suite_run import Earlier, Ran, RunFacts, SuiteRunner, UnderTest

CONTROLLED = a_suite(
    "p1", repeatable=True, evidence=EvidenceSpec(target=("chat",), control="always")
)
ONLY_NEW = replace(CONTROLLED, evidence=replace(CONTROLLED.evidence, control="changed"))


ERRORS, SUCCESSES = "p1/control-errors", "p1/control-successes"
SET_UP = PhaseRecord(TestPhase.SETUP, "passed", 0.01)


def again(
    name: str = "test_it", status: CaseStatus = CaseStatus.FAILED, target: str | None = None
) -> Case:
    """A case of the control run, which came to its call."""
    case = a_case(name, status, target)
    return replace(case, phases=(SET_UP, *case.phases))


def wrong(name: str = "test_it", status: CaseStatus = CaseStatus.FAILED) -> Case:
    """A case of a later part, which met the stand-in."""
    met = Contact("127.0.0.1", 1, "chat", sent=12, received=91, failed=STAND_IN)
    case = again(name, status)
    set_up, *others = case.phases
    return replace(case, phases=(set_up, *(replace(p, contacts=(met,)) for p in others)))


def with_child(case: Case) -> Case:
    return replace(case, phases=tuple(replace(p, children=("curl",)) for p in case.phases))


class Suite:
    """One suite and its control run, both scripted."""

    def __init__(
        self,
        folder: Path,
        spec: SuiteSpec,
        first: Sequence[Case],
        control: Sequence[Case],
        errors: Sequence[Case] | None = None,
        successes: Sequence[Case] = (),
    ) -> None:
        """`errors` is its second part: by default whatever is run in it fails once more."""
        self.spec, self.adapter = spec, FakeSuite()
        errors = (
            [wrong(case.id.rpartition("::")[2]) for case in first] if errors is None else errors
        )
        cases = {"p1": first, "p1/control": control, ERRORS: errors, SUCCESSES: successes}
        self.adapter.cases = cases
        self.events: list[Event] = []
        self.journal = a_journal(folder, suites=[spec], subscribers=[self.events.append])

    def run(
        self,
        *,
        protected: bool = False,
        borne_out: Mapping[str, frozenset[str]] = {},
        url: str = "http://own",
    ) -> Ran:
        facts = RunFacts(
            RUN_ID,
            "prod" if protected else "local",
            loopback=True,
            health_paths={},
            gated={},
            protected=protected,
            earlier=Earlier(borne_out=borne_out),
        )
        runner = SuiteRunner({SuiteKind.PYTEST: self.adapter}, FakeReceipts(), facts)
        where = UnderTest({"chat": Endpoint.of(url)}, {"chat": revision("chat", "chat-new")})
        return runner.run(self.spec, where, self.journal, Stop(10.0))

    def case(self, name: str) -> GradedCase:
        cases = self.journal.fold.cycle().suites["p1"].cases
        return next(case for case in cases if case.id.endswith(f"::{name}"))

    def asked_of(self, name: str) -> tuple[str, ...] | None:
        context = self.adapter.contexts.get(name)
        return context.only if context else None

    @property
    def asked(self) -> tuple[str, ...] | None:
        return self.asked_of("p1/control")


def test_a_pass_that_passes_without_its_target_is_contradicted(tmp_path: Path) -> None:
    passes = [a_case("test_vacuous"), a_case("test_honest")]
    control = [again("test_vacuous", CaseStatus.PASSED), again("test_honest")]
    suite = Suite(tmp_path, CONTROLLED, passes, control)
    judged = suite.run().judgement
    vacuous, honest = suite.case("test_vacuous"), suite.case("test_honest")
    assert vacuous.grade is Grade.CONTRADICTED
    assert vacuous.reason == "it still passes while chat is refused (control run)"
    assert (honest.grade, str(honest.control)) == (
        Grade.OBSERVED,
        "it fails while chat is refused, and while it answers wrongly (control run)",
    )
    assert judged.outcome is SuiteOutcome.UNPROVEN
    assert "test_vacuous" in judged.reasons[0]
    assert judged.counts == {CaseStatus.PASSED: 2}, "the control run's own cases count nowhere"


def test_each_part_has_a_place_and_traces_of_its_own(tmp_path: Path) -> None:
    passes = [wrong("test_it", CaseStatus.PASSED)]
    suite = Suite(tmp_path, CONTROLLED, [a_case()], [again()], passes, passes)
    suite.run()
    names = ("p1", "p1/control", ERRORS, SUCCESSES)
    first, *later = parts = [suite.adapter.contexts[name] for name in names]
    assert [part.withhold for part in parts] == list(Withhold)
    folders = ["control", "control-errors", "control-successes"]
    assert [part.folder for part in later] == [first.folder / name for name in folders]
    assert len({part.trace_seed for part in parts}) == 4
    parents = {part.variables["TRACEPARENT"] for part in parts}
    assert parents == {f"00-{p.trace_seed}-{p.trace_seed[:16]}-01" for p in parts}
    keys = [p.key for p in written(suite.events, Intent) if isinstance(p, Intent)]
    assert keys == ["1/p1", *(f"1/p1/{name}" for name in folders)]


def test_what_passes_whatever_its_target_answers_is_contradicted(tmp_path: Path) -> None:
    first = [a_case("test_vacuous"), replace(a_case("test_honest"), code="c1")]
    refused = [again("test_vacuous"), again("test_honest")]
    errors = [wrong("test_vacuous", CaseStatus.PASSED), wrong("test_honest")]
    suite = Suite(tmp_path, CONTROLLED, first, refused, errors, errors[:1])
    judged = suite.run().judgement
    assert suite.asked_of(SUCCESSES) == ("tests/test_chat.py::test_vacuous",)
    vacuous, honest = suite.case("test_vacuous"), suite.case("test_honest")
    assert vacuous.grade is Grade.CONTRADICTED
    assert vacuous.reason == "it still passes while chat answers wrongly (control run)"
    assert (honest.grade, honest.code) == (Grade.OBSERVED, "c1")
    assert judged.outcome is SuiteOutcome.UNPROVEN


def test_a_test_that_expects_no_success_is_not_accused(tmp_path: Path) -> None:
    first = [replace(a_case("test_is_refused"), code="c1")]
    errors = [wrong("test_is_refused", CaseStatus.PASSED)]
    successes = [wrong("test_is_refused")]
    suite = Suite(tmp_path, CONTROLLED, first, [again("test_is_refused")], errors, successes)
    assert suite.run().judgement.outcome is SuiteOutcome.PASSED
    case = suite.case("test_is_refused")
    assert (case.grade, case.code) == (Grade.OBSERVED, "c1")
    assert str(case.control) == (
        "it fails while chat is refused, and while it answers wrongly (control run)"
    )


def test_only_what_the_first_part_has_borne_out_is_run_in_the_second(tmp_path: Path) -> None:
    names = ("test_vacuous", "test_honest", "test_lost")
    refused = [
        again("test_vacuous", CaseStatus.PASSED),
        again("test_honest"),
        again("test_lost", CaseStatus.LOST),
    ]
    suite = Suite(tmp_path, CONTROLLED, [a_case(name) for name in names], refused)
    suite.run()
    assert suite.asked_of(ERRORS) == ("tests/test_chat.py::test_honest",)


def test_an_encrypted_target_has_no_second_part(tmp_path: Path) -> None:
    suite = Suite(tmp_path, CONTROLLED, [replace(a_case(), code="c1")], [again()])
    suite.run(url="https://own")
    case = suite.case("test_it")
    assert suite.asked_of(ERRORS) is None
    assert str(case.control) == "it fails while chat is refused (control run)"
    assert case.code == "c1"


def test_code_whose_second_part_was_not_had_is_not_remembered(tmp_path: Path) -> None:
    suite = Suite(tmp_path, CONTROLLED, [replace(a_case(), code="c1")], [again()], [])
    suite.adapter.ends[ERRORS] = replace(an_end(collected=0), stopped="suite timeout")
    suite.run()
    case = suite.case("test_it")
    assert case.code is None
    assert case.grade is Grade.OBSERVED
    assert str(case.control) == (
        "control unavailable: it fails while chat is refused, but it was not run again"
        " while it answers wrongly (suite timeout)"
    )


def test_what_cannot_be_refused_is_not_accused_and_not_run_again(tmp_path: Path) -> None:
    suite = Suite(tmp_path, CONTROLLED, [with_child(a_case("test_curl"))], [])
    suite.run()
    case = suite.case("test_curl")
    assert suite.asked is None
    assert case.grade is Grade.OBSERVED
    assert str(case.control).startswith("control unavailable: a child process ran (curl)")


def test_only_passes_that_may_count_are_run_again(tmp_path: Path) -> None:
    first = [
        a_case("test_failed", CaseStatus.FAILED),
        a_case("test_skipped", CaseStatus.SKIPPED),
        a_case("test_good"),
    ]
    suite = Suite(tmp_path, CONTROLLED, first, [again("test_good")])
    suite.run()
    assert suite.asked == ("tests/test_chat.py::test_good",)


def test_a_case_whose_code_was_borne_out_before_is_not_run_again(tmp_path: Path) -> None:
    first = [replace(a_case("test_old"), code="c1"), replace(a_case("test_new"), code="c2")]
    suite = Suite(tmp_path, ONLY_NEW, first, [again("test_new")])
    suite.run(borne_out={"p1": frozenset({"c1"}), "other": frozenset({"c2"})})
    assert suite.asked == ("tests/test_chat.py::test_new",)
    assert str(suite.case("test_old").control) == "unchanged since a control run has borne it out"
    assert [suite.case(name).code for name in ("test_old", "test_new")] == ["c1", "c2"]


def test_always_means_every_time(tmp_path: Path) -> None:
    first = [replace(a_case(), code="c1")]
    suite = Suite(tmp_path, CONTROLLED, first, [again()])
    suite.run(borne_out={"p1": frozenset({"c1"})})
    assert suite.asked is not None


def test_nothing_is_run_twice_in_a_protected_environment(tmp_path: Path) -> None:
    suite = Suite(tmp_path, CONTROLLED, [a_case()], [])
    judged = suite.run(protected=True).judgement
    assert suite.asked is None
    assert judged.outcome is SuiteOutcome.PASSED
    told = [p for p in written(suite.events, NotChecked) if isinstance(p, NotChecked)]
    assert [(t.what, t.why) for t in told] == [
        ("control run of p1", "prod is protected: no test is run twice there")
    ]


@pytest.mark.parametrize("how", ["stopped", "usage_error"])
def test_a_control_run_that_could_not_be_made_accuses_nobody(tmp_path: Path, how: str) -> None:
    suite = Suite(tmp_path, CONTROLLED, [a_case()], [])
    suite.adapter.ends["p1/control"] = replace(an_end(collected=0), **{how: "no time"})  # type: ignore[arg-type]
    judged = suite.run().judgement
    case = suite.case("test_it")
    assert judged.outcome is SuiteOutcome.PASSED
    assert str(case.control) == "control unavailable: it was not run again (no time)"
    assert case.code is None, "nothing that a later run could rely on"


def test_a_suite_that_was_stopped_has_no_control_run(tmp_path: Path) -> None:
    suite = Suite(tmp_path, CONTROLLED, [a_case()], [])
    suite.adapter.ends["p1"] = replace(an_end(collected=1), stopped="suite timeout")
    suite.run()
    assert suite.asked is None
