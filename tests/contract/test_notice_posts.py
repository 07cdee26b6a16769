"""Notices over real HTTP: what is tried again, what is not, how long; never a word of the URL."""

from __future__ import annotations

import logging
import socket
import ssl
import subprocess
import time
from pathlib import Path

import pytest
from announced import JOB, after, ended
from notice_forms import slack_faults, teams_faults
from webhook_server import Answer, webhook

from loopctl.errors import Stopped
from loopctl.integrations import notice_post
from loopctl.integrations.notices import Notice
from loopctl.model.notice import NoticeKind, NoticeSpec, kind_of, parts_of, place_of
from loopctl.model.state import Verdict
from loopctl.ports.announcer import AnnounceError, Before
from loopctl.process import Stop
from loopctl.redact import Secret

PATH = "/services/T0123/B0456/a-token-of-24-characters"
RED = after(ended(Verdict.RED, "a", job=JOB))


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is tried again is tried soon."""
    monkeypatch.setattr(notice_post, "_AGAIN_AFTER_S", 0.05)


def notice(origin: str, kind: NoticeKind = NoticeKind.SLACK, path: str = PATH) -> Notice:
    url = Secret("notify-1", f"{origin}{path}")
    parts = parts_of(url.reveal())
    assert parts is not None
    spec = NoticeSpec(1, (Verdict.RED,), kind, url, place_of(parts, kind))
    return Notice(spec, kind, url)


def trouble(of: Notice, within: float = 20.0) -> str:
    with pytest.raises(AnnounceError) as raised:
        of.announce(RED, Stop(within))
    said = f"{raised.value} {raised.value.__cause__!r} {of.name}"
    assert "a-token-of" not in said
    assert "/services" not in said
    return raised.value.what


def test_each_kind_is_taken_once_in_the_form_of_its_service() -> None:
    with webhook() as server:
        for kind in (NoticeKind.SLACK, NoticeKind.TEAMS, NoticeKind.WEBHOOK):
            (said,) = notice(server.origin, kind).announce(RED, Stop(20))
            assert "127.0.0.1" in said
            assert "a-token-of" not in said
        slack, teams, plain = server.taken
    assert {each.method for each in server.taken} == {"POST"}
    assert {each.path for each in server.taken} == {PATH}
    assert slack.headers["content-type"] == "application/json"
    assert slack.headers["user-agent"].startswith("loopctl/")
    assert slack_faults(slack.json) == []
    assert teams_faults(teams.json) == []
    assert (plain.json["schema"], plain.json["verdict"], plain.json["reason"]) == (
        1,
        "red",
        "failed",
    )


def test_nothing_is_asked_of_the_service_where_nothing_has_changed() -> None:
    with webhook() as server:
        one = notice(server.origin)
        same = after(RED, Before("r", "red", ("a",), (one.name,)))
        assert one.announce(same, Stop(20)) == ()
        assert server.taken == []


def test_a_service_that_is_busy_is_asked_again_when_it_says() -> None:
    with webhook(Answer(429, headers={"retry-after": "0"}), Answer(429), Answer()) as server:
        notice(server.origin).announce(RED, Stop(20))
        assert len(server.taken) == 3
    with webhook(Answer(429, headers={"retry-after": "3600"})) as server:
        assert trouble(notice(server.origin)) == "it answered 429"
        assert len(server.taken) == 1


def test_a_failure_of_the_service_is_met_once_more_and_no_refusal_is() -> None:
    with webhook(Answer(503), Answer()) as server:
        notice(server.origin).announce(RED, Stop(20))
        assert len(server.taken) == 2
        server.answer_with(Answer(500, f"no {PATH}"))
        assert trouble(notice(server.origin)) == "it answered 500"
        assert len(server.taken) == 4
        server.answer_with(Answer(403, "invalid_token"))
        assert trouble(notice(server.origin)) == "it answered 403 (invalid_token)"
        server.answer_with(Answer(404, f"Cannot POST {PATH}"))
        assert trouble(notice(server.origin)).startswith("it answered 404: the url is not")
        assert len(server.taken) == 6


def test_no_redirect_is_followed() -> None:
    with webhook() as other:
        leads = Answer(307, headers={"location": f"{other.origin}{PATH}"})
        with webhook(leads) as server:
            assert "leads elsewhere" in trouble(notice(server.origin))
        assert other.taken == []


def test_a_service_that_hangs_costs_no_more_than_the_time_there_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with webhook(Answer(hangs=True)) as server:
        monkeypatch.setattr(notice_post, "WITHIN_S", 0.3)
        began = time.monotonic()
        assert "no answer within" in trouble(notice(server.origin))
        assert len(server.taken) == 1, "what went over may have been taken: not again"
        with pytest.raises(Stopped):
            notice(server.origin).announce(RED, Stop(0.1))
        assert time.monotonic() - began < 3


def test_one_that_breaks_off_or_is_not_there_is_told_as_that() -> None:
    with webhook(Answer(cut=True)) as server:
        assert trouble(notice(server.origin)).startswith("the exchange broke off")
        assert len(server.taken) == 1
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert "no connection" in trouble(notice(f"http://127.0.0.1:{port}"))
    assert "no connection" in trouble(notice("http://nowhere.invalid"))


def test_a_certificate_that_nobody_signed_is_refused_and_one_that_is_trusted_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pem = _certificate(tmp_path)
    with webhook(certificate=pem) as server:
        assert "CERTIFICATE_VERIFY_FAILED" in trouble(notice(server.origin))
        monkeypatch.setenv("SSL_CERT_FILE", str(pem))
        notice(server.origin).announce(RED, Stop(20))
        assert len(server.taken) == 1


def test_no_client_logs_the_url_and_levels_are_put_back(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("httpx").setLevel(logging.INFO)
    with caplog.at_level(logging.DEBUG), webhook() as server:
        notice(server.origin).announce(RED, Stop(20))
        assert len(server.taken) == 1
    assert "a-token-of" not in caplog.text
    assert logging.getLogger("httpx").level == logging.INFO
    logging.getLogger("httpx").setLevel(logging.NOTSET)


# apprise loads all its plugins at once, and one of them what Python 3.13 no longer has.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_any_other_scheme_goes_through_apprise() -> None:
    with webhook() as server:
        one = notice(server.origin.replace("http", "json"), NoticeKind.APPRISE)
        assert one.name == "notice 1 to apprise (json)"
        one.announce(RED, Stop(20))
        (taken,) = server.taken
        assert taken.path.rstrip("/") == PATH
        assert "shop on staging: red" in taken.json["title"]
        assert JOB.url is not None
        assert JOB.url in taken.json["message"]
        server.answer_with(Answer(500))
        assert "could not send it" in trouble(one)
    assert "does not understand" in trouble(notice("nosuch://h", NoticeKind.APPRISE))


def test_the_kind_of_a_local_server_is_a_plain_webhook() -> None:
    parts = parts_of("http://127.0.0.1:9000/x")
    assert parts is not None
    assert kind_of(parts) is NoticeKind.WEBHOOK


def _certificate(folder: Path) -> Path:
    """A certificate of 127.0.0.1's own with its key, in one file."""
    assert ssl.HAS_TLSv1_3
    key, made = folder / "key.pem", folder / "made.pem"
    name = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    curve = ["-pkeyopt", "ec_paramgen_curve:P-256"]
    files = ["-keyout", str(key), "-out", str(made)]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", *curve, "-nodes", "-days", "1", *name, *files],
        check=True,
        capture_output=True,
    )
    both = folder / "both.pem"
    both.write_text(made.read_text() + key.read_text())
    return both
