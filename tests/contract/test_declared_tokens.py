"""Declared suites show a service the token that it wants, and nobody else."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from probe_rig import Rig, json_reply, listening, talking
from websockets.sync.server import ServerConnection

from loopctl.model.evidence import CaseStatus
from loopctl.model.plan import SuiteKind
from loopctl.suites.suite_environment import contract_variables

TOKEN = "header.claims.signature"


def keeping(heard: list[str]) -> Callable[[socket.socket, bytes], None]:
    """Answers 200, and keeps what it is shown."""

    def answer(line: socket.socket, request: bytes) -> None:
        lines = request.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
        headers = dict(line.lower().split(": ", 1) for line in lines)
        heard.append(headers.get("authorization", ""))
        line.sendall(json_reply({"status": "healthy"}))

    return answer


@pytest.mark.parametrize(
    ("headers", "shown"),
    [
        ({}, f"bearer {TOKEN}"),
        ({"AUTHORIZATION": "Basic own"}, "basic own"),
        ({"X-Other": "x"}, f"bearer {TOKEN}"),
    ],
)
def test_a_request_shows_the_token_unless_it_says_who_it_is(
    tmp_path: Path, headers: dict[str, str], shown: str
) -> None:
    heard: list[str] = []
    with listening(keeping(heard)) as url:
        request = {"get": "${services.chat.url}/x", "headers": headers}
        rig = Rig(tmp_path, url, {"requests": [request]}, token=TOKEN)
        assert rig.one().status is CaseStatus.PASSED
    assert heard == [shown]


def test_another_host_is_shown_nothing(tmp_path: Path) -> None:
    heard: list[str] = []
    with listening(keeping([])) as url, listening(keeping(heard)) as other:
        Rig(tmp_path, url, {"requests": [{"get": f"{other}/x"}]}, token=TOKEN).run()
    assert heard == [""]


def test_each_request_shows_the_token_of_its_time(tmp_path: Path) -> None:
    heard: list[str] = []
    keep = keeping(heard)

    def renewing(line: socket.socket, request: bytes) -> None:
        (tmp_path / "chat.token").write_text(f"token-{len(heard) + 2}")
        keep(line, request)

    with listening(renewing) as url:
        requests = [{"get": "${services.chat.url}/a"}, {"get": "${services.chat.url}/b"}]
        Rig(tmp_path, url, {"requests": requests}, token="token-1").run()
    assert heard == ["bearer token-1", "bearer token-2"]


@pytest.mark.parametrize(
    ("headers", "shown"), [({}, f"Bearer {TOKEN}"), ({"authorization": "Basic own"}, "Basic own")]
)
def test_a_websocket_shows_it_in_its_handshake(
    tmp_path: Path, headers: dict[str, str], shown: str
) -> None:
    heard: list[str | None] = []

    def talk(socket: ServerConnection) -> None:
        assert socket.request is not None
        heard.append(socket.request.headers.get("Authorization"))
        socket.send(json.dumps({"type": "welcome"}))

    probe = {"url": "${services.chat.ws_url}/ws", "expect": {"events": ["welcome"]}}
    with talking(talk) as url:
        rig = Rig(
            tmp_path, url, {**probe, "headers": headers}, kind=SuiteKind.WEBSOCKET, token=TOKEN
        )
        assert rig.one().status is CaseStatus.PASSED
    assert heard == [shown]


def test_a_token_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with listening(keeping([])) as url:
        rig = Rig(tmp_path, url, {"requests": [{"get": "${services.chat.url}/x"}]}, token=TOKEN)
        context = rig.context
        (tmp_path / "chat.token").unlink()
        with pytest.raises(Exception, match="the token of chat cannot be read"):
            context.authorization("chat", url)


def test_a_process_is_told_the_file_and_not_the_token(tmp_path: Path) -> None:
    rig = Rig(tmp_path, "http://127.0.0.1:9", {}, token=TOKEN)
    given = contract_variables(rig.spec, rig.context)
    assert given["LOOPCTL_ID_TOKEN_FILE_CHAT"] == str(tmp_path / "chat.token")
    assert TOKEN not in str(given)
