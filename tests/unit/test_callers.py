"""As whom services are asked: in every stage that asks one, and in the suites."""

from __future__ import annotations

import stat
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from fakes import (
    EFFECTS,
    FakeBuilder,
    FakeIdentity,
    FakePlatform,
    FakeProber,
    FakeReceipts,
    FakeSuite,
    revision,
)
from loop_rig import RUN_ID, a_case, a_journal, a_service, a_suite
from test_front_end import FORBIDDEN

from loopctl.errors import Problem
from loopctl.journal.store import Journal
from loopctl.model.events import RevisionDeployed
from loopctl.model.finding import FaultKind
from loopctl.model.outcome import Outcome
from loopctl.model.plan import AuthSpec, CloudRunPlace, ServiceSpec, SuiteKind
from loopctl.model.references import Endpoint
from loopctl.model.state import OutcomeKind, State
from loopctl.ports.identity import IdentityError
from loopctl.ports.platform import PlatformError
from loopctl.ports.probe import Answer, Unreachable
from loopctl.process import Stop
from loopctl.stages import token_files as module
from loopctl.stages.callers import Callers
from loopctl.stages.health import Health
from loopctl.stages.preflight import Needs, Preflight, gate_faults
from loopctl.stages.suite_run import RunFacts, SuiteRunner, UnderTest
from loopctl.stages.token_files import token_files

PLACE = CloudRunPlace("shop", "us-central1")
WANTS = AuthSpec("id_token")
CHAT = a_service(auth=WANTS)
PAY = a_service("pay", url="http://pay.example/v1/", source=None, auth=WANTS)
OPEN = a_service("open")
NO_TOKEN = IdentityError("no token", where="credentials", hint="log in")


class World:
    """A platform with `chat` on it, and who gives tokens."""

    def __init__(self, folder: Path, *, existing: bool = True) -> None:
        self.folder = folder
        self.platform = FakePlatform("chat", "open", existing=existing)
        self.identity, self.prober = FakeIdentity(), FakeProber()
        self.callers = Callers(self.identity, self.platform, PLACE)

    def journal(self, *specs: ServiceSpec) -> Journal:
        return a_journal(self.folder, specs or (CHAT,), [a_suite()])

    def health(self) -> Outcome:
        journal = self.journal()
        journal.append(RevisionDeployed(revision("chat", "chat-new"), "none"), service="chat")
        stage = Health(((CHAT,),), self.platform, self.prober, None, self.callers)
        journal.wave = 0
        return stage(journal.fold.cycle(), journal, Stop(10.0))

    def preflight(
        self, *deployed: ServiceSpec, gated: Sequence[ServiceSpec] = (), fronted: bool = True
    ) -> Outcome:
        journal = self.journal(*deployed)
        needs = Needs(deployed, tuple(gated), (), (), fronted=fronted)
        stage = Preflight(
            needs,
            FakeBuilder(),
            None,
            self.platform,
            {},
            self.prober,
            State.PREFLIGHT,
            self.callers,
        )
        return stage(journal.fold.cycle(), journal, Stop(10.0))

    def bearers(self) -> dict[str, str | None]:
        return dict(self.prober.bearers)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_only_who_wants_a_token_is_given_one(world: World) -> None:
    assert world.callers.of(OPEN, Stop()).token is None
    token = world.callers.of(CHAT, Stop()).token
    assert token is not None
    assert token.secret.reveal() == "token-of-chat"
    assert Callers().of(OPEN, Stop()).token is None


def test_a_token_is_made_out_to_the_services_own_root_unless_the_file_names_another(
    world: World,
) -> None:
    for spec in (CHAT, CHAT, PAY, a_service(auth=AuthSpec("id_token", audience="https://a.b"))):
        world.callers.of(spec, Stop())
    assert world.identity.calls == [
        "token chat for http://127.0.0.1",
        "token chat for http://127.0.0.1",
        "token pay for http://pay.example",
        "token chat for https://a.b",
    ]
    assert world.platform.calls == ["observe chat"], "its URL does not change"


def test_a_service_without_an_url_is_asked_as_nobody_it_could_be(tmp_path: Path) -> None:
    world = World(tmp_path, existing=False)
    with pytest.raises(IdentityError, match="chat has no URL yet"):
        world.callers.of(CHAT, Stop())
    world.platform.states["chat"] = FakePlatform("chat").states["chat"]
    assert world.callers.of(CHAT, Stop()).token is not None, "looked for again"


def test_health_asks_with_the_token_at_the_candidates_own_address(world: World) -> None:
    assert world.health().kind is OutcomeKind.OK
    assert world.bearers() == {"http://own/chat-new/health": "token-of-chat"}
    assert "token chat for http://127.0.0.1" in world.identity.calls


def test_health_without_a_token_is_the_control_planes_fault(world: World) -> None:
    world.identity.fails["token"] = NO_TOKEN
    outcome = world.health()
    assert outcome.kind is OutcomeKind.ERRORED
    assert (outcome.faults[0].summary, outcome.faults[0].hint) == ("no token", "log in")


def test_a_refusal_of_the_front_end_ends_health_at_once(world: World) -> None:
    world.prober.answers["http://own/chat-new/health"] = [Answer(403, 0.01, FORBIDDEN)]
    outcome = world.health()
    assert outcome.kind is OutcomeKind.FAILED
    (fault,) = outcome.faults
    assert fault.kind is FaultKind.NOT_ADMITTED
    assert fault.hint is not None
    assert "--region=us-central1 --project=shop" in fault.hint
    assert len(world.prober.bearers) == 1


def test_what_serves_already_is_asked_in_preflight_whether_it_lets_us_in(world: World) -> None:
    world.prober.answers["http://127.0.0.1/chat/health"] = [Answer(403, 0.01, FORBIDDEN)]
    outcome = world.preflight(CHAT, OPEN)
    assert outcome.kind is OutcomeKind.FAILED
    (fault,) = outcome.faults
    assert (fault.kind, fault.service) == (FaultKind.NOT_ADMITTED, "chat")
    assert world.bearers() == {
        "http://127.0.0.1/chat/health": "token-of-chat",
        "http://127.0.0.1/open/health": None,
    }
    assert world.platform.effects(*EFFECTS) == []


@pytest.mark.parametrize("answer", [Answer(500, 0.01, "broken"), Unreachable("refused")])
def test_whether_what_serves_is_healthy_is_nothing_to_preflight(
    world: World, answer: Answer | Unreachable
) -> None:
    world.prober.answers["http://127.0.0.1/chat/health"] = [answer]
    assert world.preflight(CHAT).kind is OutcomeKind.OK


def test_what_is_not_there_yet_or_has_no_front_end_is_not_asked(tmp_path: Path) -> None:
    new = World(tmp_path, existing=False)
    assert new.preflight(CHAT).kind is OutcomeKind.OK
    assert new.prober.bearers == []
    (tmp_path / "local").mkdir()
    local = World(tmp_path / "local")
    assert local.preflight(CHAT, fronted=False).kind is OutcomeKind.OK
    assert local.prober.bearers == []


def test_what_keeps_a_platform_from_being_observed_is_its_own_check_to_tell(world: World) -> None:
    world.platform.fails["observe chat"] = PlatformError("permission denied", where="chat")
    outcome = world.preflight(OPEN, CHAT)
    assert outcome.faults == ()


def test_no_token_is_one_thing_that_is_missing_however_many_want_one(world: World) -> None:
    world.identity.fails["token"] = NO_TOKEN
    world.identity.problems = [Problem("no token", where="credentials", hint="log in")]
    outcome = world.preflight(CHAT, gated=[PAY])
    assert [fault.summary for fault in outcome.faults] == ["credentials: no token"]
    assert world.prober.bearers == []
    assert "check chat pay" in world.identity.calls


def test_who_wants_no_token_needs_nobody_to_give_one(world: World) -> None:
    world.identity.problems = [Problem("no token")]
    assert world.preflight(OPEN).kind is OutcomeKind.OK
    assert world.identity.calls == []


def test_a_gate_is_asked_with_its_token_and_told_apart_from_googles_front_end(
    world: World,
) -> None:
    assert gate_faults(PAY, world.prober, world.callers, Stop()) == []
    url = "http://pay.example/v1/health"
    assert world.bearers() == {url: "token-of-pay"}
    world.prober.answers[url] = [Answer(403, 0.01, FORBIDDEN)]
    (fault,) = gate_faults(PAY, world.prober, world.callers, Stop())
    assert fault.kind is FaultKind.NOT_ADMITTED
    assert fault.hint is not None
    assert "project=PROJECT" in fault.hint, "where it is deployed is not ours to know"


def test_a_suite_finds_tokens_in_private_files_that_are_gone_afterwards(world: World) -> None:
    suite = FakeSuite()
    suite.cases["p1"] = [a_case()]
    seen: dict[str, str] = {}

    def look() -> None:
        for name, path in suite.contexts["p1"].token_files.items():
            seen[name] = path.read_text()
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
            assert not path.is_relative_to(world.folder)

    suite.hooks["run p1"] = look
    facts = RunFacts(
        RUN_ID, "e", loopback=True, health_paths={}, gated={}, guarded={"chat": CHAT, "pay": PAY}
    )
    runner = SuiteRunner({SuiteKind.PYTEST: suite}, FakeReceipts(), facts, world.callers)
    where = UnderTest({"chat": Endpoint.of("http://own")}, {"chat": revision("chat", "chat-new")})
    ran = runner.run(a_suite(), where, world.journal(), Stop(10.0))
    assert ran.judgement.counts
    assert seen == {"chat": "token-of-chat"}, "pay is nowhere to be met by this suite"
    assert not suite.contexts["p1"].token_files["chat"].parent.exists()


def test_a_suite_without_its_token_is_not_begun(world: World) -> None:
    suite = FakeSuite()
    suite.cases["p1"] = [a_case()]
    world.identity.fails["token"] = NO_TOKEN
    facts = RunFacts(RUN_ID, "e", loopback=True, health_paths={}, gated={}, guarded={"chat": CHAT})
    runner = SuiteRunner({SuiteKind.PYTEST: suite}, FakeReceipts(), facts, world.callers)
    where = UnderTest({"chat": Endpoint.of("http://own")}, {"chat": revision("chat", "chat-new")})
    ran = runner.run(a_suite(), where, world.journal(), Stop(10.0))
    assert "no token" in ran.judgement.reasons[0]
    assert suite.effects("run") == []


def test_a_file_is_replaced_when_its_token_is_renewed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOKS_EVERY_S", 0.001)
    looked = threading.Semaphore(0)
    world.identity.hooks["token"] = looked.release
    told: list[str] = []
    with token_files({"chat": CHAT}, world.callers, Stop(10), told.append) as files:
        before = files["chat"].stat().st_ino
        world.identity.renew()
        for _ in range(4):
            assert looked.acquire(timeout=5)
        assert files["chat"].read_text() == "token-of-chat-2"
        assert files["chat"].stat().st_ino != before, "never half of one and half of another"
        world.identity.fails["token"] = NO_TOKEN
        for _ in range(4):
            assert looked.acquire(timeout=5)
        assert files["chat"].read_text() == "token-of-chat-2"
    assert told == ["the token of chat could not be renewed: no token"]
