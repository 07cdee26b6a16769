"""The promises of the platform port, kept by every adapter, driven for real."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cloud_run_rig import ALL_RIGS, QUICK_ON_HOSTS, QUICK_ON_LOCAL, any_rig
from docker_rig import RIGS, each_rig
from platform_rig import (
    SERVE,
    STARTED,
    HostedRig,
    LocalRig,
    PlatformRig,
    a_local_rig,
    get,
    listens,
    under_load,
    wait_for,
)
from slow import but_slow

from loopctl.model.artifact import ServiceState
from loopctl.model.finding import FaultKind
from loopctl.model.logs import LogWindow, RequestEntry
from loopctl.ports.leases import LeaseLost
from loopctl.ports.platform import Absent, PlatformError, Present, Ready, Starting

rig = pytest.fixture(params=ALL_RIGS)(any_rig)

#: Where a host of this machine owns the services: it restarts, stops and numbers them itself.
hosted = pytest.fixture(params=RIGS)(each_rig)

local = pytest.fixture(a_local_rig)


def state_of(rig: PlatformRig) -> ServiceState:
    state = rig.platform.observe("chat", rig.stop)
    assert isinstance(state, ServiceState)
    return state


def test_a_first_revision_becomes_ready_and_takes_all_traffic(rig: PlatformRig) -> None:
    held = rig.hold()
    revision = rig.deploy(SERVE, held, share="all")
    began = time.monotonic()
    ready = rig.ready(revision)
    assert time.monotonic() - began < rig.soon_s
    state = state_of(rig)
    assert state.traffic == {revision.name: 100}
    assert state.revision(revision.name) == revision
    assert get(state.url) == get(ready.url) == (200, revision.name)
    assert state.ws_url == state.url.replace("http", "ws", 1)
    assert (ready.url != state.url) == rig.apart


def test_a_candidate_that_exits_is_seen_at_once_with_its_code_and_last_words(
    rig: PlatformRig,
) -> None:
    main = """
        import sys
        print("fine")
        for n in range(7):
            print("broken", n, file=sys.stderr)
        sys.exit(3)
    """
    revision = rig.deploy(main, rig.hold())
    dead = rig.dead(revision)
    assert dead.fault.kind is FaultKind.EXIT_CODE
    assert dead.fault.value == "3"
    assert rig.exited(dead.fault, 3), dead.fault.summary
    assert rig.last_words(dead.fault) == [f"broken {n}" for n in range(2, 7)]
    entries, coverage = rig.log(revision)
    assert coverage.complete
    assert all(rig.is_quoted(quote, entries) for quote in dead.fault.quotes)


@pytest.mark.parametrize("rig", QUICK_ON_HOSTS, indirect=True)
def test_a_candidate_ended_by_a_signal_names_the_signal(rig: PlatformRig) -> None:
    revision = rig.deploy("import ctypes\nctypes.string_at(0)", rig.hold())
    dead = rig.dead(revision)
    assert (dead.fault.kind, dead.fault.value) == (FaultKind.SIGNAL, "SIGSEGV")


@pytest.mark.parametrize("rig", QUICK_ON_HOSTS, indirect=True)
def test_a_command_that_is_not_there_is_a_death_that_says_so(rig: PlatformRig) -> None:
    revision = rig.deploy("", rig.hold(), command=("./no-such-program",))
    dead = rig.dead(revision)
    assert dead.fault.value == "127"
    told = [quote.quote for quote in dead.fault.quotes]
    assert any(rig.no_program("./no-such-program") in each for each in told), told


def test_a_service_on_a_wrong_port_tells_both_ports(hosted: HostedRig) -> None:
    main = """
        import os, socket, time
        wrong = socket.create_server(("", 0))
        print(wrong.getsockname()[1], flush=True)
        time.sleep(60)
    """
    revision = hosted.deploy(main, hosted.hold())

    def listening() -> tuple[int, ...]:
        status = hosted.status(revision)
        assert isinstance(status, Starting)
        assert status.told is not None
        assert status.told not in status.listening
        return status.listening

    def printed() -> list[int]:
        entries, _ = hosted.log(revision)
        return [int(entry.text) for entry in entries if entry.stream == "stdout"]

    wait_for(lambda: bool(listening()) and bool(printed()))
    assert list(listening()) == printed()


def test_the_same_key_is_never_deployed_twice(rig: PlatformRig) -> None:
    held = rig.hold()
    artifact = rig.artifact(SERVE)
    assert rig.platform.find(rig.key(artifact), rig.stop) == Absent()
    first = rig.deploy_artifact(artifact, held)
    assert rig.deploy_artifact(artifact, held) == first
    assert rig.platform.find(rig.key(artifact), rig.stop) == Present(first)
    assert len(state_of(rig).revisions) == 1


def test_two_clients_with_the_same_key_at_once_make_one_revision(rig: PlatformRig) -> None:
    held = rig.hold()
    artifact = rig.artifact(SERVE)
    names: list[str] = []
    threads = [
        threading.Thread(target=lambda: names.append(rig.deploy_artifact(artifact, held).name))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(names) == 4
    assert len(set(names)) == 1


def test_a_candidate_has_its_own_address_and_leaves_the_traffic_alone(rig: PlatformRig) -> None:
    held = rig.hold()
    old = rig.deploy(SERVE, held, share="all")
    rig.ready(old)
    before = state_of(rig)
    new = rig.deploy(SERVE, held)
    assert get(rig.ready(new).url) == (200, new.name)
    after = state_of(rig)
    assert get(after.url) == (200, old.name)
    assert after.traffic == before.traffic
    assert after.generation != before.generation
    rig.check_order(old, new)


def test_traffic_is_switched_and_put_back_under_load_without_a_failed_request(
    rig: PlatformRig,
) -> None:
    held = rig.hold()
    old = rig.deploy(SERVE, held, share="all")
    rig.ready(old)
    new = rig.deploy(SERVE, held)
    rig.ready(new)
    with under_load(state_of(rig).url, keeping=2, closing=1) as load:
        for name in (new.name, old.name, new.name):
            reached = len(load.seen)
            rig.platform.route("chat", {name: 100}, held, rig.stop)
            wait_for(lambda name=name, reached=reached: name in load.seen[reached + 3 :])  # type: ignore[misc]
    assert load.failed == []
    assert set(load.seen) == {old.name, new.name}
    assert load.seen[-1] == new.name


def test_routing_twice_is_one_write(rig: PlatformRig) -> None:
    held = rig.hold()
    old = rig.deploy(SERVE, held, share="all")
    rig.ready(old)
    new = rig.deploy(SERVE, held)
    rig.ready(new)
    once = rig.platform.route("chat", {new.name: 100, old.name: 0}, held, rig.stop)
    again = rig.platform.route("chat", {new.name: 100}, held, rig.stop)
    assert once == again == state_of(rig)
    assert once.traffic == {new.name: 100}


def test_traffic_that_is_not_a_hundred_percent_or_goes_nowhere_is_refused(rig: PlatformRig) -> None:
    held = rig.hold()
    old = rig.deploy(SERVE, held, share="all")
    before = state_of(rig)
    for wrong in ({old.name: 50}, {"chat-00099-xxx": 100}, {old.name: 101, "chat-00099-xxx": -1}):
        with pytest.raises(PlatformError):
            rig.platform.route("chat", wrong, held, rig.stop)
    assert state_of(rig) == before


@pytest.mark.parametrize("rig", QUICK_ON_LOCAL, indirect=True)
def test_traffic_goes_back_to_a_revision_that_had_been_stopped(rig: PlatformRig) -> None:
    held = rig.hold()
    names = []
    for share in ("all", "none", "none"):
        revision = rig.deploy(SERVE, held, share=share)
        rig.ready(revision)
        rig.platform.route("chat", {revision.name: 100}, held, rig.stop)
        names.append(revision)
    first, second, third = names
    rig.let_rest(first)
    assert rig.can_serve_again(second), "the one before must be there for a restore"
    state = rig.platform.route("chat", {first.name: 100}, held, rig.stop)
    assert get(state.url) == (200, first.name)
    assert isinstance(rig.status(third), Ready)


@pytest.mark.parametrize("hosted", but_slow(RIGS, ("local",)), indirect=True)
def test_a_revision_that_does_not_come_back_leaves_the_traffic_where_it_is(
    hosted: HostedRig,
) -> None:
    held = hosted.hold()
    with socket.create_server(("", 0)) as dependency:
        where = (hosted.machine, dependency.getsockname()[1])
        needy = f"""
            import socket, sys
            try:
                socket.create_connection({where!r}, timeout=5)
            except OSError:
                sys.exit(6)
            from web import serve
            serve()
        """
        names = [hosted.deploy(needy, held, share="all")]
        names += [hosted.deploy(SERVE, held) for _ in range(2)]
        for revision in names:
            hosted.ready(revision)
            hosted.platform.route("chat", {revision.name: 100}, held, hosted.stop)
        hosted.dead(names[0])
    before = state_of(hosted)
    with pytest.raises(PlatformError, match=f"{names[0].name} exited with 6"):
        hosted.platform.route("chat", {names[0].name: 100}, held, hosted.stop)
    assert state_of(hosted) == before
    assert get(before.url) == (200, names[2].name)


def test_an_artifact_that_is_not_there_is_refused_and_leaves_nothing(hosted: HostedRig) -> None:
    held = hosted.hold()
    artifact = hosted.artifact(SERVE)
    with pytest.raises(PlatformError, match=hosted.lose(artifact)):
        hosted.deploy_artifact(artifact, held, share="all")
    assert hosted.platform.observe("chat", hosted.stop) == Absent()
    assert hosted.platform.find(hosted.key(artifact), hosted.stop) == Absent()


@pytest.mark.parametrize("rig", QUICK_ON_LOCAL, indirect=True)
def test_a_request_in_flight_ends_on_the_revision_that_took_it(rig: PlatformRig) -> None:
    held = rig.hold()
    revisions = []
    for share in ("all", "none", "none"):
        revisions.append(rig.deploy(SERVE, held, share=share))
        rig.ready(revisions[-1])
    url = state_of(rig).url
    got: list[tuple[int, str]] = []
    slow = threading.Thread(target=lambda: got.append(get(url, "/slow")))
    slow.start()
    time.sleep(0.1)  # the request has to be on its way; nothing tells when it is
    for revision in revisions[1:]:
        rig.platform.route("chat", {revision.name: 100}, held, rig.stop)
    slow.join()
    assert got == [(200, revisions[0].name)]


@pytest.mark.parametrize("rig", QUICK_ON_LOCAL, indirect=True)
def test_discarding_a_candidate_leaves_its_log_and_nothing_else(rig: PlatformRig) -> None:
    held = rig.hold()
    old = rig.deploy(SERVE, held, share="all")
    rig.ready(old)
    new = rig.deploy("print('hello', flush=True)\n" + SERVE, held)
    address = rig.ready(new).url
    rig.platform.discard(new, held, rig.stop)
    rig.platform.discard(new, held, rig.stop)
    assert rig.is_closed(address)
    rig.check_discarded(new)
    assert state_of(rig).traffic == {old.name: 100}
    assert "hello" in [entry.text for entry in rig.log(new)[0]]


def test_a_revision_with_traffic_cannot_be_discarded(rig: PlatformRig) -> None:
    held = rig.hold()
    old = rig.deploy(SERVE, held, share="all")
    with pytest.raises(PlatformError, match="still takes 100 percent"):
        rig.platform.discard(old, held, rig.stop)
    rig.ready(old)


def test_down_leaves_no_process_and_nobody_listening(rig: PlatformRig) -> None:
    held = rig.hold()
    old = rig.deploy(SERVE, held, share="all")
    own = rig.ready(old).url
    stable = state_of(rig).url
    rig.platform.down("chat", held, rig.stop)
    rig.platform.down("chat", held, rig.stop)
    assert rig.processes() == []
    assert rig.is_closed(own)
    assert rig.is_closed(stable)
    assert rig.platform.observe("chat", rig.stop) == Absent()


@pytest.mark.parametrize("hosted", but_slow(RIGS, ("local",)), indirect=True)
def test_after_down_the_numbers_and_the_address_go_on(hosted: HostedRig) -> None:
    held = hosted.hold()
    old = hosted.deploy(SERVE, held, share="all")
    before = state_of(hosted)
    hosted.platform.down("chat", held, hosted.stop)
    new = hosted.deploy(SERVE, held, share="all")
    after = state_of(hosted)
    assert new.name.startswith("chat-00002-")
    assert old.name.startswith("chat-00001-")
    assert after.url == before.url
    assert int(after.generation) > int(before.generation)


def test_a_service_that_dies_while_it_serves_is_told_and_answered_for(hosted: HostedRig) -> None:
    revision = hosted.deploy(SERVE, hosted.hold(), share="all")
    hosted.ready(revision)
    url = state_of(hosted).url
    assert get(url, "/exit?7")[0] in (502, 503)
    assert hosted.dead(revision).fault.value == "7"
    status, body = get(url)
    assert status == 503
    assert "front door" in body


@pytest.mark.parametrize("rig", QUICK_ON_LOCAL, indirect=True)
def test_no_effect_without_the_lease(rig: PlatformRig) -> None:
    held = rig.hold()
    old = rig.deploy(SERVE, held, share="all")
    rig.ready(old)
    rig.leases.release(held)
    other = rig.hold("run-2")
    candidate = rig.deploy(SERVE, other)
    before = state_of(rig)
    effects: list[Callable[[], object]] = [
        lambda: rig.deploy(SERVE, held),
        lambda: rig.platform.route("chat", {candidate.name: 100}, held, rig.stop),
        lambda: rig.platform.discard(candidate, held, rig.stop),
        lambda: rig.platform.down("chat", held, rig.stop),
    ]
    for effect in effects:
        with pytest.raises(LeaseLost, match="run-2"):
            effect()
    assert state_of(rig) == before
    rig.ready(old)


@pytest.mark.parametrize("adapter", RIGS)
def test_a_service_that_ignores_sigterm_is_killed_after_its_grace(adapter: str) -> None:
    with RIGS[adapter](grace="0.5") as rig:
        held = rig.hold()
        main = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + SERVE
        revision = rig.deploy(main, held)
        rig.ready(revision)
        began = time.monotonic()
        rig.platform.discard(revision, held, rig.stop)
        assert 0.5 < time.monotonic() - began < 2
        assert rig.processes() == []
        said = [entry.text for entry in rig.log(revision)[0] if entry.stream == "system"]
        assert "did not end within 0.5 s of SIGTERM: killed" in said
        assert said[-1].startswith("ended by SIGKILL after ")


def test_grandchildren_go_with_their_service_even_from_another_session(hosted: HostedRig) -> None:
    held = hosted.hold()
    main = """
        import subprocess
        sleeper = ["sleep", "600"]
        subprocess.Popen(sleeper)
        subprocess.Popen(sleeper, start_new_session=True)
        from web import serve
        serve()
    """
    revision = hosted.deploy(main, held)
    hosted.ready(revision)
    assert len(hosted.processes()) == 3
    hosted.platform.discard(revision, held, hosted.stop)
    assert hosted.processes() == []


def test_what_the_running_revision_holds_is_compared_with_the_artifact(rig: PlatformRig) -> None:
    held = rig.hold()
    artifact = rig.artifact(SERVE)
    revision = rig.deploy_artifact(artifact, held)
    rig.ready(revision)
    assert rig.platform.serves_content(revision, artifact, rig.stop) is None
    expected = rig.tamper(revision)
    assert rig.platform.serves_content(revision, artifact, rig.stop) == expected


@pytest.mark.parametrize("hosted", but_slow(RIGS, ("local",)), indirect=True)
def test_the_address_of_a_retired_revision_leads_to_what_serves(hosted: HostedRig) -> None:
    held = hosted.hold()
    first = hosted.deploy(SERVE, held, share="all")
    told = hosted.ready(first).url
    newest = first
    for _ in range(6):
        newest = hosted.deploy(SERVE, held)
        hosted.ready(newest)
        hosted.platform.route("chat", {newest.name: 100}, held, hosted.stop)
        assert get(told)[0] == 200, "whoever was told the address goes on being answered"
    wait_for(lambda: state_of(hosted).revision(first.name) is None)
    assert get(told) == (200, newest.name)
    hosted.platform.down("chat", held, hosted.stop)
    assert not listens(told)


@pytest.mark.parametrize("hosted", but_slow(RIGS, ("local",)), indirect=True)
def test_the_address_of_a_revision_that_died_leads_to_nobody(hosted: HostedRig) -> None:
    held = hosted.hold()
    hosted.ready(hosted.deploy(SERVE, held, share="all"))
    mortal = "import os, threading\nthreading.Timer(1, os._exit, [3]).start()\n" + SERVE
    candidate = hosted.deploy(mortal, held)
    own = hosted.ready(candidate).url
    hosted.dead(candidate)
    assert get(own)[0] == 503


def test_a_stored_image_that_was_edited_with_its_revision_is_told(local: LocalRig) -> None:
    held = local.hold()
    artifact = local.artifact(SERVE)
    revision = local.deploy_artifact(artifact, held)
    local.ready(revision)
    for folder in (Path(artifact.location), local.place.state / "revisions" / revision.name):
        (folder / "web.py").write_text("# another\n")
    told = local.platform.serves_content(revision, artifact, local.stop)
    assert told == f"the stored image is not {artifact.digest} any more"


def test_every_request_has_its_receipt_when_its_answer_is_there(rig: PlatformRig) -> None:
    held = rig.hold()
    revision = rig.deploy(SERVE, held, share="all")
    rig.ready(revision)
    url = state_of(rig).url
    window = LogWindow("chat", STARTED)
    for n in range(rig.receipts_asked):
        trace = f"{n + 1:032x}"
        get(url, f"/page?token={n}", trace)
        traces = frozenset((trace,))
        met = rig.receipts.of(revision, traces, window, rig.stop, awaited=traces)
        assert [(r.path, r.status, r.revision) for r in met.receipts] == [
            ("/page", 200, revision.name)
        ]
        assert met.coverage.complete
    requests: list[RequestEntry] = []
    rig.receipts.requests(window, requests.append, rig.stop)
    assert len(requests) == rig.receipts_asked
    assert all(0 < each.latency_s < 5 for each in requests)


def test_the_container_contract_is_told_and_little_else(
    rig: PlatformRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOT_FOR_THE_SERVICE", "1")
    main = "import json, os\nprint(json.dumps(dict(os.environ)))\nimport time; time.sleep(60)"
    revision = rig.deploy(main, rig.hold())
    wait_for(lambda: any(e.stream == "stdout" for e in rig.log(revision)[0]))
    text = next(e.text for e in rig.log(revision)[0] if e.stream == "stdout")
    environment = json.loads(text)
    assert int(environment["PORT"]) > 0
    assert rig.told_port(revision) in (environment["PORT"], None)
    assert environment["K_REVISION"] == revision.name
    assert environment["K_SERVICE"] == environment["K_CONFIGURATION"] == "chat"
    assert "NOT_FOR_THE_SERVICE" not in environment
    assert not [name for name in environment if name.startswith("LOOPCTL") and "TEST" not in name]


def test_a_runtime_folder_of_somebody_else_is_refused(hosted: HostedRig) -> None:
    hosted.place.runtime.parent.mkdir(mode=0o700, exist_ok=True)
    hosted.place.runtime.symlink_to("/tmp")
    problems = hosted.platform.check([hosted.spec()], hosted.stop)
    hosted.place.runtime.unlink()
    assert ["belongs to somebody else" in p.message for p in problems] == [True]
    assert hosted.platform.check([hosted.spec()], hosted.stop) == []


def test_what_is_missing_is_told_before_anything_is_done(local: LocalRig) -> None:
    missing = local.platform.check([local.spec(("no-such-program-at-all",))], local.stop)
    assert [p.message for p in missing] == ["'no-such-program-at-all' is not found on PATH"]
