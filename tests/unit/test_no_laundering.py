"""No failure of this run is turned into a pass by running it again on the same image."""

from __future__ import annotations

from fakes import BEGAN
from loop_rig import a_service, a_suite, run_started

from loopctl.journal.fold import WorklogFold
from loopctl.model.artifact import Artifact, ArtifactKind
from loopctl.model.events import CasesGraded, Event, ImageBuilt, Payload
from loopctl.model.evidence import CaseStatus, GradedCase
from loopctl.model.plan import SuiteKind
from loopctl.stages.suite_run import nobody_met

SUITE = "p1"


class Rounds:
    """A run of several cycles, each on an image of its own choice."""

    def __init__(self) -> None:
        self.fold = WorklogFold()
        self._seq = 0
        self._cycle = 0
        self._tell(run_started([a_service()], [a_suite()]))

    def begin(self, image: str) -> Rounds:
        """A cycle on the image of that source; its digest is new each time it is built."""
        self._cycle += 1
        kind = next(iter(ArtifactKind))
        artifact = Artifact("chat", kind, f"sha256:{self._cycle}", "images/chat", image, BEGAN)
        self._tell(ImageBuilt(artifact, 0.1, "build/1/chat.log"), service="chat")
        return self

    def case(self, status: CaseStatus, message: str | None = None) -> Rounds:
        case = GradedCase("test_x", status, 0.1, BEGAN, message=message)
        self._tell(CasesGraded((case,)), suite=SUITE)
        return self

    def failed_earlier(self) -> str | None:
        return self.fold.failed_earlier(SUITE, "test_x")

    def _tell(
        self, payload: Payload, *, service: str | None = None, suite: str | None = None
    ) -> None:
        self._seq += 1
        self.fold.add(Event(self._seq, BEGAN, self._cycle, payload, None, service, suite))


def test_what_failed_on_the_same_image_is_remembered_with_its_first_words() -> None:
    rounds = Rounds().begin("one").case(CaseStatus.FAILED, "no answer")
    rounds.begin("one").case(CaseStatus.FLAKY, "passed, and failed earlier: no answer")
    assert rounds.begin("one").failed_earlier() == "no answer"


def test_another_image_has_a_clean_slate_and_the_first_keeps_its_own() -> None:
    rounds = Rounds().begin("one").case(CaseStatus.FAILED, "no answer").begin("two")
    assert rounds.failed_earlier() is None
    rounds.case(CaseStatus.FAILED, "no word")
    assert rounds.begin("one").failed_earlier() == "no answer"


def test_a_case_that_a_stopped_suite_lost_has_not_failed() -> None:
    assert Rounds().begin("one").case(CaseStatus.LOST).begin("one").failed_earlier() is None


def case(status: CaseStatus, *, met: bool) -> GradedCase:
    return GradedCase("test_x", status, 0.1, BEGAN, met_target=met)


def test_only_cases_that_came_to_their_end_tell_that_nobody_was_met() -> None:
    pytest_suite = a_suite("p1")
    silent = [case(status, met=False) for status in (CaseStatus.TIMEOUT, CaseStatus.LOST)]
    refused = case(CaseStatus.FAILED, met=False)
    assert nobody_met(pytest_suite, [refused, *silent])
    assert not nobody_met(pytest_suite, silent)
    assert not nobody_met(pytest_suite, [case(CaseStatus.SKIPPED, met=False)])
    assert not nobody_met(pytest_suite, [refused, case(CaseStatus.TIMEOUT, met=True)])


def test_of_a_command_nobody_can_tell_whether_it_met_its_target() -> None:
    command = a_suite("p1", kind=SuiteKind.COMMAND)
    assert not nobody_met(command, [case(CaseStatus.FAILED, met=False)])
