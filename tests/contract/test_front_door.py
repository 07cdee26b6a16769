"""The front door against real services and clients: nothing lost, nothing dressed up."""

from __future__ import annotations

import http.client
import socket
import threading
from collections import Counter
from collections.abc import Iterator

import httpx
import pytest
from front_door_rig import (
    WAIT_S,
    DoorRig,
    HttpService,
    RawClient,
    a_client,
    a_door,
    a_service,
    http_service,
)

from loopctl.platforms.host.front_door import FrontDoor, PortInUseError
from loopctl.platforms.host.upstreams import Upstream

MARK = "x-loopctl-front-door"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"

rig = pytest.fixture(a_door)
client = pytest.fixture(a_client)
one = pytest.fixture(a_service)


@pytest.fixture
def two() -> Iterator[HttpService]:
    with http_service("chat-00002") as service:
        yield service


def nobody() -> Upstream:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return Upstream("chat-dead", "127.0.0.1", listener.getsockname()[1])


def more_requests(rig: DoorRig, count: int) -> None:
    goal = len(rig.records) + count
    rig.until(lambda records: len(records) >= goal)


class Load(threading.Thread):
    """Asks who serves, again and again, until told to stop."""

    def __init__(self, port: int, stop: threading.Event, *, keep_alive: bool) -> None:
        super().__init__()
        self.answers: Counter[str] = Counter()
        self.failures: list[str] = []
        self._port, self._stop_now, self._keep_alive = port, stop, keep_alive

    def run(self) -> None:
        headers = {} if self._keep_alive else {"Connection": "close"}
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=WAIT_S)
        while not self._stop_now.is_set():
            try:
                connection.request("GET", "/who", headers=headers)
                answer = connection.getresponse()
                self.answers[f"{answer.status} {answer.read().decode()}"] += 1
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(repr(error))
                connection.close()
        connection.close()


def test_no_request_fails_while_traffic_switches_under_load(
    rig: DoorRig, one: HttpService, two: HttpService
) -> None:
    rig.route((one.upstream, 100))
    stop = threading.Event()
    load = [Load(rig.port, stop, keep_alive=number % 2 == 0) for number in range(8)]
    for thread in load:
        thread.start()
    for turn in range(20):
        more_requests(rig, 20)
        rig.route(((two, one)[turn % 2].upstream, 100))
    stop.set()
    for thread in load:
        thread.join(WAIT_S)
    answers = sum((thread.answers for thread in load), Counter[str]())
    assert [thread.failures for thread in load] == [[]] * 8
    assert set(answers) == {"200 chat-00001", "200 chat-00002"}
    assert answers.total() == len(rig.records)


def test_a_clients_connection_outlives_a_switch(
    rig: DoorRig, one: HttpService, two: HttpService
) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", rig.port, timeout=WAIT_S)
    ports = set()
    for service in (one, two, one):
        rig.route((service.upstream, 100))
        connection.request("GET", "/")
        assert connection.getresponse().read().decode() == service.revision
        ports.add(connection.sock.getsockname()[1])
    connection.close()
    assert len(ports) == 1


def test_shares_are_kept_exactly(rig: DoorRig, one: HttpService, two: HttpService) -> None:
    rig.route((one.upstream, 90), (two.upstream, 10))
    with httpx.Client(base_url=rig.door.url) as client:
        answers = Counter(client.get("/").text for _ in range(20))
    assert answers == {"chat-00001": 18, "chat-00002": 2}


@pytest.mark.parametrize("percents", [(50, 49), (101, -1), (100, 100)])
def test_shares_that_are_not_a_hundred_are_refused(
    rig: DoorRig, one: HttpService, two: HttpService, percents: tuple[int, int]
) -> None:
    with pytest.raises(ValueError, match="100 percent"):
        rig.route((one.upstream, percents[0]), (two.upstream, percents[1]))


def test_a_request_in_flight_stays_with_its_revision(
    rig: DoorRig, one: HttpService, two: HttpService
) -> None:
    rig.route((one.upstream, 100))
    got: list[str] = []
    asker = threading.Thread(target=lambda: got.append(httpx.get(f"{rig.door.url}/gate").text))
    asker.start()
    assert one.entered.wait(WAIT_S)
    rig.route((two.upstream, 100))
    assert rig.door.in_flight("chat-00001") == 1
    assert rig.do(rig.door.drained("chat-00001", 0.02)) is False
    assert httpx.get(rig.door.url).text == "chat-00002"
    one.gate.set()
    assert rig.do(rig.door.drained("chat-00001", WAIT_S)) is True
    asker.join(WAIT_S)
    assert got == ["chat-00001"]


def test_with_no_revision_the_door_says_so_itself(rig: DoorRig, client: httpx.Client) -> None:
    answer = client.get("/")
    assert (answer.status_code, answer.headers[MARK]) == (503, "no-upstream")
    assert "no revision" in answer.text
    assert (rig.last().revision, rig.last().error) == (None, "no-upstream")


def test_a_revision_that_refuses_is_a_marked_502(rig: DoorRig, client: httpx.Client) -> None:
    rig.route((nobody(), 100))
    answer = client.get("/")
    assert (answer.status_code, answer.headers[MARK]) == (502, "upstream-refused")
    assert (rig.last().revision, rig.last().error) == ("chat-dead", "upstream-refused")


@pytest.mark.parametrize(("method", "times"), [("GET", 2), ("POST", 1)])
def test_only_what_may_be_sent_twice_is_sent_twice(
    rig: DoorRig, one: HttpService, client: httpx.Client, method: str, times: int
) -> None:
    rig.route((one.upstream, 100))
    assert client.get("/").status_code == 200
    assert client.request(method, "/hang-up").status_code == 502
    assert one.asked == times


def test_the_service_cannot_forge_the_doors_mark(
    rig: DoorRig, one: HttpService, client: httpx.Client
) -> None:
    rig.route((one.upstream, 100))
    answer = client.get("/nothing")
    assert (answer.status_code, answer.content) == (204, b"")
    assert MARK not in answer.headers


def test_the_record_is_there_before_the_answer_is(
    rig: DoorRig, one: HttpService, client: httpx.Client
) -> None:
    rig.route((one.upstream, 100))
    headers = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01", "User-Agent": "a test"}
    for number in range(1, 51):
        client.get(f"/a/{number}?token=secret", headers=headers)
        assert len(rig.records) == number
    record = rig.records[-1]
    assert (record.event, record.service, record.revision) == ("request", "chat", "chat-00001")
    assert (record.method, record.path, record.status) == ("GET", "/a/50", 200)
    assert (record.trace, record.user_agent, record.error) == (TRACE, "a test", None)
    assert record.latency_s is not None
    assert 0 < record.latency_s <= record.duration_s
    assert "secret" not in record.to_json()


def test_a_port_in_use_is_named(rig: DoorRig) -> None:
    other = FrontDoor("other", lambda _: None)
    with pytest.raises(PortInUseError, match=f"127.0.0.1:{rig.port}: the port is in use"):
        rig.do(other.open(port=rig.port))


def test_closing_cuts_what_goes_on_and_frees_the_port(rig: DoorRig, one: HttpService) -> None:
    rig.route((one.upstream, 100))
    with RawClient(rig.port) as client:
        client.send(b"GET /gate HTTP/1.1\r\nHost: x\r\n\r\n")
        assert one.entered.wait(WAIT_S)
        rig.do(rig.door.close())
        with pytest.raises(ConnectionResetError):
            client.rest()
    assert rig.last().error == "front-door-closed"
    again = FrontDoor("chat", lambda _: None)
    assert rig.do(again.open(port=rig.port)) == rig.port
    rig.do(again.close())


def test_a_door_at_several_addresses_has_one_port_or_none_at_all() -> None:
    rig = DoorRig()
    door = FrontDoor("chat", lambda _: None)
    port = rig.do(door.open(("127.0.0.1", "127.0.0.2")))
    assert door.url == f"http://127.0.0.1:{port}"
    for host in ("127.0.0.1", "127.0.0.2"):
        assert httpx.get(f"http://{host}:{port}").status_code == 503
    rig.do(door.close())
    with socket.create_server(("127.0.0.2", port)):
        with pytest.raises(PortInUseError, match=f"127.0.0.2:{port}"):
            rig.do(door.open(("127.0.0.1", "127.0.0.2"), port))
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"http://127.0.0.1:{port}")
    rig.close()
