"""Messages over HTTP: what is stored, what is listed, and what is refused how."""

import pytest

pytestmark = pytest.mark.p1


def test_a_stored_message_is_listed_again(chat):
    user = chat.new_user()
    stored = chat.request("POST", "/messages", json={"content": "hello"}, headers=user.headers)
    assert stored.status_code == 201
    (listed,) = chat.messages(user)
    assert listed == {"id": stored.json()["id"], "author": "user", "content": "hello"}


def test_messages_keep_their_order_and_their_characters(chat):
    user = chat.new_user()
    said = ["first", "zweitens: äöü", "第三 \u202e\x1b[31m", "4\n5"]
    for content in said:
        chat.request("POST", "/messages", json={"content": content}, headers=user.headers)
    assert [message["content"] for message in chat.messages(user)] == said


def test_nobody_reads_anothers_messages(chat):
    ana, ben = chat.new_user(), chat.new_user()
    chat.request("POST", "/messages", json={"content": "for me"}, headers=ana.headers)
    assert chat.messages(ben) == []


def test_without_a_token_there_are_no_messages(chat):
    for method in ("GET", "POST"):
        answer = chat.request(method, "/messages")
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("body", [b"{", b"[1]", b"{}", b'{"content": 7}', b'{"content": " "}'])
def test_a_body_that_is_not_a_message_is_a_bad_request(chat, body):
    user = chat.new_user()
    answer = chat.request("POST", "/messages", content=body, headers=user.headers)
    assert answer.status_code == 400
    assert answer.json()["error"]
    assert chat.messages(user) == []


def test_unknown_paths_and_methods_are_told_apart(chat):
    assert chat.request("GET", "/nowhere").status_code == 404
    refused = chat.request("DELETE", "/messages")
    assert refused.status_code == 405
    assert refused.headers["allow"] == "GET, POST"


def test_a_body_beyond_the_limit_is_refused(chat):
    user = chat.new_user()
    answer = chat.request("POST", "/messages", json={"content": "x" * 70_000}, headers=user.headers)
    assert answer.status_code == 413
    assert chat.messages(user) == []


def test_a_connection_carries_many_requests(chat):
    user = chat.new_user()
    connections = set()
    for number in range(5):
        body = {"content": str(number)}
        answer = chat.request("POST", "/messages", json=body, headers=user.headers)
        assert answer.status_code == 201
        stream = answer.extensions["network_stream"]
        connections.add(stream.get_extra_info("client_addr"))
    assert len(connections) == 1
    assert len(chat.messages(user)) == 5
