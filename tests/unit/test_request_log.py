"""What a request log record says, and what it must never hold."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import h11
import pytest

from loopctl.platforms.host.request_log import OpenRequest, WsClose, path_only, trace_id
from loopctl.redact import Redactor

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def test_the_trace_id_is_read_from_a_valid_traceparent() -> None:
    assert trace_id([f"00-{TRACE}-00f067aa0ba902b7-01".encode()]) == TRACE


def test_a_later_version_may_say_more() -> None:
    assert trace_id([f"cc-{TRACE}-00f067aa0ba902b7-01-what-comes".encode()]) == TRACE


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"hello",
        f"ff-{TRACE}-00f067aa0ba902b7-01".encode(),
        f"00-{TRACE.upper()}-00f067aa0ba902b7-01".encode(),
        f"00-{'0' * 32}-00f067aa0ba902b7-01".encode(),
        f"00-{TRACE}-{'0' * 16}-01".encode(),
        f"00-{TRACE}-00f067aa0ba902b7-01-more".encode(),
        f"00-{TRACE}-00f067aa0ba902b7".encode(),
        f"00-{TRACE}-00f067aa0ba902b7-01\n".encode(),
    ],
)
def test_an_invalid_traceparent_is_ignored(header: bytes) -> None:
    assert trace_id([header]) is None


def test_two_traceparents_are_none() -> None:
    header = f"00-{TRACE}-00f067aa0ba902b7-01".encode()
    assert trace_id([header, header]) is None


@pytest.mark.parametrize(
    ("target", "path"),
    [
        (b"/a/b?token=secret", "/a/b"),
        (b"/a#secret", "/a"),
        (b"//host/a?x", "//host/a"),
        (b"http://user:secret@host/a/b?token=secret", "/a/b"),
        (b"http://host", "/"),
        (b"*", "*"),
    ],
)
def test_a_path_has_no_query_and_no_authority(target: bytes, path: str) -> None:
    assert path_only(target) == path


def test_a_record_is_one_ascii_line_that_no_terminal_acts_upon() -> None:
    request = h11.Request(
        method=b"GET",
        target=b"/x?token=secret",
        headers=[(b"Host", b"h"), (b"User-Agent", b"a\x9b2J")],
    )
    note = OpenRequest.of(request, "chat", 4711)
    note.ws_close = WsClose(code=1011, reason="\x1b[31mred", by="service")
    line = note.record("close").to_json()
    assert line.isascii()
    assert line.isprintable()
    assert "secret" not in line
    said = json.loads(line)
    assert said["user_agent"] == "a\\x9b2J"
    assert said["ws_close"] == {"code": 1011, "reason": "\x1b[31mred", "by": "service"}
    assert datetime.fromisoformat(said["at"]).tzinfo == UTC


def test_a_secret_in_any_text_of_a_request_is_kept_out_before_the_text_is_cut() -> None:
    secret = "hunter22-of-this-test"
    path = "/" + "p" * 1990 + secret
    request = h11.Request(
        method=b"GET",
        target=path.encode(),
        headers=[(b"Host", b"h"), (b"User-Agent", b"a" * 190 + secret.encode())],
    )
    note = OpenRequest.of(request, "chat", 4711)
    note.ws_close = WsClose(code=1011, reason=f"not {secret}", by="client")
    kept = note.record("close").hiding(Redactor({"TOKEN": secret}).text)
    assert kept.path == "/" + "p" * 1990 + "[redacted"
    assert kept.user_agent == "a" * 190 + "[redacted:"
    assert kept.ws_close == WsClose(code=1011, reason="not [redacted:TOKEN]", by="client")
