"""The prober asks real servers: what it must tell of good, bad and absent answers."""

from __future__ import annotations

import gzip
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from platform_rig import environment
from probe_rig import listening
from probe_rig import reply as whole
from raw_server import raw_server

from loopctl.errors import Stopped
from loopctl.platforms.prober import HttpProber
from loopctl.ports.probe import Answer, Unreachable
from loopctl.process import Stop
from loopctl.redact import Secret

PROBER = HttpProber()


@contextmanager
def server(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    with raw_server(answer) as port:
        yield f"http://127.0.0.1:{port}"


def reply(status: str, body: bytes = b"", *headers: str) -> Callable[[socket.socket], None]:
    head = "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers])
    return lambda connection: connection.sendall(head.encode() + b"\r\n\r\n" + body)


def probe(url: str, timeout_s: float = 5, *, follow: bool = False) -> Answer | Unreachable:
    return PROBER.get(url, timeout_s, follow, Stop(10))


def answered(url: str, *, follow: bool = False) -> Answer:
    answer = probe(url, follow=follow)
    assert isinstance(answer, Answer), answer
    return answer


def unreachable(url: str, timeout_s: float = 5) -> str:
    answer = probe(url, timeout_s)
    assert isinstance(answer, Unreachable), answer
    return answer.reason


def test_an_answer_is_told_with_status_body_and_latency() -> None:
    with server(reply("200 OK", b'{"status": "healthy"}')) as url:
        answer = answered(url + "/health")
    assert (answer.status, answer.body, answer.own) == (200, '{"status": "healthy"}', True)
    assert 0 < answer.latency_s < 5


def test_a_redirect_is_told_and_not_followed_unless_wished() -> None:
    with server(reply("200 OK", b"there")) as there:
        moved = reply("307 Temporary Redirect", b"", f"Location: {there}/new")
        with server(moved) as url:
            stays, goes = answered(url), answered(url, follow=True)
    assert (stays.status, stays.location) == (307, f"{there}/new")
    assert (goes.status, goes.body) == (200, "there")


def test_an_answer_of_the_front_door_is_not_the_services_own() -> None:
    with server(reply("503 Unavailable", b"", "X-Loopctl-Front-Door: no-upstream")) as url:
        assert answered(url).own is False


def test_a_long_body_is_cut_and_an_encoded_one_is_read() -> None:
    with server(reply("200 OK", b"x" * 1_000_000)) as url:
        assert answered(url).body == "x" * 65536
    with server(reply("200 OK", gzip.compress(b"hello"), "Content-Encoding: gzip")) as url:
        assert answered(url).body == "hello"


def test_nobody_listening_is_an_answer_too() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert "refused" in unreachable(f"http://127.0.0.1:{port}/")


def test_what_is_not_http_is_unreachable_with_one_inert_line() -> None:
    with server(lambda connection: connection.sendall(b"\x1b[31mSSH-2.0\r\n\r\n")) as url:
        reason = unreachable(url)
    assert "\n" not in reason
    with server(lambda connection: connection.shutdown(socket.SHUT_RDWR)) as url:
        assert "disconnected" in unreachable(url)


@pytest.mark.parametrize("url", ["http://", "ftp://127.0.0.1/", "http://[::1", "not a url"])
def test_an_address_that_is_none_is_unreachable(url: str) -> None:
    assert unreachable(url)


def test_an_answer_that_never_ends_is_given_up_in_time() -> None:
    def trickle(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(100):
            connection.sendall(b"x")
            time.sleep(0.02)

    with server(trickle) as url:
        began = time.monotonic()
        assert unreachable(url, 0.3).startswith("no whole answer within 0.3 s")
        assert time.monotonic() - began < 1


def test_a_stopped_probe_raises_stopped() -> None:
    stop = Stop(10)
    stop.stop("enough")
    with pytest.raises(Stopped):
        PROBER.get("http://127.0.0.1:9/", 1, False, stop)


def test_a_proxy_of_the_environment_is_not_asked_for_this_machine() -> None:
    with (
        server(reply("200 OK", b"direct")) as url,
        environment(HTTP_PROXY="http://127.0.0.1:9", http_proxy="http://127.0.0.1:9"),
    ):
        answer = HttpProber().get(url, 5, False, Stop(10))
    assert isinstance(answer, Answer)
    assert answer.body == "direct"


def test_a_prober_that_can_ask_has_no_problem() -> None:
    assert HttpProber().check(Stop(10)) == []


@pytest.mark.parametrize("wrong", [{"HTTP_PROXY": "::"}, {"SSL_CERT_FILE": "/nowhere/ca.pem"}])
def test_what_keeps_it_from_asking_anybody_is_told_before_it_asks(wrong: dict[str, str]) -> None:
    with environment(**wrong):
        (problem,) = HttpProber().check(Stop(10))
    assert "no HTTP request can be made" in problem.message
    assert problem.hint is not None
    assert next(iter(wrong)) in problem.hint


def test_a_silent_service_does_not_hold_up_whoever_stops() -> None:
    asked, stop = threading.Event(), Stop()

    def say_nothing(connection: socket.socket) -> None:
        asked.set()
        connection.recv(1)

    def interrupt() -> None:
        asked.wait(5)
        stop.stop("SIGINT")

    with server(say_nothing) as url:
        stopper = threading.Thread(target=interrupt)
        stopper.start()
        with pytest.raises(Stopped, match="SIGINT"):
            PROBER.get(url, 60, False, stop)
        stopper.join()


def test_a_head_that_trickles_is_late_as_a_whole() -> None:
    def trickle(connection: socket.socket) -> None:
        connection.settimeout(0.05)
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while True:
            connection.sendall(b"X-More: 1\r\n")
            try:
                if not connection.recv(1):
                    return
            except TimeoutError:
                continue

    with server(trickle) as url:
        assert probe(url, 0.4) == Unreachable("no whole answer within 0.4 s")


def test_a_token_goes_to_the_first_host_alone_and_never_without_tls() -> None:
    shown: list[tuple[str, bool]] = []

    def answering(name: str, answer: bytes) -> Callable[[socket.socket, bytes], None]:
        def say(line: socket.socket, request: bytes) -> None:
            shown.append((name, b"authorization: bearer eyj" in request.lower()))
            line.sendall(answer)

        return say

    token = Secret("id-token", "eyJhbGciOiJub25lIn0.eyJhIjoxfQ.c2lnbmF0dXJl")
    with listening(answering("there", whole("200 OK"))) as there:
        moved = whole("302 Found", b"", f"Location: {there}/new")
        with listening(answering("here", moved)) as here:
            answer = PROBER.get(here, 5, True, Stop(10), token)
    assert isinstance(answer, Answer)
    assert answer.status == 200
    assert shown == [("here", True), ("there", False)]
    refused = PROBER.get("http://service.example/health", 5, True, Stop(10), token)
    assert isinstance(refused, Unreachable)
    assert "without TLS" in refused.reason
