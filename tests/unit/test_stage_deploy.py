"""DEPLOY puts a revision beside what serves, having noted first who that is."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes import BEGAN, FakePlatform, serving
from loop_rig import COMMANDS, RUN_ID, a_journal, a_service, held, written

from loopctl.model.artifact import Artifact, ArtifactKind
from loopctl.model.events import (
    Event,
    HealthJudged,
    ImageBuilt,
    Intent,
    Note,
    RemedyDecided,
    Result,
    RevisionDeployed,
    Routed,
    ServiceObserved,
)
from loopctl.model.finding import Fault, FaultKind, Quote
from loopctl.model.outcome import Outcome
from loopctl.model.plan import RunSpec, ServiceSpec
from loopctl.model.state import OutcomeKind
from loopctl.ports.leases import Held, LeaseLost
from loopctl.ports.platform import Dead, PlatformError
from loopctl.process import Stop
from loopctl.stages.deploy import Deploy, ToDeploy


class Dock:
    """Images that are ready to be deployed in waves."""

    def __init__(
        self,
        folder: Path,
        *waves: tuple[ServiceSpec, ...],
        strategy: str = "candidate",
        existing: bool = True,
    ) -> None:
        self.waves = waves or ((a_service(),),)
        self.services = tuple(spec for wave in self.waves for spec in wave)
        self.strategy = strategy
        self.platform = FakePlatform(*(s.name for s in self.services), existing=existing)
        self.events: list[Event] = []
        self.journal = a_journal(folder, self.services, subscribers=[self.events.append])
        for spec in self.services:
            image = Artifact(spec.name, ArtifactKind.FOLDER, "sha256:x", "images/x", "t", BEGAN)
            self.journal.append(ImageBuilt(image, 0.1, "log"), service=spec.name)

    def deploy(self, wave: int = 0) -> Outcome:
        self.journal.wave = wave
        todo = ToDeploy(
            RUN_ID,
            self.services,
            self.waves,
            {"payments": "http://pay.example/"},
            self.strategy,  # type: ignore[arg-type]
            COMMANDS,
        )
        stage = Deploy(todo, self.platform, held)
        return stage(self.journal.fold.cycle(), self.journal, Stop(5.0))


def test_a_candidate_takes_no_traffic(tmp_path: Path) -> None:
    dock = Dock(tmp_path)
    assert dock.deploy().kind is OutcomeKind.OK
    assert dock.platform.effects("deploy") == ["deploy chat none"]
    assert dock.platform.traffic("chat") == {"chat-old": 100}
    assert not written(dock.events, Routed)


def test_who_serves_is_noted_for_every_service_before_the_first_write(tmp_path: Path) -> None:
    dock = Dock(tmp_path, (a_service("chat"),), (a_service("worker", needs=("chat",)),))
    dock.deploy()
    order = [type(e.payload) for e in dock.events if not isinstance(e.payload, ImageBuilt)][2:]
    before = [ServiceObserved, ServiceObserved]
    assert order == [*before, Intent, Result, RevisionDeployed, ServiceObserved]


def test_the_second_wave_does_not_note_anew_who_served(tmp_path: Path) -> None:
    dock = Dock(tmp_path, (a_service("chat"),), (a_service("worker", needs=("chat",)),))
    dock.deploy(wave=0)
    dock.platform.move("chat", {"chat-new": 100})
    dock.deploy(wave=1)
    before = dock.journal.fold.cycle().services["chat"].before
    assert before is not None
    assert before.traffic == {"chat-old": 100}


def test_a_deployment_is_named_so_that_it_is_found_again(tmp_path: Path) -> None:
    dock = Dock(tmp_path)
    dock.deploy()
    (intent,) = written(dock.events, Intent)
    assert isinstance(intent, Intent)
    assert intent.key == f"{RUN_ID}/1/chat/sha256:x"


def test_the_first_revision_of_a_service_takes_all_traffic_and_is_marked(tmp_path: Path) -> None:
    dock = Dock(tmp_path, existing=False)
    dock.deploy()
    record = dock.journal.fold.cycle().services["chat"]
    assert record.first
    assert record.routed is not None
    assert record.routed.traffic == {"chat-new": 100}


def test_a_service_that_nobody_was_met_by_is_a_first_too(tmp_path: Path) -> None:
    dock = Dock(tmp_path)
    dock.platform.move("chat", {"chat-old": 0})
    dock.deploy()
    assert dock.platform.effects("deploy") == ["deploy chat all"]


def test_direct_deployment_takes_all_traffic_and_is_no_first(tmp_path: Path) -> None:
    dock = Dock(tmp_path, strategy="direct")
    dock.deploy()
    assert dock.platform.traffic("chat") == {"chat-new": 100}
    assert not dock.journal.fold.cycle().services["chat"].first


def test_what_the_platform_answers_is_the_fault(tmp_path: Path) -> None:
    dock = Dock(tmp_path)
    fault = Fault(FaultKind.CONTROL_PLANE, "quota exceeded", "chat")
    dock.platform.fails["deploy"] = PlatformError("refused", fault=fault)
    outcome = dock.deploy()
    assert (outcome.kind, outcome.faults) == (OutcomeKind.ERRORED, (fault,))
    assert not written(dock.events, RevisionDeployed)


def test_after_one_failed_the_next_is_not_deployed(tmp_path: Path) -> None:
    dock = Dock(tmp_path, (a_service("chat"), a_service("worker")))
    dock.platform.fails["deploy chat"] = PlatformError("refused")
    dock.deploy()
    assert dock.platform.effects("deploy") == ["deploy chat none"]


def test_references_lead_to_the_candidates_beside_and_to_what_serves_of_others(
    tmp_path: Path,
) -> None:
    env = {
        "CHAT": "${services.chat.url}/api",
        "STOCK": "${services.stock.url}",
        "PAY": "${services.payments.ws_url}",
        "PLAIN": "x",
        "UNSET": None,
    }
    needs = ("chat", "stock", "payments")
    worker = a_service("worker", needs=needs, run=RunSpec(env=env))
    dock = Dock(tmp_path, (a_service("chat"),), (worker,))
    dock.platform.states["stock"] = serving("stock", {"stock-old": 100})
    dock.deploy(wave=0)
    own = HealthJudged(
        "chat-new",
        healthy=True,
        url="http://own.chat",
        ws_url="ws://own.chat",
        probes=1,
        duration_s=0.1,
    )
    dock.journal.append(own, service="chat")
    dock.deploy(wave=1)
    assert dock.platform.environments["worker"] == {
        "CHAT": "http://own.chat/api",
        "STOCK": "http://127.0.0.1/stock",
        "PAY": "ws://pay.example",
        "PLAIN": "x",
    }


def test_a_reference_to_what_has_no_address_is_told_with_what_to_do(tmp_path: Path) -> None:
    worker = a_service("worker", run=RunSpec(env={"GHOST": "${services.ghost.url}"}))
    dock = Dock(tmp_path, (worker,))
    dock.platform.states["ghost"] = None
    outcome = dock.deploy()
    assert outcome.kind is OutcomeKind.ERRORED
    assert outcome.faults[0].hint == "add ghost to the needs of worker"
    assert dock.platform.effects("deploy") == []


def test_nothing_is_deployed_behind_a_service_whose_serving_revision_is_dead(
    tmp_path: Path,
) -> None:
    dock = Dock(tmp_path, (a_service("worker", needs=("chat",)),))
    dock.platform.states["chat"] = serving("chat", {"chat-old": 100})
    last_words = (Quote("log", "chat/chat-old#7", "FATAL: giving up"),)
    fault = Fault(FaultKind.EXIT_CODE, "chat exited with 3", "chat", "3", last_words)
    dock.platform.statuses["chat-old"] = [Dead(fault)]

    outcome = dock.deploy()

    assert outcome.kind is OutcomeKind.ERRORED
    assert outcome.detail == "chat-old serves chat and is dead: chat exited with 3"
    assert outcome.faults[0].quotes == last_words
    down, run = "loopctl down golden-path --env local", "loopctl run golden-path --env local"
    assert outcome.faults[0].hint == f"let a new revision serve: {down} && {run}"
    assert "worker" not in dock.platform.environments


def test_without_the_lease_nothing_is_deployed(tmp_path: Path) -> None:
    dock = Dock(tmp_path)

    def lost() -> Held:
        raise LeaseLost("taken")

    todo = ToDeploy(RUN_ID, dock.services, dock.waves, {}, "candidate", COMMANDS)
    with pytest.raises(LeaseLost):
        Deploy(todo, dock.platform, lost)(dock.journal.fold.cycle(), dock.journal, Stop(5.0))
    assert dock.platform.effects("deploy") == []


def test_a_service_without_an_image_is_not_deployed(tmp_path: Path) -> None:
    dock = Dock(tmp_path)
    again = tmp_path / "again"
    again.mkdir()
    dock.journal = a_journal(again, dock.services)
    assert "has no image" in dock.deploy().detail


class UnheardError(PlatformError):
    """A write of which nobody heard what became."""

    @property
    def outcome_unknown(self) -> bool:
        return True


def test_a_rollout_whose_client_gave_up_is_waited_for_and_never_begun_twice(
    tmp_path: Path,
) -> None:
    dock = Dock(tmp_path)
    dock.platform.fails["deploy chat"] = UnheardError("timed out")
    dock.platform.unsure = 2
    assert dock.deploy().kind is OutcomeKind.OK
    assert dock.platform.effects("deploy") == ["deploy chat none"]
    (note,) = written(dock.events, Note)
    assert isinstance(note, Note)
    assert "failed while the rollout went on: it was waited for" in note.text


def test_a_deployment_that_never_came_about_has_failed(tmp_path: Path) -> None:
    dock = Dock(tmp_path)
    dock.platform.fails["refuse chat"] = UnheardError("timed out")
    assert dock.deploy().kind is OutcomeKind.ERRORED


def test_a_service_has_the_memory_that_a_remedy_of_this_run_gave_it(tmp_path: Path) -> None:
    dock = Dock(tmp_path)
    given = RemedyDecided("raise-memory", "auto", "", result="done", service="chat", memory=1 << 29)
    dock.journal.append(given, service="chat")
    dock.deploy()
    assert dock.platform.memory["chat"] == 1 << 29
