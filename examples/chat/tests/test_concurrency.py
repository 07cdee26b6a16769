"""Several sockets open at once, each with its own conversation."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from chat_client import TURN, types

pytestmark = pytest.mark.p2
SOCKETS = 5


def test_several_users_are_live_at_once_and_each_gets_the_own_answer(chat):
    with ExitStack() as stack:
        sockets = [stack.enter_context(chat.live(chat.new_user())) for _ in range(SOCKETS)]
        for number, live in enumerate(sockets):
            live.send({"type": "chat", "content": f"{number} * 100"})
        turns = [live.turn() for live in sockets]
    assert [types(turn) for turn in turns] == [TURN] * SOCKETS
    assert [turn[-1]["answer"] for turn in turns] == ["0", "100", "200", "300", "400"]


def test_one_user_may_have_two_sockets(chat):
    user = chat.new_user()
    with chat.live(user) as phone, chat.live(user) as laptop:
        assert phone.ask("1 + 2")[-1]["answer"] == "3"
        assert laptop.ask("3 + 4")[-1]["answer"] == "7"
        assert phone.ping()
    assert len(chat.messages(user)) == 4


def test_a_socket_that_leaves_does_not_take_the_others_along(chat):
    with chat.live(chat.new_user()) as staying:
        with chat.live(chat.new_user()) as leaving:
            leaving.send({"type": "chat", "content": "5 * 5"})
        assert staying.ask("6 * 6")[-1]["answer"] == "36"


def test_sockets_that_open_at_the_same_moment_are_all_welcomed(chat):
    def one_turn(number: int) -> str:
        with chat.live(chat.new_user()) as live:
            return live.ask(f"{number} + 1000")[-1]["answer"]

    with ThreadPoolExecutor(SOCKETS) as pool:
        answers = list(pool.map(one_turn, range(SOCKETS), timeout=10))
    assert answers == ["1000", "1001", "1002", "1003", "1004"]


def test_requests_are_answered_while_sockets_are_open(chat):
    with chat.live(chat.new_user()) as first, chat.live(chat.new_user()) as second:
        assert chat.request("GET", "/health").status_code == 200
        assert chat.messages(chat.new_user()) == []
        assert types(first.ask("1")) == types(second.ask("1")) == TURN
