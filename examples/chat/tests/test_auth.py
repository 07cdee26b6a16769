"""Who gets in, and who does not."""

import base64
import json

import pytest
from chat_client import PASSWORD
from websockets.exceptions import InvalidStatus

pytestmark = pytest.mark.p0


def test_a_service_that_says_it_is_healthy_lets_somebody_in(chat):
    answer = chat.request("GET", "/health")
    assert answer.status_code == 200, answer.headers.get("location", answer.text)
    assert answer.json()["status"] == "healthy"
    assert answer.json()["revision"]
    # A health check alone proves little: it would pass while nobody can log in.
    assert chat.new_user().token


def test_a_login_yields_a_token_that_names_the_user_and_expires(chat):
    user = chat.new_user()
    header, claims, signature = user.token.split(".")
    assert json.loads(_decoded(header))["alg"] == "HS256"
    told = json.loads(_decoded(claims))
    assert told["sub"] == user.name
    assert told["exp"] > told["iat"]
    assert len(_decoded(signature)) == 32


def test_a_wrong_password_is_refused_without_a_token(chat):
    user = chat.new_user()
    answer = chat.log_in(user.name, PASSWORD + "!")
    assert answer.status_code == 401
    assert "token" not in answer.json()


def test_an_unknown_user_is_refused_in_the_same_words_as_a_wrong_password(chat):
    user = chat.new_user()
    wrong = chat.log_in(user.name, "not the password")
    unknown = chat.log_in(user.name + "-unknown")
    assert (unknown.status_code, unknown.json()) == (wrong.status_code, wrong.json())


def test_a_name_cannot_be_taken_twice(chat):
    user = chat.new_user()
    assert chat.sign_up(user.name, "another password").status_code == 409
    assert chat.log_in(user.name, "another password").status_code == 401


def test_a_forged_token_opens_nothing(chat):
    ana, ben = chat.new_user(), chat.new_user()
    stolen = f"{ana.token.rpartition('.')[0]}.{ben.token.rpartition('.')[2]}"
    answer = chat.request("GET", "/messages", headers={"Authorization": f"Bearer {stolen}"})
    assert answer.status_code == 401
    assert "signature" in answer.json()["error"]


def test_a_token_without_a_signature_algorithm_opens_nothing(chat):
    user = chat.new_user()
    unsigned = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    token = f"{unsigned}.{user.token.split('.')[1]}."
    answer = chat.request("GET", "/messages", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 401


@pytest.mark.parametrize("path", ["/ws", "/ws?token=not.a.token"])
def test_a_socket_without_a_good_token_is_refused_before_it_opens(chat, path):
    with pytest.raises(InvalidStatus) as refused, chat.handshake(path):
        pass
    assert refused.value.response.status_code == 401


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
