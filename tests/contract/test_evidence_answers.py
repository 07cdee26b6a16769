"""The later parts of the control run in real pytest processes: who is led to the stand-in, when,
and whom that bears out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from control_rig import (
    ASKING,
    FIRST,
    PLUGINS,
    REFUSED,
    assert_all_whole,
    assert_workers_agree,
    called,
    led_to,
    only_by_name,
    parts,
    target_by_name,
)
from evidence_rig import Target, Watched, watch
from pytest_suite_rig import Project
from web_service import serving

from loopctl.evidence.control import STAND_IN, answered_wrongly, controlled
from loopctl.model.evidence import Case, CaseStatus, Control, SuiteEnd
from loopctl.ports.suite import Withhold
from loopctl.process import Stop
from loopctl.suites.stand_in import ERROR, HANDSHAKE_BYTES, StandIn, stand_in

PHASES = ("setup", "call", "teardown")

ZOO = (
    ASKING
    + r"""
# Honest: each fails where the answer is wrong.
def test_urllib(): assert ask() == b"ok"
def test_raises_for_status(): requests.get(HTTP).raise_for_status()
def test_requests(): assert requests.get(HTTP).text == "ok"
def test_httpx(): assert httpx.get(HTTP).text == "ok"
def test_by_name(): assert httpx.get("http://localhost:%d" % PORT).text == "ok"
def test_http_client():
    line = http.client.HTTPConnection("127.0.0.1", PORT)
    line.request("GET", "/")
    assert line.getresponse().status == 200
@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_anyio(anyio_backend):
    async with httpx.AsyncClient() as client: assert (await client.get(HTTP)).text == "ok"
def test_aiohttp(): assert ask_over_aiohttp() == "ok"
def test_trio(): assert b"200" in trio.run(ask_over_trio)
def test_thread(): assert ask_in_a_thread().text == "ok"
def test_raw():
    with raw() as line: assert b"200" in head(line)
def test_non_blocking():
    with non_blocking() as line: assert b"200" in head(line)
def test_websocket():
    with connect(WS) as line:
        line.send("?")
        assert line.recv(timeout=10) == "?"
def test_websocket_async(): assert ask_websocket_async() == "?"
def test_sends_nothing_unasked():
    with connect(WS) as line, pytest.raises(TimeoutError): line.recv(timeout=0.4)

# False: each needs an answer, and not what is in it.
def test_any_urllib():
    with contextlib.suppress(urllib.error.HTTPError): ask()
def test_any_requests(): assert requests.get(HTTP) is not None
def test_any_httpx(): assert httpx.get(HTTP).request.method == "GET"
def test_any_by_name(): httpx.get("http://localhost:%d" % PORT)
def test_any_http_client():
    line = http.client.HTTPConnection("127.0.0.1", PORT)
    line.request("HEAD", "/")
    assert line.getresponse()
@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_any_anyio(anyio_backend):
    async with httpx.AsyncClient() as client: assert await client.post(HTTP, content=b"x" * 10**6)
def test_any_aiohttp(): assert ask_over_aiohttp()
def test_any_trio(): assert trio.run(ask_over_trio)
def test_any_thread(): assert ask_in_a_thread() is not None
def test_any_raw():
    with raw() as line: assert head(line)
def test_any_non_blocking():
    with non_blocking() as line: assert head(line)
def test_any_websocket():
    with connect(WS) as line: line.send("?")
def test_any_websocket_async(): assert ask_websocket_async()
def test_any_aiohttp_websocket():
    async def go():
        async with aiohttp.ClientSession() as session, session.ws_connect(WS) as line:
            await line.send_str("?")
    asyncio.run(go())
def test_any_uvloop_over_pythons_sockets():
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        async def go():
            async with aiohttp.ClientSession() as session, session.get(HTTP) as got: return got
        assert runner.run(go())
@pytest.fixture(scope="module")
def client():
    with httpx.Client() as client: yield client
@pytest.fixture
def account(client):
    assert client.get(HTTP + "/account").text == "ok"
    yield client
    assert client.get(HTTP + "/close").text == "ok"
def test_any_of_a_kept_client(account): account.get(HTTP + "/x")
def test_any_of_a_kept_client_again(account): account.get(HTTP + "/x")

# A later part shows nothing.
def test_handshake():
    with connect(WS): pass
def test_keeps_a_websocket_up():
    with connect(WS) as line: line.ping()
def test_held(held):
    held.send("?")
    held.recv(timeout=10)
def test_hears_nothing_of_it():
    with raw() as line: line.recv(12)

# Not of the target.
def test_elsewhere(): assert requests.get(ELSEWHERE).text == "ok"
"""
)

BOTH = [
    "urllib",
    "requests",
    "httpx",
    "by_name",
    "http_client",
    "anyio[asyncio]",
    "anyio[trio]",
    "aiohttp",
    "thread",
    "raw",
    "non_blocking",
    "websocket",
    "websocket_async",
]
HONEST = [*BOTH, "raises_for_status", "sends_nothing_unasked"]
FALSE = [
    *BOTH,
    "aiohttp_websocket",
    "uvloop_over_pythons_sockets",
    "of_a_kept_client",
    "of_a_kept_client_again",
]


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    with target_by_name() as running:
        yield running


@pytest.fixture(scope="module")
def place() -> Iterator[StandIn]:
    with stand_in(Stop(120)) as running:
        yield running


@pytest.fixture(scope="module")
def runs(
    target: Target, place: StandIn, tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, Watched]:
    """The first run of the zoo, and two parts of its control run."""
    settings = {"first": FIRST, "refused": REFUSED, "wrong": led_to(place)}
    return parts(ZOO, target, tmp_path_factory, settings)


@pytest.fixture(scope="module")
def wrong(runs: Mapping[str, Watched]) -> Watched:
    return runs["wrong"]


@pytest.fixture(scope="module")
def shown(runs: Mapping[str, Watched]) -> Mapping[str, Control]:
    first, refused, wrong = (runs[name].cases() for name in ("first", "refused", "wrong"))
    halves = {name: controlled(case, refused.get(name)) for name, case in first.items()}
    return {
        name: answered_wrongly(half, wrong.get(name)) if half.kind == "borne-out" else half
        for name, half in halves.items()
    }


def test_every_run_is_whole(runs: Mapping[str, Watched]) -> None:
    assert_all_whole(runs)


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_pass_is_borne_out_by_both_parts(shown: Mapping[str, Control], name: str) -> None:
    assert shown[f"test_{name}"] == Control(
        "borne-out", "it fails while chat is refused, and while it answers wrongly (control run)"
    )


@pytest.mark.parametrize("name", FALSE)
def test_who_does_not_look_at_the_answer_is_contradicted(
    shown: Mapping[str, Control], name: str
) -> None:
    assert shown[f"test_any_{name}"] == Control(
        "contradicted", "it still passes while chat answers wrongly (control run)"
    )


@pytest.mark.parametrize(
    "name", ["handshake", "keeps_a_websocket_up", "held", "hears_nothing_of_it"]
)
def test_who_was_told_nothing_wrong_stays_borne_out(
    shown: Mapping[str, Control], name: str
) -> None:
    assert shown[f"test_{name}"] == Control(
        "borne-out", "it fails while chat is refused (control run)"
    )


def test_set_up_and_tear_down_meet_the_target_also_through_a_client_that_is_kept(
    wrong: Watched,
) -> None:
    for name in ("test_any_of_a_kept_client", "test_any_of_a_kept_client_again"):
        paths = {each: [h["path"] for h in wrong.phase(name, each)["http"]] for each in PHASES}
        assert paths == {"setup": ["/account"], "call": ["/x"], "teardown": ["/close"]}
        status = {each: wrong.phase(name, each)["http"][0]["status"] for each in PHASES}
        assert status == {"setup": 200, "call": ERROR.status, "teardown": 200}
        for phase in ("setup", "teardown"):
            assert {c["failed"] for c in wrong.phase(name, phase)["contacts"]} == {None}


def test_a_contact_with_the_stand_in_names_the_target_and_says_so(wrong: Watched) -> None:
    contact = wrong.contact("test_any_raw")
    assert (contact["target"], contact["failed"]) == ("chat", STAND_IN)
    assert contact["sent"]
    assert contact["received"] > 0


def test_the_bytes_of_a_handshake_are_no_answer(wrong: Watched) -> None:
    assert wrong.contact("test_handshake")["received"] == 0
    assert 0 < wrong.contact("test_any_websocket")["received"] < HANDSHAKE_BYTES


def test_the_target_hears_nothing_of_a_call(target: Target, place: StandIn, tmp_path: Path) -> None:
    target.seen.clear()
    watch(
        tmp_path, ZOO, {**target.environment, **led_to(place)}, *PLUGINS, "-k", "any and not kept"
    )
    assert not target.seen


def test_whoever_is_elsewhere_is_left_alone(runs: Mapping[str, Watched]) -> None:
    assert runs["wrong"].phase("test_elsewhere")["outcome"] == "passed"


@pytest.mark.slow
def test_workers_of_xdist_are_led_as_well(target: Target, place: StandIn, tmp_path: Path) -> None:
    setting = {**target.environment, **led_to(place)}
    false = [f"any_{name}" for name in FALSE]
    assert_workers_agree(tmp_path, ZOO, setting, failed=HONEST, passed=false)


ADDRESSES = """
import os, socket
PORT = int(os.environ["ZOO_V6"])
def ask(line):
    line.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
    assert line.recv(12).startswith(b"HTTP/1.1 599")
def test_v4(): ask(socket.create_connection(("127.0.0.1", PORT)))
def test_v6(): ask(socket.create_connection(("::1", PORT)))
def test_name():
    line = socket.socket()
    line.connect(("localhost", PORT))
    ask(line)
def test_mapped():
    line = socket.socket(socket.AF_INET6)
    line.connect(("::ffff:127.0.0.1", PORT))
    ask(line)
def test_datagram():
    line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    line.sendto(b"?", ("127.0.0.1", PORT))
"""


def test_every_address_is_led_and_a_datagram_is_refused(
    target: Target, place: StandIn, tmp_path: Path
) -> None:
    seen = watch(tmp_path, ADDRESSES, {**only_by_name(target), **led_to(place)})
    wanted = dict.fromkeys(("v4", "v6", "name", "mapped"), "passed") | {"datagram": "failed"}
    assert called(seen) == wanted
    assert seen.phase("test_datagram")["exc"]["type"] == "ConnectionRefusedError"


def test_where_it_cannot_lead_it_refuses(target: Target, place: StandIn, tmp_path: Path) -> None:
    encrypted = only_by_name(target, "https")
    seen = watch(tmp_path, ADDRESSES, {**encrypted, **led_to(place)})
    assert set(called(seen).values()) == {"failed"}
    assert seen.contact("test_v4")["failed"] == "ECONNREFUSED"
    without_v6 = led_to(replace(place, ipv6=None))
    (tmp_path / "spool.jsonl").unlink()
    again = watch(tmp_path, ADDRESSES, {**only_by_name(target), **without_v6})
    assert called(again)["v6"] == "failed"


HOSTILE = """
import _socket, gc, json, os, socket, urllib.request
import pytest
URL = os.environ["LOOPCTL_URL_CHAT"]
HERE = ("127.0.0.1", int(URL.rpartition(":")[2]))
def ask(): return urllib.request.urlopen(URL + "/x", timeout=10).read()
def test_before(): assert b"hello" in ask()
def test_around_the_wrapper(monkeypatch):
    monkeypatch.setattr(socket.socket, "connect", _socket.socket.connect)
    ask()
def test_in_c(): _socket.socket.connect(socket.socket(), HERE)
def test_wraps_the_wrapper(monkeypatch):
    ours = socket.socket.connect
    monkeypatch.setattr(socket.socket, "connect", lambda *args: ours(*args))
    assert b"hello" in ask()
def test_closes_all_descriptors():
    gc.collect()  # a finalizer that fails while pytest parses a file breaks Python 3.11's parser
    os.closerange(3, 256)
    assert b"hello" in ask()
def test_forks():
    child = os.fork()
    if not child:
        code = 1
        try: code = int(b"hello" not in ask())
        finally: os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
def test_asks_the_stand_in_itself():
    port = json.loads(os.environ.get("LOOPCTL_STAND_IN", "{}")).get("ipv4", HERE[1])
    line = socket.create_connection(("127.0.0.1", port))
    line.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
    assert line.recv(65536)
def test_floods():
    lines = [socket.create_connection(HERE, timeout=10) for _ in range(300)]
    lines[0].sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
    assert b"hello" in lines[0].makefile("rb").read()
def test_after(): assert b"hello" in ask()
"""


@pytest.fixture(scope="module")
def hostile(
    target: Target, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, Case], SuiteEnd]:
    """What a suite hands over that works against the later parts."""
    with serving() as url:
        project = Project.at(tmp_path_factory.mktemp("hostile"), url)
        project.write("tests/test_hostile.py", HOSTILE)
        context = replace(project.context, withhold=Withhold.ERRORS)
        # What pytest captures with would be closed as well, and fail whatever comes after.
        spec = replace(project.spec, run=f"{project.spec.run} -s")
        end = project.suite.run(spec, context, project.cases.append, Stop(90))
    return {case.id.rpartition("::test_")[2]: case for case in project.cases}, end


def met_stand_in(case: Case) -> bool:
    return case.call is not None and any(
        c.failed == STAND_IN and c.target == "chat" and c.received for c in case.call.contacts
    )


def test_the_suite_runs_to_its_end_whatever_its_tests_do(
    hostile: tuple[dict[str, Case], SuiteEnd],
) -> None:
    cases, end = hostile
    assert end.complete, end
    assert len(cases) == HOSTILE.count("def test_")


@pytest.mark.parametrize(
    "name", ["before", "wraps_the_wrapper", "closes_all_descriptors", "floods", "after"]
)
def test_it_is_led_all_the_same(hostile: tuple[dict[str, Case], SuiteEnd], name: str) -> None:
    case = hostile[0][name]
    assert met_stand_in(case)
    assert case.status is CaseStatus.FAILED


@pytest.mark.parametrize("name", ["around_the_wrapper", "in_c", "asks_the_stand_in_itself"])
def test_what_is_not_led_there_never_met_it(
    hostile: tuple[dict[str, Case], SuiteEnd], name: str
) -> None:
    assert not met_stand_in(hostile[0][name])


@pytest.mark.parametrize("name", ["around_the_wrapper", "in_c"])
def test_what_goes_around_it_is_refused(
    hostile: tuple[dict[str, Case], SuiteEnd], name: str
) -> None:
    call = hostile[0][name].call
    assert call is not None
    assert [c.failed for c in call.contacts] == ["ECONNREFUSED"]


def test_who_forks_is_not_accused(hostile: tuple[dict[str, Case], SuiteEnd]) -> None:
    half = Control("borne-out", "it fails while chat is refused (control run)")
    assert answered_wrongly(half, hostile[0]["forks"]) == half
