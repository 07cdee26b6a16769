"""The life and death of the detached host that owns an environment's processes."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from docker_rig import RIGS, each_rig
from platform_rig import SERVE, STARTED, HostedRig, LocalRig, a_local_rig, local_rig, wait_for

from loopctl.model.artifact import Revision, ServiceState
from loopctl.model.logs import LogEntry, LogWindow
from loopctl.platforms.host.client import HostAbsentError, HostClient
from loopctl.platforms.host.control import ProtocolError
from loopctl.platforms.host.rendezvous import Rendezvous
from loopctl.platforms.hosted.leases import FileLeases
from loopctl.platforms.hosted.logs import HostLogs
from loopctl.platforms.local.platform import LocalPlatform
from loopctl.ports.platform import Absent, Dead, PlatformError
from loopctl.process import Stop

rig = pytest.fixture(a_local_rig)

either = pytest.fixture(params=RIGS)(each_rig)


def test_a_host_that_is_killed_takes_everything_with_it_and_the_next_deploy_works(
    either: HostedRig,
) -> None:
    held = either.hold()
    artifact = either.artifact(
        "import subprocess\nsubprocess.Popen(['sleep', '600'], start_new_session=True)\n" + SERVE
    )
    revision = either.deploy_artifact(artifact, held, share="all")
    either.ready(revision)
    either.kill_host()
    assert either.platform.find(either.key(artifact), either.stop) == Absent()
    assert either.platform.observe("chat", either.stop) == Absent()
    assert isinstance(either.status(revision), Dead)
    wait_for(lambda: either.processes() == [], 3)
    assert either.place.socket.exists(), "a stale socket is what the next host has to cope with"
    _, coverage = either.log(revision)
    assert coverage.gap == f"the end of {revision.name} is missing: its host was killed"
    again = either.deploy_artifact(artifact, held, share="all")
    assert again.name.startswith("chat-00002-")
    either.ready(again)


def test_two_runs_folders_of_one_project_share_one_host(rig: LocalRig) -> None:
    held = rig.hold()
    revision = rig.deploy(SERVE, held, share="all")
    other = Rendezvous.of(rig.root, "local", rig.folder / "other-runs")
    platform = LocalPlatform(other)
    state = platform.observe("chat", Stop(10))
    assert isinstance(state, ServiceState)
    assert state.traffic == {revision.name: 100}
    rig.ready(revision)
    entries: list[LogEntry] = []
    HostLogs(other).read(LogWindow("chat", STARTED), entries.append, Stop(10))
    assert entries == rig.log(revision)[0]


@pytest.mark.parametrize("keep", [False, True])
def test_services_live_on_after_the_lease_until_it_has_lapsed_unless_kept(keep: bool) -> None:
    with local_rig(lapse="0.3") as rig:
        held = rig.hold()
        revision = rig.deploy(SERVE, held, share="all")
        rig.ready(revision)
        time.sleep(0.5)  # the lease is held: longer than the lapse, and nothing may happen
        rig.ready(revision)
        rig.platform.close(keep, rig.stop)
        rig.leases.release(held)
        if keep:
            time.sleep(0.6)  # nothing may happen again
            rig.ready(revision)
        else:
            wait_for(lambda: not rig.processes() and not rig.place.socket.exists(), 5)


def test_the_end_of_a_host_is_orderly_on_sigterm(either: HostedRig) -> None:
    revision = either.deploy(SERVE, either.hold(), share="all")
    either.ready(revision)
    os.kill(either.host_pid(), signal.SIGTERM)
    wait_for(lambda: not either.processes() and not either.place.socket.exists())
    assert either.log(revision)[1].complete


def test_many_that_start_a_host_at_once_get_the_same_one(rig: LocalRig) -> None:
    where = [str(rig.root), "local", str(rig.folder / "runs")]
    command = [sys.executable, "-m", "loopctl.platforms.host", *where]
    starters = [subprocess.Popen(command) for _ in range(4)]
    assert [starter.wait(10) for starter in starters] == [0, 0, 0, 0]
    hosts = [
        int(entry.name)
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and str(rig.root).encode() in _command_line(entry)
    ]
    assert rig.host_pid() in hosts
    assert len(hosts) == 2, "the host and its guardian"


def test_a_host_is_small_and_starts_fast(rig: LocalRig) -> None:
    began = time.monotonic()
    HostClient(rig.place).ensure(rig.stop)
    assert time.monotonic() - began < 2
    status = Path(f"/proc/{rig.host_pid()}/status").read_text()
    resident = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    assert int(resident.split()[1]) < 60_000


def test_two_projects_cannot_share_a_runs_folder(rig: LocalRig) -> None:
    HostClient(rig.place).ensure(rig.stop)
    other = rig.folder / "other-project"
    other.mkdir()
    place = Rendezvous.of(other, "local", rig.folder / "runs")
    with pytest.raises(PlatformError, match="used by the host of another project"):
        HostClient(place).ensure(rig.stop)


def test_a_front_door_whose_port_was_taken_moves_and_the_service_is_up(rig: LocalRig) -> None:
    held = rig.hold()
    rig.deploy(SERVE, held, share="all")
    before = rig.platform.observe("chat", rig.stop)
    assert isinstance(before, ServiceState)
    rig.platform.down("chat", held, rig.stop)
    wait_for(lambda: not rig.place.socket.exists())
    port = int(before.url.rpartition(":")[2])
    with socket.create_server(("127.0.0.1", port)):
        rig.deploy(SERVE, held, share="all")
        after = rig.platform.observe("chat", rig.stop)
    assert isinstance(after, ServiceState)
    assert after.url != before.url


def test_a_stranger_in_the_socket_is_answered_and_the_host_lives(rig: LocalRig) -> None:
    client = HostClient(rig.place)
    client.ensure(rig.stop)
    for nonsense in (b"GET / HTTP/1.1\n", b"[]\n", b'{"v": 99}\n', b"\xff\n", b'{"v": 1}\n'):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5)
            connection.connect(str(rig.place.socket))
            connection.sendall(nonsense)
            assert b'"error"' in connection.recv(65536)
    with pytest.raises(ProtocolError, match="knows no verb 'explode'"):
        client.call("explode", {}, rig.stop)
    assert rig.host_pid() > 0


def test_socket_and_files_are_private(either: HostedRig) -> None:
    revision = either.deploy(SERVE, either.hold(), share="all")
    either.ready(revision)
    assert either.place.socket.stat().st_mode & 0o777 == 0o600
    for path in (either.place.runtime, *either.place.runtime.rglob("*")):
        assert not path.stat().st_mode & 0o077, path
    state = either.place.state
    for path in (state, *state.glob("*"), *(state / "logs").rglob("*")):
        assert not path.stat().st_mode & 0o077, path


@pytest.mark.parametrize("kind", RIGS)
def test_no_secret_is_in_any_file_of_the_host_or_in_its_environment(kind: str) -> None:
    secret = "hunter2-hunter2"
    with RIGS[kind]({"PASSWORD": secret}) as rig:
        revision = rig.deploy(SERVE, rig.hold(), share="all")
        rig.ready(revision)
        files = [path for path in rig.folder.rglob("*") if path.is_file()]
        assert len(files) > 5
        assert [path for path in files if secret.encode() in path.read_bytes()] == []
        assert secret.encode() not in Path(f"/proc/{rig.host_pid()}/environ").read_bytes()


def test_without_a_host_nothing_is_started_by_looking(rig: LocalRig) -> None:
    artifact = rig.artifact(SERVE)
    held = rig.hold()
    assert rig.platform.observe("chat", rig.stop) == Absent()
    assert rig.platform.find(rig.key(artifact), rig.stop) == Absent()
    rig.platform.down("chat", held, rig.stop)
    rig.platform.close(keep=False, stop=rig.stop)
    with pytest.raises(PlatformError, match="no host runs"):
        rig.platform.route("chat", {"chat-00001-abc": 100}, held, rig.stop)
    assert not rig.place.socket.exists()


def test_a_second_project_with_the_same_runtime_folder_is_another_world(rig: LocalRig) -> None:
    rig.hold()
    other = rig.folder / "second"
    other.mkdir()
    place = Rendezvous.of(other, "local", rig.folder / "second-runs")
    assert FileLeases(place).peek(place.target("chat"), Stop(5)) is None


def _command_line(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:
        return b""


@pytest.mark.slow
def test_services_whose_folder_somebody_deleted_can_still_be_stopped(either: HostedRig) -> None:
    held = either.hold()
    either.ready(either.deploy(SERVE, held, share="all"))
    shutil.rmtree(either.place.state)
    either.platform.down("chat", held, either.stop)
    assert either.platform.observe("chat", either.stop) == Absent()
    either.ready(either.deploy(SERVE, held, share="all"))


ODD_ANSWERS = [b'{"v": 1, "ok": {"state": "odd"}}', b'{"v": 99, "ok": {}}', b"not JSON"]


@pytest.mark.parametrize("answer", ODD_ANSWERS)
def test_a_host_that_speaks_otherwise_is_the_platforms_error(rig: LocalRig, answer: bytes) -> None:
    """A host of another version may go on living when loopctl is updated."""
    rig.place.prepare()
    revision = Revision("chat", "chat-00001-abc", "sha256:0", STARTED, "key")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(rig.place.socket))
        listener.listen()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer + b"\n")

        host = threading.Thread(target=serve)
        host.start()
        with pytest.raises(PlatformError) as raised:
            rig.platform.status(revision, rig.stop)
        host.join(5)
    rig.place.socket.unlink()
    assert not isinstance(raised.value, HostAbsentError)
