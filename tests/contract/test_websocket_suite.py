"""Websocket suites talk to real servers: events, closes, refusals, and much at once."""

from __future__ import annotations

import contextlib
import json
import re
import resource
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from platform_rig import environment
from probe_rig import (
    SECRET,
    Answer,
    Rig,
    Talk,
    graded,
    listening,
    receipt_of,
    reply,
    self_signed,
    talking,
    values,
)
from websockets.datastructures import Headers
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection
from websockets.utils import accept_key

from loopctl.errors import Stopped
from loopctl.model.evidence import Case, CaseStatus, Grade
from loopctl.model.plan import SuiteKind
from loopctl.ports.suite import SuiteError
from loopctl.process import Stop

URL = "${services.chat.ws_url}/ws"
STEPS = ["agent_started", "agent_thinking", "tool_executing", "tool_completed", "agent_completed"]


def ws(folder: Path, url: str, *events: str, **more: Any) -> Rig:
    """A suite of one connection that sends one message and waits for events."""
    settings = {key: more.pop(key) for key in list(more) if key in Rig.__dataclass_fields__}
    expect = {"events": list(events), "within": 2.0} | more.pop("expect", {})
    probe = {"url": URL, "send": [{"type": "chat"}], "expect": expect} | more
    return Rig(folder, url, probe, SuiteKind.WEBSOCKET, **settings)


def saying(*messages: object, close: tuple[int, str] | None = None) -> Talk:
    """Waits for a message, says these (bytes and str as they are), and closes or waits."""

    def talk(connection: ServerConnection) -> None:
        connection.recv()
        for message in messages:
            is_raw = isinstance(message, str | bytes)
            connection.send(message if is_raw else json.dumps(message))  # type: ignore[arg-type]
        if close is not None:
            connection.close(*close)
        else:
            connection.recv()

    return talk


def events(*names: str) -> list[dict[str, str]]:
    return [{"type": name} for name in names]


def why(folder: Path, talk: Talk, *wanted: str, **more: Any) -> str:
    with talking(talk) as url:
        return ws(folder, url, *wanted, **more).message()


def test_all_events_in_order_pass_and_with_a_receipt_prove(tmp_path: Path) -> None:
    heads: list[Headers] = []
    got: list[str | bytes] = []

    def talk(connection: ServerConnection) -> None:
        assert connection.request is not None
        heads.append(connection.request.headers)
        got.append(connection.recv())
        for name in STEPS:
            connection.send(json.dumps({"type": name}))
            connection.send(json.dumps({"type": "heartbeat"}))
        connection.recv()

    with talking(talk) as url:
        rig = ws(tmp_path, url, *STEPS)
        end = rig.run()
    (case,) = rig.cases
    assert (case.id, case.status, case.message) == ("WS /ws #1", CaseStatus.PASSED, None)
    assert (end.complete, end.collected, end.notes) == (True, 1, ())
    assert got == ['{"type":"chat"}']
    call = case.call
    assert call is not None
    assert heads[0]["traceparent"].split("-")[1] == call.trace
    assert graded(case).grade is Grade.OBSERVED
    assert graded(case, receipt_of(case, 101)).grade is Grade.PROVEN
    (contact,), (exchange,) = call.contacts, call.exchanges
    assert contact.target == "chat"
    assert (contact.sent or 0) > 150
    assert (contact.received or 0) > 150
    assert (exchange.method, exchange.path, exchange.status) == ("GET", "/ws", 101)
    (connect,), (first,), (last,) = (
        values(case, f"ws.{name}") for name in ("connect", "first_event", "last_event")
    )
    assert 0 < connect < 2
    assert 0 < first < last < 2
    assert values(case, "error") == [0.0]
    assert "closed: 1000" in case.output, "it closes politely"
    assert case.duration_s < 2


def test_what_a_proxy_says_is_not_taken_for_the_services_word(tmp_path: Path) -> None:
    with talking(saying(*events("done"))) as portal:
        upstream = portal.rpartition(":")[2]

        def tunnel(line: socket.socket, _: bytes) -> None:
            with socket.create_connection(("127.0.0.1", int(upstream))) as other:
                line.sendall(reply("200 OK"))
                back = threading.Thread(target=_pipe, args=(other, line))
                back.start()
                _pipe(line, other)
                back.join()

        with listening(tunnel) as proxy, environment(http_proxy=proxy, no_proxy="", NO_PROXY=""):
            case = ws(tmp_path, "http://chat.invalid", "done").one()
    assert (case.status, case.message) == (CaseStatus.PASSED, None)
    assert graded(case).grade is Grade.PLAUSIBLE


def _pipe(one: socket.socket, other: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := one.recv(65536):
            other.sendall(data)
        other.shutdown(socket.SHUT_WR)


def test_a_close_before_all_have_come_keeps_code_reason_and_what_is_missing(tmp_path: Path) -> None:
    said = why(tmp_path, saying(*events(*STEPS[:2]), close=(1000, "main cleanup")), *STEPS)
    assert re.fullmatch(
        r"closed 1000 main cleanup by the service after 0\.\d\d s, 2 of 5 events came:"
        r" agent_started, agent_thinking, missing: tool_executing, tool_completed, agent_completed",
        said,
    ), said


def test_a_close_after_all_have_come_is_no_fault(tmp_path: Path) -> None:
    with talking(saying(*events("a"), close=(1011, "oops"))) as url:
        case = ws(tmp_path, url, "a").one()
    assert case.status is CaseStatus.PASSED
    # Whoever is first says how it is closed: the client has all that it waited for.
    assert "closed: 1011 oops" in case.output or "closed: 1000" in case.output


@pytest.mark.parametrize(
    ("came", "ordered", "passes"),
    [
        (["b", "a"], False, True),
        (["b", "a"], True, False),
        (["a", "x", "b"], True, True),
        (["a", "a"], False, False),
    ],
)
def test_order_counts_unless_it_is_said_not_to(
    tmp_path: Path, came: list[str], ordered: bool, passes: bool
) -> None:
    with talking(saying(*events(*came), close=(1000, ""))) as url:
        case = ws(tmp_path, url, "a", "b", expect={"ordered": ordered}).one()
    assert (case.status is CaseStatus.PASSED) is passes, case.message
    if came == ["b", "a"] and ordered:
        assert "1 of 2 events came: a, missing: b, came out of order: b" in str(case.message)


def test_what_does_not_come_in_time_is_missing(tmp_path: Path) -> None:
    began = time.monotonic()
    said = why(tmp_path, saying(*events("a", "x", "x")), "a", "b", expect={"within": 0.2})
    assert said == "within 0.2 s 1 of 2 events came: a, missing: b, others came: x (2 times)"
    assert time.monotonic() - began < 2
    silent = why(tmp_path, saying(), "a", expect={"within": 0.1})
    assert silent == "within 0.1 s none of 1 event came, missing: a; no message at all came"


def test_an_event_is_named_by_the_field_that_the_file_says(tmp_path: Path) -> None:
    messages = [{"data": {"kind": "a"}, "type": "b"}, {"data": {"kind": 7}}]
    with talking(saying(*messages)) as url:
        case = ws(tmp_path, url, "a", "7", expect={"field": "data.kind"}).one()
    assert case.status is CaseStatus.PASSED, case.message


def test_events_that_came_before_all_was_sent_are_no_pass(tmp_path: Path) -> None:
    asked = threading.Event()

    def busy(line: socket.socket, request: bytes) -> None:
        (key,) = re.findall(rb"(?i)sec-websocket-key: (\S+)", request)
        told = Headers(Upgrade="websocket", Connection="Upgrade")
        told["Sec-WebSocket-Accept"] = accept_key(key.decode())
        line.sendall(Response(101, "Switching Protocols", told).serialize())
        line.sendall(b'\x81\x0c{"type":"a"}')
        asked.wait(20)  # it takes nothing: the rest fills the buffers on the way

    chat = {"type": "chat", "content": "x" * 900_000}
    with listening(busy) as url:
        rig = ws(tmp_path, url, "a", send=[chat] * 60, expect={"within": 1.5}, test_timeout_s=2.0)
        said = rig.message()
        asked.set()
    assert re.fullmatch(r"\d+ of 60 messages could be sent", said), said


def test_messages_that_can_be_no_event_are_told(tmp_path: Path) -> None:
    odd = (b"\x00\xff", "no json \x1b[2J " + SECRET, "[" * 100_000, '"text"', "[1]")
    with talking(saying(*odd, *events("a"))) as url:
        rig = ws(tmp_path, url, "a")
        end = rig.run()
        assert rig.cases[0].status is CaseStatus.PASSED
        assert end.notes == ("messages that were binary: 1", "messages that were not JSON: 2")
        said = ws(tmp_path, url, "b", expect={"within": 0.3}).message()
    assert (
        "1 message is binary; 2 messages are not JSON (the first: no json \\x1b[2J [redact" in said
    )
    assert said.isprintable()
    assert SECRET not in said + rig.cases[0].output


def _refuse(_connection: ServerConnection, _request: Request) -> Response:
    return Response(403, "Forbidden", Headers(), f"no token {SECRET}".encode())


def _move(connection: ServerConnection, _request: Request) -> Response:
    response = Response(307, "Moved", Headers(), b"")
    response.headers["Location"] = "/elsewhere"
    return response


@pytest.mark.parametrize(
    ("process", "said", "status"),
    [
        (_refuse, "the handshake was refused: HTTP 403: no token [redacted:TOKEN]", 403),
        (_move, "HTTP 307, a redirect to /elsewhere, which is not followed", 307),
    ],
)
def test_a_refused_handshake_is_told_with_its_status(
    tmp_path: Path, process: Any, said: str, status: int
) -> None:
    with talking(saying(), process_request=process) as url:
        case = ws(tmp_path, url, "a").one()
    assert said in str(case.message)
    assert case.call is not None
    assert [exchange.status for exchange in case.call.exchanges] == [status]
    assert (case.call.contacts[0].failed, values(case, "error")) == (None, [1.0])
    assert values(case, "ws.connect") == []


def test_nobody_listening_is_a_failure_that_says_so(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    case = ws(tmp_path, f"http://127.0.0.1:{port}", "a").one()
    assert (case.status, case.message) == (CaseStatus.FAILED, "no connection: connection refused")
    assert case.call is not None
    assert case.call.contacts[0].failed == "ECONNREFUSED"
    assert case.call.exchanges == ()
    unknown = ws(tmp_path, "http://nobody.invalid", "a").message()
    assert unknown.startswith("no connection: the name cannot be resolved")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda line, _: line.shutdown(socket.SHUT_RDWR), "the handshake was not answered in HTTP"),
        (lambda line, _: line.sendall(b"SSH-2.0 \x1b[2J\r\n"), "the handshake was not answered in"),
        (lambda line, _: line.sendall(reply("200 OK", b"hi")), "was refused: HTTP 200: hi"),
        (lambda _line, _request: None, "no end of the handshake within 0.5 s"),
    ],
)
def test_what_is_no_websocket_is_told_for_what_it_is(
    tmp_path: Path, answer: Answer, said: str
) -> None:
    with listening(answer) as url:
        told = ws(tmp_path, url, "a", test_timeout_s=0.5).message()
    assert said in told
    assert told.isprintable()


def _raw(data: bytes) -> Talk:
    def talk(connection: ServerConnection) -> None:
        connection.recv()
        connection.socket.sendall(data)
        connection.recv()

    return talk


def _cut(connection: ServerConnection) -> None:
    connection.recv()
    connection.socket.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    ("talk", "said"),
    [
        (_raw(b"\xff\xff garbage"), "what came is no WebSocket's"),
        (_raw(b"\x81\x02\xff\xfe"), "a text message is not UTF-8"),
        (_raw(b"\x88\x02\x03\xe7"), "what came is no WebSocket's"),
        (_cut, "the connection was cut without a close frame"),
        (saying("x" * (2**20 + 1)), "a message is larger than 1 MiB"),
        (saying(b"\0" * 50_000_000), "a message is larger than 1 MiB"),
    ],
)
def test_a_connection_that_breaks_is_told_by_how_it_broke(
    tmp_path: Path, talk: Talk, said: str
) -> None:
    told = why(tmp_path, talk, "a")
    assert told.startswith(said), told
    assert "none of 1 event came" in told


def test_a_stream_that_never_ends_is_left(tmp_path: Path) -> None:
    def flood(connection: ServerConnection) -> None:
        connection.recv()
        while True:
            connection.send('{"type": "x"}')

    said = why(tmp_path, flood, "a", expect={"within": 30.0}, test_timeout_s=30.0)
    assert (
        said
        == "after 10000 messages none of 1 event came, missing: a, others came: x (10000 times)"
    )


def test_a_service_that_does_not_answer_the_close_costs_no_pass(tmp_path: Path) -> None:
    release = threading.Event()

    def deaf(connection: ServerConnection) -> None:
        connection.recv()
        connection.send('{"type": "a"}')
        connection.socket.shutdown(socket.SHUT_RD)
        release.wait(10)

    with talking(deaf) as url:
        case = ws(tmp_path, url, "a", test_timeout_s=0.5).one()
        release.set()
    assert case.status is CaseStatus.PASSED, case.message


def test_a_certificate_that_nobody_signed_is_refused(tmp_path: Path) -> None:
    with talking(saying(*events("a")), ssl=self_signed(tmp_path)) as url:
        rig = ws(tmp_path, url.replace("http:", "https:"), "a")
        case = rig.one()
        assert "TLS: the certificate is not accepted: self-signed" in str(case.message)
        with environment(SSL_CERT_FILE=str(tmp_path / "cert.pem")):
            trusted = rig.one()
    assert trusted.status is CaseStatus.PASSED, trusted.message
    assert graded(trusted).grade is Grade.OBSERVED


def test_each_connection_is_a_case_and_all_are_open_at_once(tmp_path: Path) -> None:
    together = threading.Barrier(5)

    def talk(connection: ServerConnection) -> None:
        connection.recv()
        together.wait(10)
        connection.send('{"type": "a"}')
        connection.recv()

    with talking(talk) as url:
        rig = ws(tmp_path, url, "a", connections=5)
        end = rig.run()
    assert end.collected == 5
    assert sorted(case.id for case in rig.cases) == [f"WS /ws #{n}" for n in range(1, 6)]
    assert {case.status for case in rig.cases} == {CaseStatus.PASSED}
    assert len({case.call.trace for case in rig.cases if case.call}) == 5
    found = rig.suite.collect(rig.spec, rig.context, Stop(1))
    assert found is not None
    assert sorted(found.ids) == sorted(case.id for case in rig.cases)


def test_a_retry_opens_only_what_it_is_for(tmp_path: Path) -> None:
    with talking(saying(*events("a"))) as url:
        rig = ws(tmp_path, url, "a", connections=3, only=("WS /ws #2", "WS /ws #9"))
        end = rig.run()
    assert [case.id for case in rig.cases] == ["WS /ws #2"]
    assert (end.collected, end.complete) == (1, False)
    assert "WS /ws #9" in end.detail


def test_a_handshake_is_all_that_is_asked_where_no_event_is(tmp_path: Path) -> None:
    with talking(saying()) as url:
        case = ws(tmp_path, url).one()
    assert case.status is CaseStatus.PASSED
    assert values(case, "ws.first_event") == []


def test_a_stop_ends_every_connection_at_once(tmp_path: Path) -> None:
    stop, arrived = Stop(60), threading.Semaphore(0)

    def talk(connection: ServerConnection) -> None:
        connection.recv()
        arrived.release()
        connection.recv()

    with talking(talk) as url:
        rig = ws(tmp_path, url, "a", connections=20, expect={"within": 60.0}, test_timeout_s=60.0)

        def stop_later() -> None:
            for _ in range(20):
                arrived.acquire()
            stop.stop("SIGINT")

        thread = threading.Thread(target=stop_later)
        thread.start()
        began = time.monotonic()
        with pytest.raises(Stopped, match="SIGINT"):
            rig.run(stop)
        thread.join()
    assert time.monotonic() - began < 5
    assert rig.cases == []


def test_the_suites_time_ends_it_and_keeps_what_came_until_then(tmp_path: Path) -> None:
    with talking(saying(*events("a"))) as url:
        rig = ws(tmp_path, url, "a", "b", expect={"within": 9.0}, suite_timeout_s=0.4)
        end = rig.run()
    (case,) = rig.cases
    assert case.status is CaseStatus.TIMEOUT
    assert str(case.message).startswith(
        "still running when the suite's 0.4 s were up; 1 of 2 event"
    )
    assert (end.complete, end.stopped) == (False, "suite timeout")
    assert case.call is not None
    assert case.call.contacts[0].received


def test_an_error_of_whoever_takes_the_cases_ends_the_suite(tmp_path: Path) -> None:
    def full(_: Case) -> None:
        raise OSError("no space left")

    with talking(saying(*events("a"))) as url, pytest.raises(OSError, match="no space left"):
        ws(tmp_path, url, "a", connections=2).run(on=full)


def test_an_address_that_is_none_is_a_problem_beforehand(tmp_path: Path) -> None:
    for url in ("${services.chat.url}/ws", "/ws", "ws://", "ws://x/#part"):
        rig = ws(tmp_path, "http://x.invalid", "a")
        rig.probe = {**rig.probe, "url": url}
        (problem,) = rig.suite.check(rig.spec, Stop(1))
        assert "is no address of a WebSocket" in problem.message
    fine = ws(tmp_path, "", "a")
    assert fine.suite.check(fine.spec, Stop(1)) == []
    fine.probe = {**fine.probe, "url": "${services.auth.ws_url}/ws"}
    with pytest.raises(SuiteError, match=r"services\.auth"):
        fine.run()


def test_the_handshake_bears_the_headers_of_the_file(tmp_path: Path) -> None:
    heads: list[Headers] = []

    def talk(connection: ServerConnection) -> None:
        assert connection.request is not None
        heads.append(connection.request.headers)
        connection.recv()
        connection.send(json.dumps({"type": "a"}))

    with talking(talk) as url:
        rig = ws(tmp_path, url, "a", headers={"Authorization": "Bearer t"})
        rig.run()
    assert rig.cases[0].status is CaseStatus.PASSED
    assert heads[0]["authorization"] == "Bearer t"
    assert "traceparent" in heads[0]


def test_a_header_that_cannot_be_sent_is_a_problem_beforehand(tmp_path: Path) -> None:
    rig = ws(tmp_path, "http://x.invalid", "a", headers={"X-A": "b\r\nX-C: d"})
    (problem,) = rig.suite.check(rig.spec, Stop(1))
    assert problem.message == "the header 'X-A' cannot be sent"


def test_a_wrapper_around_all_events_is_told_at_its_place(tmp_path: Path) -> None:
    with talking(saying({"type": "a", "n": 1}, {"type": "b"})) as url:
        rig = ws(tmp_path, url, "a", "b")
        assert rig.one().status is CaseStatus.PASSED
    rig.becomes_baseline()
    assert sorted(rig.shapes()["kinds"]) == ["a", "b"]
    with talking(saying({"payload": {"type": "a"}}, {"payload": {"type": "b"}})) as rig.url:
        rig.probe = {**rig.probe, "expect": {"events": ["a", "b"], "within": 0.3}}
        said = rig.message()
    assert said == (
        "within 0.3 s none of 2 events came, missing: a, b, others came: (no type) (2 times);"
        " changed shape at payload (new: object), type (was string, is gone)"
        " since the last green run"
    )


def test_a_wrapper_within_an_event_is_a_note_where_all_came(tmp_path: Path) -> None:
    with talking(saying({"type": "a", "data": {"text": "x"}})) as url:
        rig = ws(tmp_path, url, "a")
        rig.run()
    rig.becomes_baseline()
    with talking(saying({"type": "a", "data": [{"text": "x"}]})) as rig.url:
        end = rig.run()
    assert rig.cases[0].status is CaseStatus.PASSED
    assert end.notes == (
        "a: changed shape at data: was object, is list (since the last green run)",
    )


def under_a_low_limit(folder: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with talking(saying(*events("a"))) as url:
        rig = ws(folder, url, "a", connections=5)
        resource.setrlimit(resource.RLIMIT_NOFILE, (100, hard))
        try:
            rig.run()
            raised = resource.getrlimit(resource.RLIMIT_NOFILE)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert {case.message for case in rig.cases} == {None}
    assert raised == (205, hard)


def test_a_low_limit_of_open_files_is_raised_for_the_connections(tmp_path: Path) -> None:
    # In a process of its own: what other tests of this one have open would count, too.
    code = (
        f"import sys; sys.path[:0] = {sys.path!r}; from pathlib import Path; "
        f"import test_websocket_suite as own; own.under_a_low_limit(Path({str(tmp_path)!r}))"
    )
    subprocess.run([sys.executable, "-c", code], timeout=60, check=True)


@pytest.mark.slow
def test_a_thousand_connections_at_once_need_few_threads_and_little_memory(tmp_path: Path) -> None:
    # The server is in this process, too, with a thread for each connection: only ours are counted.
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with talking(saying(*events(*STEPS)), backlog=1024) as url:
        rig = ws(tmp_path, url, *STEPS, connections=1000, expect={"within": 60.0})
        rig.test_timeout_s = rig.suite_timeout_s = 90.0
        end = rig.run(Stop(100))
    failed = [case.message for case in rig.cases if case.status is not CaseStatus.PASSED]
    assert (end.complete, len(rig.cases), failed[:3]) == (True, 1000, [])
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 600 * 1024, f"{grown} KiB for both ends"
