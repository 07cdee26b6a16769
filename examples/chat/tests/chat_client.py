"""What a user's program would do: HTTP requests and a WebSocket, every wait with a limit."""

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

SECONDS = 5.0
PASSWORD = "correct horse battery staple"
TURN = ["agent_started", "agent_thinking", "tool_executing", "tool_completed", "agent_completed"]


class SocketClosedError(AssertionError):
    """The service closed a socket that the test was still using."""


@dataclass(frozen=True)
class User:
    """Somebody who has signed up and logged in."""

    name: str
    # Not shown in a failure's report: whoever holds it is the user.
    token: str = field(repr=False)

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


class Live:
    """An open socket that speaks JSON."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    def send(self, message: object) -> None:
        self.send_text(json.dumps(message))

    def send_text(self, text: str) -> None:
        try:
            self._connection.send(text)
        except ConnectionClosed as closed:
            raise _told(closed) from closed

    def receive(self) -> dict:
        try:
            return json.loads(self._connection.recv(timeout=SECONDS))
        except ConnectionClosed as closed:
            raise _told(closed) from closed
        except TimeoutError:
            raise AssertionError(f"the service sent nothing for {SECONDS:g} s") from None

    def ping(self) -> bool:
        return self._connection.ping().wait(SECONDS)

    def ask(self, question: str) -> list[dict]:
        """Ask, and receive all events of the turn."""
        self.send({"type": "chat", "content": question})
        return self.turn()

    def turn(self) -> list[dict]:
        """Receive as many events as a whole turn has."""
        return [self.receive() for _ in TURN]


class Chat:
    """The service as its users see it."""

    def __init__(self, base_url: str, ws_url: str) -> None:
        # trust_env off: a proxy of the machine must not answer in the service's place.
        self._http = httpx.Client(base_url=base_url, timeout=SECONDS, trust_env=False)
        self._ws_url = ws_url.rstrip("/")

    def request(self, method: str, path: str, **options) -> httpx.Response:
        return self._http.request(method, path, **options)

    def close(self) -> None:
        self._http.close()

    def sign_up(self, name: str, password: str = PASSWORD) -> httpx.Response:
        return self.request("POST", "/signup", json={"user": name, "password": password})

    def log_in(self, name: str, password: str = PASSWORD) -> httpx.Response:
        return self.request("POST", "/login", json={"user": name, "password": password})

    def new_user(self) -> User:
        """Sign up and log in somebody whom no other test knows."""
        name = f"user-{uuid.uuid4().hex[:12]}"
        signed_up = self.sign_up(name)
        assert signed_up.status_code == 201, signed_up.text
        logged_in = self.log_in(name)
        assert logged_in.status_code == 200, logged_in.text
        return User(name, logged_in.json()["token"])

    def messages(self, user: User) -> list[dict]:
        answer = self.request("GET", "/messages", headers=user.headers)
        assert answer.status_code == 200, answer.text
        return answer.json()["messages"]

    def handshake(self, path: str = "/ws", headers: dict[str, str] | None = None):
        """Connect without expecting a welcome; used as a context manager."""
        return connect(
            self._ws_url + path,
            additional_headers=headers,
            open_timeout=SECONDS,
            close_timeout=SECONDS,
            proxy=None,
        )

    @contextmanager
    def live(self, user: User) -> Iterator[Live]:
        """A socket that the service has welcomed."""
        with self.handshake(headers=user.headers) as connection:
            live = Live(connection)
            welcome = live.receive()
            assert welcome.get("type") == "connection_established", f"unexpected welcome: {welcome}"
            yield live


def types(events: list[dict]) -> list[str]:
    return [str(event.get("type")) for event in events]


def _told(closed: ConnectionClosed) -> SocketClosedError:
    frame = closed.rcvd
    if frame is None:
        return SocketClosedError("the service dropped the connection without a close frame (1006)")
    return SocketClosedError(
        f"the service closed the socket: {frame.code} {frame.reason!r} ({closed})"
    )
