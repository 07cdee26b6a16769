"""Http suites ask real servers: what they must tell of good, bad and absent answers."""

from __future__ import annotations

import gzip
import re
import socket
import struct
import threading
import time
import zlib
from pathlib import Path
from typing import Any

import pytest
from platform_rig import environment
from probe_rig import (
    SECRET,
    Answer,
    Rig,
    graded,
    json_reply,
    listening,
    plain_words,
    receipt_of,
    reply,
    self_signed,
    values,
)

from loopctl.errors import Stopped
from loopctl.model.evidence import CaseStatus, Grade
from loopctl.ports.suite import SuiteError
from loopctl.process import Stop

URL = "${services.chat.url}"


def always(*parts: bytes) -> Answer:
    return lambda line, _: line.sendall(b"".join(parts))


def asking(folder: Path, url: str, *requests: dict[str, Any], **settings: Any) -> Rig:
    return Rig(folder, url, {"requests": list(requests)}, **settings)


def why(folder: Path, answer: Answer, request: dict[str, Any] | None = None, **more: Any) -> str:
    """Why a single request to such a server has failed."""
    with listening(answer) as url:
        return asking(folder, url, request or {"get": f"{URL}/health"}, **more).message()


def test_an_expected_answer_is_observed_and_with_a_receipt_proven(tmp_path: Path) -> None:
    requests: list[bytes] = []

    def answer(line: socket.socket, request: bytes) -> None:
        requests.append(request)
        line.sendall(json_reply({"status": "healthy"}))

    with listening(answer) as url:
        case = asking(
            tmp_path, url, {"get": f"{URL}/health?a=1", "json": {"status": "healthy"}}
        ).one()
    assert (case.id, case.status, case.message) == ("GET /health?a=1", CaseStatus.PASSED, None)
    call = case.call
    assert call is not None
    assert call.trace is not None
    assert f"traceparent: 00-{call.trace}-".encode() in requests[0]
    assert graded(case).grade is Grade.OBSERVED
    assert graded(case, receipt_of(case, 200)).grade is Grade.PROVEN
    (contact,), (exchange,) = call.contacts, call.exchanges
    assert (contact.target, contact.sent, contact.loopback) == ("chat", len(requests[0]), True)
    assert contact.received == len(json_reply({"status": "healthy"}))
    assert (exchange.target, exchange.path, exchange.status) == ("chat", "/health", 200)
    assert call.began is not None
    assert call.ended is not None
    assert call.began <= call.ended
    assert values(case, "error") == [0.0]
    assert 0 < values(case, "http")[0] < 5


def test_requests_share_a_connection_and_each_counts_its_own_bytes(tmp_path: Path) -> None:
    with listening(always(json_reply({}))) as url:
        rig = asking(tmp_path, url, {"get": f"{URL}/a"}, {"get": f"{URL}/bb"}, {"get": f"{URL}/a"})
        end = rig.run()
    assert (end.complete, end.collected, end.detail) == (True, 3, "")
    assert [case.id for case in rig.cases] == ["GET /a", "GET /bb", "GET /a (2)"]
    contacts = [case.call.contacts[0] for case in rig.cases if case.call]
    assert [contact.reused for contact in contacts] == [False, True, True]
    assert len({contact.local_ports for contact in contacts}) == 1
    sent = [contact.sent or 0 for contact in contacts]
    assert (sent[1], sent[2]) == (sent[0] + 1, sent[0])
    traces = {case.call.trace for case in rig.cases if case.call}
    assert len(traces) == 3


def test_collecting_knows_the_cases_without_any_service(tmp_path: Path) -> None:
    rig = asking(tmp_path, "", {"get": f"{URL}/a"}, {"post": f"{URL}/a"}, {"get": f"{URL}/a"})
    context = rig.context
    found = rig.suite.collect(rig.spec, context, Stop(5))
    assert found is not None
    assert found.ids == ("GET /a", "POST /a", "GET /a (2)")


def test_a_retry_asks_only_what_it_is_for(tmp_path: Path) -> None:
    with listening(always(json_reply({}))) as url:
        rig = asking(tmp_path, url, *[{"get": f"{URL}/a"}] * 3, only=("GET /a (2)",))
        end = rig.run()
        assert ([case.id for case in rig.cases], end.collected) == (["GET /a (2)"], 1)
        rig.only = ("GET /a (2)", "GET /gone")
        end = rig.run()
    assert not end.complete
    assert "GET /gone" in end.detail


@pytest.mark.parametrize(
    ("status", "wanted", "passes"),
    [
        ("204 x", None, True),
        ("304 x", None, False),
        ("404 x", [404], True),
        ("201 x", [200], False),
    ],
)
def test_any_2xx_is_expected_unless_the_file_says_otherwise(
    tmp_path: Path, status: str, wanted: list[int] | None, passes: bool
) -> None:
    request: dict[str, Any] = {"get": f"{URL}/"} | ({"status": wanted} if wanted else {})
    with listening(always(reply(status))) as url:
        case = asking(tmp_path, url, request).one()
    assert (case.status is CaseStatus.PASSED) is passes, case.message


def test_a_wrong_status_is_told_with_what_the_answer_says(tmp_path: Path) -> None:
    with listening(always(json_reply({"why": f"no {SECRET}\x1b[2J"}, "503 Down"))) as url:
        case = asking(tmp_path, url, {"get": f"{URL}/", "status": [200, 204]}).one()
    assert case.message is not None
    assert case.message.startswith('answers 503, not 200 or 204: {"why": "no [redacted:TOKEN]')
    assert SECRET not in case.output
    assert values(case, "error") == [1.0]
    assert values(case, "http"), "it was an answer"


def test_a_redirect_is_never_followed_and_names_its_location(tmp_path: Path) -> None:
    asked: list[bytes] = []

    def answer(line: socket.socket, request: bytes) -> None:
        asked.append(request)
        line.sendall(reply("307 Temporary", b"", "Location: /health"))

    said = why(tmp_path, answer)
    assert said == "answers 307, a redirect to /health, which is not followed; 2xx is expected"
    assert len(asked) == 1


def test_a_missing_field_and_another_value_are_told_apart(tmp_path: Path) -> None:
    document = {"data": {"kind": "answer", "n": 1}, "ok": 1, "list": [{"id": 7}]}
    expected = {"data.type": "x", "data": {"n": 2, "kind": "answer"}, "ok": True, "list.0.id": 7}
    said = why(tmp_path, always(json_reply(document)), {"get": f"{URL}/", "json": expected})
    assert said.split("; ") == [
        "there is no field data.type: data has kind, n",
        "data.n is 1, not 2",
        "ok is 1, not true",
    ]


def test_a_value_is_shown_short_and_without_secrets(tmp_path: Path) -> None:
    document = {"status": "x" * 100 + SECRET + "y" * 100_000}
    request = {"get": f"{URL}/", "json": {"status": "healthy"}}
    said = why(tmp_path, always(json_reply(document)), request)
    assert len(said) < 300
    assert "[redact" in said
    assert SECRET[:8] not in said


def test_what_is_not_json_is_told_where_json_is_expected(tmp_path: Path) -> None:
    request = {"get": f"{URL}/", "json": {"a": 1}}
    assert (
        why(tmp_path, always(reply("200 OK", b"<p>hi")), request) == "its body is not JSON: <p>hi"
    )
    assert why(tmp_path, always(reply("200 OK")), request) == "its body is not JSON: it is empty"
    deep = b"[" * 100_000
    assert "is not JSON" in why(tmp_path, always(reply("200 OK", deep)), request)
    listed = why(tmp_path, always(reply("200 OK", b'"x"')), request)
    assert listed == 'the document is "x", not an object'


def test_headers_and_a_json_body_are_sent_with_addresses_filled_in(tmp_path: Path) -> None:
    seen: list[bytes] = []

    def answer(line: socket.socket, request: bytes) -> None:
        seen.append(request)
        line.sendall(reply("200 OK"))

    request = {
        "post": f"{URL}/x",
        "headers": {"X-Back": f"{URL}/back", "Accept": "text/plain"},
        "send": {"callback": [f"{URL}/cb", None], "ü": 1},
    }
    with listening(answer) as url:
        rig = asking(tmp_path, url, request)
        assert rig.one().status is CaseStatus.PASSED
    head, _, body = seen[0].partition(b"\r\n\r\n")
    assert body.decode() == f'{{"callback":["{url}/cb",null],"ü":1}}'
    lines = head.decode().lower().split("\r\n")
    assert f"x-back: {url}/back" in lines
    assert "content-type: application/json" in lines
    assert [line for line in lines if line.startswith("accept:")] == ["accept: text/plain"]


def test_a_slow_answer_is_over_its_latency_and_says_by_how_much(tmp_path: Path) -> None:
    def answer(line: socket.socket, _: bytes) -> None:
        time.sleep(0.12)
        line.sendall(reply("200 OK"))

    said = why(tmp_path, answer, {"get": f"{URL}/", "max_latency": 0.1})
    assert re.fullmatch(r"took 0\.[12]\d\d s, 0\.1 s are allowed", said)


def test_nobody_listening_is_a_failure_that_says_so(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    case = asking(tmp_path, f"http://127.0.0.1:{port}", {"get": f"{URL}/"}).one()
    assert (case.status, case.message) == (CaseStatus.FAILED, "no answer: connection refused")
    assert case.call is not None
    assert [contact.failed for contact in case.call.contacts] == ["ECONNREFUSED"]
    assert case.call.exchanges == ()
    assert values(case, "error") == [1.0]
    assert values(case, "http") == []


def test_a_name_that_does_not_exist_is_told(tmp_path: Path) -> None:
    said = asking(tmp_path, "http://nobody.invalid", {"get": f"{URL}/"}).message()
    assert said.startswith("no answer: the name cannot be resolved")


def _reset(line: socket.socket, _: bytes) -> None:
    line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    line.close()


def _break_off(line: socket.socket, _: bytes) -> None:
    line.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    line.shutdown(socket.SHUT_RDWR)


def _hang_up(line: socket.socket, _: bytes) -> None:
    line.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (_reset, "no answer: connection reset"),
        (_hang_up, "no answer: the connection was closed without an answer"),
        (_break_off, "its answer broke off: HTTP 200, 4 B of its body came"),
        (always(b"\x16\x03\x01\x00\xff" * 40 + b"\r\n\r\n"), "no answer: "),
        (always(b"SSH-2.0-\x1b[31mevil\r\n\r\n"), "no answer: "),
        (always(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 50_000), "no answer: "),
    ],
)
def test_a_connection_that_ends_otherwise_is_told_for_what_it_is(
    tmp_path: Path, answer: Answer, said: str
) -> None:
    told = why(tmp_path, answer)
    assert told.startswith(said)
    assert told.isprintable()


def test_a_certificate_that_nobody_signed_is_refused(tmp_path: Path) -> None:
    with listening(always(reply("200 OK")), self_signed(tmp_path)) as url:
        case = asking(tmp_path, url, {"get": f"{URL}/"}).one()
        assert case.message is not None
        assert "TLS: the certificate is not accepted: self-signed certificate" in case.message
        with environment(SSL_CERT_FILE=str(tmp_path / "cert.pem")):
            trusted = asking(tmp_path, url, {"get": f"{URL}/"}).one()
    assert trusted.status is CaseStatus.PASSED, trusted.message
    assert graded(trusted).grade is Grade.OBSERVED


def test_plain_http_where_tls_is_spoken_is_told_as_tls(tmp_path: Path) -> None:
    with plain_words(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        rig = asking(tmp_path, f"https://127.0.0.1:{port}", {"get": f"{URL}/"})
        assert re.match(r"no answer: TLS: (wrong version number|record layer)", rig.message())
    with plain_words(b"") as port:
        rig = asking(tmp_path, f"https://127.0.0.1:{port}", {"get": f"{URL}/"}, test_timeout_s=0.2)
        case = rig.one()
    assert case.message == "no end of the TLS handshake within 0.2 s"
    assert case.call is not None
    assert case.call.contacts[0].failed is None
    assert case.call.exchanges == (), "no request has gone out"


def _drip(line: socket.socket, _request: bytes) -> None:
    line.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    for _ in range(100):
        line.sendall(b"x")
        time.sleep(0.02)


def _drip_head(line: socket.socket, _: bytes) -> None:
    for byte in b"HTTP/1.1 200 OK\r\nX: " + b"y" * 200:
        line.sendall(bytes([byte]))
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (_drip, r"no whole answer within 0\.3 s: HTTP 200, \d+ B of its body came"),
        (_drip_head, r"no answer within 0\.3 s"),
        (lambda _line, _request: None, r"no answer within 0\.3 s"),
    ],
)
def test_each_request_has_one_deadline_for_the_whole_of_it(
    tmp_path: Path, answer: Answer, said: str
) -> None:
    began = time.monotonic()
    told = why(tmp_path, answer, test_timeout_s=0.3)
    assert re.fullmatch(said, told), told
    assert time.monotonic() - began < 3


def _flood(line: socket.socket, _: bytes) -> None:
    line.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    chunk = b"10000\r\n" + b"z" * 65536 + b"\r\n"
    while True:
        line.sendall(chunk)


def test_an_answer_without_end_is_cut_and_told(tmp_path: Path) -> None:
    assert why(tmp_path, _flood) == "its body goes on after 8 MiB"


def test_a_small_body_that_unpacks_to_gigabytes_is_cut_too(tmp_path: Path) -> None:
    layer = gzip.compress(b"\0" * 50_000_000)
    bomb = always(reply("200 OK", layer, "Content-Encoding: gzip"))
    assert why(tmp_path, bomb) == "its body goes on after 8 MiB"
    good = always(reply("200 OK", gzip.compress(b'{"a": 1}'), "Content-Encoding: gzip"))
    assert why(tmp_path, good, {"get": f"{URL}/", "json": {"a": 2}}) == "a is 1, not 2"
    false = always(reply("200 OK", b"not gzip", "Content-Encoding: gzip"))
    assert "is not encoded as it says" in why(tmp_path, false, {"get": f"{URL}/", "json": {"a": 2}})


@pytest.mark.parametrize(
    "body", [b"not gzip", gzip.compress(b"whole" * 99)[:-9]], ids=["other", "cut off"]
)
def test_a_body_that_no_client_can_read_is_no_answer(tmp_path: Path, body: bytes) -> None:
    false = always(reply("200 OK", body, "Content-Encoding: gzip"))
    assert why(tmp_path, false, {"get": f"{URL}/"}).startswith("its body cannot be read: ")


@pytest.mark.parametrize("window", [zlib.MAX_WBITS, -zlib.MAX_WBITS])
def test_both_readings_of_deflate_are_read(tmp_path: Path, window: int) -> None:
    body = zlib.compress(b'{"a": 1}', wbits=window)
    with listening(always(reply("200 OK", body, "Content-Encoding: deflate"))) as url:
        case = asking(tmp_path, url, {"get": f"{URL}/", "json": {"a": 1}}).one()
    assert case.status is CaseStatus.PASSED, case.message


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity"])
def test_what_python_alone_takes_for_json_is_none(tmp_path: Path, value: str) -> None:
    answer = always(reply("200 OK", f'{{"a": 1, "b": {value}}}'.encode()))
    assert "is not JSON" in why(tmp_path, answer, {"get": f"{URL}/", "json": {"a": 1}})


def test_an_answer_without_expected_fields_is_to_be_json_all_the_same(tmp_path: Path) -> None:
    answer = always(reply("200 OK", b"<html>"))
    assert "is not JSON" in why(tmp_path, answer, {"get": f"{URL}/", "json": {}})


def test_a_stop_ends_it_at_once(tmp_path: Path) -> None:
    asked = threading.Event()
    stop = Stop(60)
    with listening(lambda _line, _request: asked.set()) as url:
        rig = asking(tmp_path, url, {"get": f"{URL}/"}, test_timeout_s=60)
        raised: list[BaseException] = []

        def run() -> None:
            try:
                rig.run(stop)
            except Stopped as error:
                raised.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        assert asked.wait(10)
        began = time.monotonic()
        stop.stop("SIGTERM")
        thread.join()
    assert time.monotonic() - began < 1
    assert [str(error) for error in raised] == ["SIGTERM"]
    assert rig.cases == []


def test_the_suites_time_ends_it_and_says_what_was_not_asked(tmp_path: Path) -> None:
    with listening(lambda _line, _request: None) as url:
        requests: list[dict[str, Any]] = [{"get": f"{URL}/{name}"} for name in "abc"]
        rig = asking(tmp_path, url, *requests, suite_timeout_s=0.3)
        end = rig.run()
    (case,) = rig.cases
    assert (case.id, case.status) == ("GET /a", CaseStatus.TIMEOUT)
    assert case.message == "still running when the suite's 0.3 s were up"
    assert (end.complete, end.stopped, end.collected) == (False, "suite timeout", 3)
    assert end.detail == "2 never started: GET /b, GET /c"


def test_a_service_without_an_address_is_an_error_before_anything_is_asked(tmp_path: Path) -> None:
    rig = asking(tmp_path, "http://x.invalid", {"get": f"{URL}/"}, {"get": "${services.auth.url}/"})
    with pytest.raises(SuiteError, match=r"services\.auth"):
        rig.run()
    assert rig.cases == []


def test_checking_tells_what_cannot_be_asked(tmp_path: Path) -> None:
    requests: list[dict[str, Any]] = [
        {"get": f"{URL}/fine"},
        {"get": "/only-a-path"},
        {"get": "ftp://x/"},
        {"get": "http://[::1"},
        {"get": f"{URL}/h", "headers": {"A B": "x"}},
        {"get": f"{URL}/h", "headers": {"A": "x\r\nB: y"}},
    ]
    rig = asking(tmp_path, "", *requests)
    problems = rig.suite.check(rig.spec, Stop(5))
    assert len(problems) == 5, problems
    with environment(HTTPS_PROXY="nonsense://x"):
        (*_, last) = rig.suite.check(rig.spec, Stop(5))
    assert "no HTTP request can be made" in last.message


def test_what_a_proxy_says_is_not_taken_for_the_services_answer(tmp_path: Path) -> None:
    with listening(always(json_reply({"portal": True}))) as proxy:
        names = dict.fromkeys(("HTTP_PROXY", "http_proxy"), proxy)
        with environment(**names, NO_PROXY="", no_proxy=""):
            case = asking(tmp_path, "http://chat.invalid", {"get": f"{URL}/x"}).one()
    assert case.status is CaseStatus.PASSED
    assert graded(case).grade is Grade.PLAUSIBLE


def test_a_request_to_somewhere_else_is_contradicted_and_carries_no_trace(tmp_path: Path) -> None:
    seen: list[bytes] = []

    def answer(line: socket.socket, request: bytes) -> None:
        seen.append(request)
        line.sendall(reply("200 OK"))

    with listening(answer) as elsewhere:
        case = asking(tmp_path, "http://x.invalid", {"get": f"{elsewhere}/"}).one()
    assert graded(case).grade is Grade.CONTRADICTED
    assert b"traceparent" not in seen[0]


@pytest.mark.parametrize("own", [{"receipts": False}, {"headers": True}])
def test_no_trace_of_ours_where_none_is_wanted(tmp_path: Path, own: dict[str, bool]) -> None:
    seen: list[bytes] = []

    def answer(line: socket.socket, request: bytes) -> None:
        seen.append(request)
        line.sendall(reply("200 OK"))

    mine = f"00-{'a' * 32}-{'b' * 16}-01"
    request: dict[str, Any] = {"get": f"{URL}/"}
    if "headers" in own:
        request["headers"] = {"Traceparent": mine}
    with listening(answer) as url:
        case = asking(tmp_path, url, request, receipts=own.get("receipts", True)).one()
    assert case.call is not None
    assert case.call.trace is None
    assert (mine.encode() in seen[0]) is ("headers" in own)
    assert seen[0].count(b"traceparent") == ("headers" in own)
    assert graded(case).grade is Grade.OBSERVED


def test_cookies_of_one_answer_are_not_sent_with_the_next_request(tmp_path: Path) -> None:
    seen: list[bytes] = []

    def answer(line: socket.socket, request: bytes) -> None:
        seen.append(request.lower())
        line.sendall(reply("200 OK", b"", "Set-Cookie: a=b; Path=/"))

    with listening(answer) as url:
        asking(tmp_path, url, {"get": f"{URL}/"}, {"get": f"{URL}/"}).run()
    assert b"cookie:" not in seen[1]


def test_a_changed_wrapper_is_told_at_its_place_when_a_field_is_missed(tmp_path: Path) -> None:
    answers = [json_reply({"data": {"type": "a", "text": "x"}}), json_reply({"payload": {}})]

    def answer(line: socket.socket, _: bytes) -> None:
        line.sendall(answers.pop(0))

    with listening(answer) as url:
        rig = asking(tmp_path, url, {"get": f"{URL}/", "json": {"data.type": "a"}})
        assert rig.one().status is CaseStatus.PASSED
        rig.becomes_baseline()
        said = rig.message()
    assert said == (
        "there is no field data.type: the document has payload; changed shape at data (was object,"
        " is gone), payload (new: object) since the last green run"
    )


def test_names_of_fields_are_inert_where_a_change_of_shape_is_told(tmp_path: Path) -> None:
    answers = iter(({"a": 1, "\x1b[31m\n# H": 1}, {"b": 1, "\x1b]0;t\x07\n": 1}))
    with listening(lambda line, _: line.sendall(json_reply(next(answers)))) as url:
        suite = asking(tmp_path, url, {"get": f"{URL}/x", "json": {"a": 1}})
        suite.run()
        suite.becomes_baseline()
        end = suite.run()
    told = "".join((*end.notes, suite.cases[0].message or ""))
    assert "changed shape at" in told
    assert not re.search(r"[\x00-\x1f]", told)


def test_a_change_of_shape_where_all_passed_is_a_note(tmp_path: Path) -> None:
    secret_name = {SECRET: 1}
    answers: list[object] = [
        {"a": {"b": 1}, **secret_name},
        {"a": [1], **secret_name},
        {"a": [1], **secret_name},
    ]

    def answer(line: socket.socket, _: bytes) -> None:
        line.sendall(json_reply(answers.pop(0)))

    with listening(answer) as url:
        rig = asking(tmp_path, url, {"get": f"{URL}/x"})
        assert rig.run().notes == ()
        assert SECRET not in (tmp_path / "kept" / "shapes.json").read_text()
        rig.becomes_baseline()
        end = rig.run()
        rig.becomes_baseline()
        assert rig.run().notes == (), "told once"
    assert rig.cases[0].status is CaseStatus.PASSED
    assert end.complete
    said = "GET /x 200: changed shape at a: was object, is list (since the last green run)"
    assert (end.notes, end.detail) == ((said,), "")


@pytest.mark.parametrize("broken", [b"", b"{", b"[]", b'{"version": 1, "kinds": {"x": []}}', None])
def test_a_broken_record_of_the_last_green_run_compares_nothing(
    tmp_path: Path, broken: bytes | None
) -> None:
    with listening(always(json_reply({"a": 1}))) as url:
        rig = asking(tmp_path, url, {"get": f"{URL}/"}, baseline=tmp_path)
        if broken is None:
            (tmp_path / "shapes.json").mkdir()
        else:
            (tmp_path / "shapes.json").write_bytes(broken)
        end = rig.run()
    assert (end.complete, end.notes) == (True, ())
