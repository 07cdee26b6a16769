"""What `doctor` says of an engine: each point that is there, and how to get what is not."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

import pytest
from engine_rig import BASE, real_engine, real_registry

from loopctl.engine import whereabouts
from loopctl.engine.checkup import engine_checkup
from loopctl.engine.connection import Engine
from loopctl.engine.errors import EngineGoneError
from loopctl.errors import Stopped
from loopctl.found import Found
from loopctl.process import Stop


def looked(
    registry: str | None = None, bases: tuple[str, ...] = (), **environ: str
) -> dict[str, Found]:
    found = engine_checkup({**os.environ, **environ}, registry, bases, Stop(30))
    return {each.name: each for each in found}


def test_an_engine_that_runs_lacks_nothing_and_every_point_is_told() -> None:
    engine, registry = real_engine(), real_registry()
    found = looked(f"{registry}/checkup", (BASE, "nobody.example/has-it:1", BASE))
    assert all(each.ok for each in found.values()), found
    names = ["Docker engine", "BuildKit", "engine's machine", "engine's bridge", "engine's disk"]
    bases = [f"base image {BASE}", "base image nobody.example/has-it:1"]
    assert list(found) == [*names, *bases, "registry"]
    assert engine.address in found["Docker engine"].said
    assert "exists here only" in found[bases[0]].said
    assert "the first build pulls it" in found[bases[1]].said


def test_a_socket_that_is_not_there_is_named_with_how_to_get_an_engine(tmp_path: Path) -> None:
    [gone] = looked(DOCKER_HOST=f"unix://{tmp_path}/sock").values()
    assert not gone.ok
    assert gone.said == f"there is no socket {tmp_path}/sock: no engine runs there"
    assert gone.hint is not None
    for way in ("apt-get install docker.io", "systemctl start docker", "make engines"):
        assert way in gone.hint
    assert "DOCKER_HOST=" in gone.hint


def test_an_engine_without_root_is_found_where_it_listens(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(tmp_path / "docker.sock"))
        nowhere = f"unix://{tmp_path}/none"
        [gone] = looked(DOCKER_HOST=nowhere, XDG_RUNTIME_DIR=str(tmp_path)).values()
    assert gone.hint == (
        f"an engine of yours listens elsewhere: export DOCKER_HOST=unix://{tmp_path}/docker.sock"
    )


def test_a_socket_whose_engine_has_ended_wants_it_started(tmp_path: Path) -> None:
    path = tmp_path / "sock"
    with socket.socket(socket.AF_UNIX) as ended:
        ended.bind(str(path))
    [gone] = looked(DOCKER_HOST=f"unix://{path}").values()
    assert gone.said == f"nobody listens at {path}: the engine has ended"
    assert gone.hint is not None
    assert "systemctl start docker" in gone.hint


def test_who_may_not_use_the_socket_is_told_of_its_group(monkeypatch: pytest.MonkeyPatch) -> None:
    # Root, which these tests may run as, is refused no socket.
    monkeypatch.setattr(whereabouts, "_tried", lambda path: errno.EACCES)
    [gone] = looked(DOCKER_HOST="unix:///nowhere/sock").values()
    assert gone.hint is not None
    assert "usermod -aG docker" in gone.hint


def test_an_address_where_none_answers_is_named() -> None:
    [gone] = looked(DOCKER_HOST="tcp://127.0.0.1:9").values()
    said = "no Docker engine answers at tcp://127.0.0.1:9: Connection refused"
    assert (gone.ok, gone.said) == (False, said)
    assert gone.hint is not None
    assert "unset DOCKER_HOST" in gone.hint


@pytest.mark.parametrize(
    "address", ["ssh://nobody@127.0.0.1", "nonsense", "fd://", "npipe:////./x"]
)
def test_an_address_that_nobody_can_be_asked_at_is_told_before_anything_is_asked(
    address: str,
) -> None:
    [gone] = looked(DOCKER_HOST=address).values()
    assert not gone.ok
    assert gone.said.endswith(f"at {address}: {ONLY}")
    assert gone.hint is not None
    assert "unset DOCKER_HOST" in gone.hint
    assert ("on the engine's own machine" in gone.hint) == address.startswith("ssh")


ONLY = "loopctl speaks to an engine by unix:// and tcp:// only"


def test_what_listens_and_is_no_engine_is_told_as_such() -> None:
    [gone] = looked(DOCKER_HOST=f"tcp://{real_registry()}").values()
    assert "what listens there is no Docker engine (404 page not found)" in gone.said
    assert gone.hint is not None
    assert "mend DOCKER_HOST" in gone.hint


@pytest.mark.parametrize("absent", ["ca.pem", "cert.pem", "key.pem"])
def test_the_certificate_that_is_missing_is_named(absent: str, tmp_path: Path) -> None:
    for name in {"ca.pem", "cert.pem", "key.pem"} - {absent}:
        (tmp_path / name).write_text("")
    found = looked(
        DOCKER_HOST="tcp://127.0.0.1:9", DOCKER_TLS_VERIFY="1", DOCKER_CERT_PATH=str(tmp_path)
    )
    [gone] = found.values()
    assert gone.said.endswith(f"DOCKER_TLS_VERIFY is set and there is no {tmp_path}/{absent}")
    assert gone.hint is not None
    assert "DOCKER_CERT_PATH" in gone.hint


@pytest.mark.parametrize(
    ("number", "way"),
    [
        (errno.EACCES, "usermod -aG docker"),
        (errno.ENOENT, "apt-get install docker.io"),
        (errno.ECONNREFUSED, "systemctl start docker"),
    ],
)
def test_whoever_asks_in_vain_is_told_the_way_out_that_fits(
    number: int, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    # Root, which these tests may run as, is refused no socket.
    monkeypatch.setattr(whereabouts, "_tried", lambda path: number)
    with pytest.raises(EngineGoneError) as raised:
        Engine({"DOCKER_HOST": "unix:///nowhere/sock"}).about(Stop(5))
    assert raised.value.hint is not None
    assert way in raised.value.hint


def test_a_registry_that_is_down_is_named_also_where_the_engine_is_too() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    found = looked(f"{address}/team", DOCKER_HOST="unix:///nowhere/sock")
    assert [each.ok for each in found.values()] == [False, False]
    assert f"{address}/team does not answer" in found["registry"].said


def test_a_look_that_is_stopped_ends() -> None:
    stop = Stop()
    stop.stop("SIGINT")
    with pytest.raises(Stopped):
        engine_checkup(os.environ, None, (), stop)
