"""Somebody meets the product for the first time."""

import uuid

import pytest
from chat_client import TURN, User, types

pytestmark = pytest.mark.p1


def test_from_signing_up_to_an_answer_that_is_still_there_later(chat):
    name = f"newcomer-{uuid.uuid4().hex[:12]}"
    assert chat.log_in(name).status_code == 401
    assert chat.sign_up(name).status_code == 201
    user = User(name, chat.log_in(name).json()["token"])
    assert chat.messages(user) == []
    with chat.live(user) as live:
        events = live.ask("how much is 12 * 12?")
    assert types(events) == TURN
    assert events[-1]["answer"] == "144"
    said = [(message["author"], message["content"]) for message in chat.messages(user)]
    assert said == [("user", "how much is 12 * 12?"), ("agent", "144")]


def test_a_newcomer_finds_the_agent_that_then_answers(chat):
    (agent,) = chat.request("GET", "/agents").json()["agents"]
    with chat.live(chat.new_user()) as live:
        started, _, executing, *_ = live.ask("7 - 8")
    assert started["agent"] == agent["name"]
    assert executing["tool"] in agent["tools"]


def test_coming_back_continues_the_conversation(chat):
    user = chat.new_user()
    with chat.live(user) as live:
        live.ask("1 + 1")
    again = User(user.name, chat.log_in(user.name).json()["token"])
    with chat.live(again) as live:
        live.ask("2 + 2")
    said = [message["content"] for message in chat.messages(again)]
    assert said == ["1 + 1", "2", "2 + 2", "4"]


def test_a_browser_can_give_its_token_in_the_query(chat):
    user = chat.new_user()
    with chat.handshake(f"/ws?token={user.token}") as connection:
        welcome = connection.recv(timeout=5)
    assert user.name in welcome


def test_a_password_that_is_too_short_is_refused_with_a_reason(chat):
    answer = chat.sign_up(f"newcomer-{uuid.uuid4().hex[:12]}", "short")
    assert answer.status_code == 400
    assert "password" in answer.json()["error"]
