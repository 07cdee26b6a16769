"""A conversation with an engine ends the moment that somebody stops, whatever the engine does."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from engine_proxy import proxied
from engine_rig import BASE, real_engine

from loopctl.engine import containers
from loopctl.engine.connection import Engine
from loopctl.engine.errors import EngineGoneError, EngineSilentError
from loopctl.errors import Stopped
from loopctl.process import Stop

SOON_S = 1.0


@pytest.fixture(params=["unix", "tcp"])
def silent(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """One whose kernel takes connections, while it hangs itself."""
    if request.param == "unix":
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(str(tmp_path / "sock"))
        address = f"unix://{tmp_path}/sock"
    else:
        listening = socket.create_server(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{listening.getsockname()[1]}"
    with listening:
        listening.listen(8)
        yield Engine({"DOCKER_HOST": address})


def in_threads(count: int, ask: Callable[[], object]) -> list[BaseException]:
    """What each of so many callers at once was told."""
    told: list[BaseException] = []

    def one() -> None:
        try:
            ask()
        except (Stopped, Exception) as error:
            told.append(error)

    threads = [threading.Thread(target=one) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return told


@pytest.mark.parametrize("callers", [1, 3])
def test_callers_of_an_engine_that_hangs_end_when_they_are_stopped(
    silent: Engine, callers: int
) -> None:
    stop, began = Stop(), time.monotonic()
    threading.Timer(0.3, stop.stop, ["SIGINT"]).start()
    told = in_threads(callers, lambda: silent.about(stop))
    assert time.monotonic() - began < 0.3 + SOON_S
    assert [(type(each), str(each)) for each in told] == [(Stopped, "SIGINT")] * callers


def test_no_caller_waits_for_the_limit_of_another(silent: Engine) -> None:
    began = time.monotonic()
    told = in_threads(3, lambda: silent.about(Stop(0.7)))
    assert time.monotonic() - began < 0.7 + SOON_S
    assert {type(each) for each in told} == {EngineSilentError}


def test_an_engine_whose_queue_is_full_is_waited_for_no_longer_than_that(tmp_path: Path) -> None:
    path = str(tmp_path / "sock")
    with socket.socket(socket.AF_UNIX) as listening, socket.socket(socket.AF_UNIX) as first:
        listening.bind(path)
        listening.listen(0)
        first.connect(path)
        engine, stop = Engine({"DOCKER_HOST": f"unix://{path}"}), Stop()
        with pytest.raises(EngineGoneError, match="timed out"):
            engine.about(Stop(0.3))
        threading.Timer(0.3, stop.stop, ["SIGINT"]).start()
        began = time.monotonic()
        with pytest.raises(Stopped):
            engine.about(stop)
        assert time.monotonic() - began < 0.3 + SOON_S


def test_one_that_falls_silent_after_its_greeting_is_left_as_soon(tmp_path: Path) -> None:
    silence, asked = threading.Event(), threading.Event()

    def hold_back(data: bytes) -> bytes:
        if b"ApiVersion" not in data:
            asked.set()
            silence.wait(20)
        return data

    def interrupt() -> None:
        asked.wait(10)
        stop.stop("SIGINT")

    stop = Stop()
    with proxied(tmp_path, real_engine(), answered=hold_back) as proxy:
        engine = proxy.engine()
        threading.Thread(target=interrupt).start()
        began = time.monotonic()
        with pytest.raises(Stopped):
            containers.image_id(engine, BASE, stop)
        silence.set()
    assert time.monotonic() - began < SOON_S + SOON_S
