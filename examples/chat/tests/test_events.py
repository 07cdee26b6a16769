"""The live protocol: which events a question gets, in which order, in which shape."""

import pytest
from chat_client import TURN, Live, types

pytestmark = pytest.mark.p0


def test_a_socket_is_welcomed_with_the_users_own_name(chat):
    user = chat.new_user()
    with chat.handshake(headers=user.headers) as connection:
        welcome = Live(connection).receive()
    assert welcome.get("type") == "connection_established", f"unexpected welcome: {welcome}"
    assert welcome["user"] == user.name
    assert welcome["connection_id"]


def test_a_question_gets_the_five_events_in_order(chat):
    with chat.live(chat.new_user()) as live:
        events = live.ask("what is 6*7?")
    assert types(events) == TURN


def test_the_answer_is_computed_from_the_question(chat):
    with chat.live(chat.new_user()) as live:
        assert live.ask("what is 6*7?")[-1]["answer"] == "42"
        assert live.ask("and (1 + 2) * -3 / 2")[-1]["answer"] == "-4.5"


def test_a_question_without_numbers_is_read_as_text(chat):
    with chat.live(chat.new_user()) as live:
        answer = live.ask("never odd or even")[-1]["answer"]
    assert answer == "4 words; backwards: neve ro ddo reven"


def test_the_tools_output_is_what_the_agent_answers(chat):
    with chat.live(chat.new_user()) as live:
        _, _, executing, completed, agent = live.ask("2 + 2")
    assert executing["tool"] == completed["tool"] == "calculator"
    assert executing["input"] == "2 + 2"
    assert completed["output"] == agent["answer"] == "4"


def test_turns_are_numbered_and_do_not_mix(chat):
    with chat.live(chat.new_user()) as live:
        live.send({"type": "chat", "content": "1 + 1"})
        live.send({"type": "chat", "content": "10 * 10"})
        first, second = live.turn(), live.turn()
    assert {event["turn"] for event in first} == {1}
    assert {event["turn"] for event in second} == {2}
    assert (first[-1]["answer"], second[-1]["answer"]) == ("2", "100")


@pytest.mark.parametrize("text", ["not json", "[]", '{"type": "chat"}', '{"type": "dance"}'])
def test_a_message_it_cannot_read_is_told_and_the_socket_lives_on(chat, text):
    with chat.live(chat.new_user()) as live:
        live.send_text(text)
        assert live.receive()["type"] == "error"
        assert live.ask("3 * 3")[-1]["answer"] == "9"


def test_a_division_by_zero_is_answered_not_fatal(chat):
    with chat.live(chat.new_user()) as live:
        assert live.ask("1/0")[-1]["answer"] == "nothing can be divided by zero"
        assert live.ask("1/1")[-1]["answer"] == "1"
