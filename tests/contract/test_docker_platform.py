"""What the docker platform promises beyond the contract of all platforms, on a real engine."""

from __future__ import annotations

import json
import os
import re
import signal
import statistics
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from docker_rig import DockerRig, a_docker_rig, docker_rig
from engine_proxy import proxied
from engine_rig import BASE
from platform_rig import SERVE, get, under_load, wait_for

from loopctl.engine.connection import Engine
from loopctl.engine.owners import owner_label
from loopctl.model.artifact import ServiceState
from loopctl.model.finding import FaultKind
from loopctl.model.references import Endpoint
from loopctl.platforms.docker_engine.platform import DockerPlatform
from loopctl.platforms.host import leftovers
from loopctl.platforms.host.leftovers import sweep_orphans
from loopctl.ports.platform import Dead, PlatformError, Ready, Starting
from loopctl.process import ProcessId, Stop

MIB = 1024 * 1024

rig = pytest.fixture(a_docker_rig)


def stable_url(rig: DockerRig) -> str:
    state = rig.platform.observe("chat", rig.stop)
    assert isinstance(state, ServiceState)
    return state.url


def test_a_container_that_exits_with_0_is_as_dead_as_any(rig: DockerRig) -> None:
    dead = rig.dead(rig.deploy("print('done')", rig.hold()))
    assert (dead.fault.kind, dead.fault.value) == (FaultKind.EXIT_CODE, "0")
    assert dead.fault.quotes[-1].quote == "done"


def test_want_of_memory_is_told_as_such_with_the_limit(rig: DockerRig) -> None:
    hungry = "hold = []\nwhile True: hold.append(bytearray(b'x' * 1_000_000))\n"
    dead = rig.dead(rig.deploy(hungry, rig.hold(), memory=32 * MIB))
    assert dead.fault.kind is FaultKind.OUT_OF_MEMORY
    assert dead.fault.summary.startswith("chat ran out of its 32Mi of memory and was killed after")


def test_a_service_on_its_own_loopback_is_not_ready_and_that_is_told(rig: DockerRig) -> None:
    main = "import os\nfrom web import Server, Handler\n"
    main += "Server(('127.0.0.1', int(os.environ['PORT'])), Handler).serve_forever()\n"
    revision = rig.deploy(main, rig.hold())

    def listens() -> bool:
        status = rig.status(revision)
        assert isinstance(status, Starting)
        return bool(status.listening)

    wait_for(listens)
    time.sleep(0.3)  # the engine itself accepts connections to the port: nothing may come of it
    assert rig.status(revision) == Starting(8080, (8080,), loopback_only=(8080,))


def test_a_command_that_may_not_be_run_is_a_death_with_126(rig: DockerRig) -> None:
    dead = rig.dead(rig.deploy("", rig.hold(), command=("./web.py",)))
    assert dead.fault.value == "126"
    assert dead.fault.quotes[-1].quote == "loopctl: cannot start ./web.py: Permission denied"


def test_without_a_command_the_image_runs_its_own(rig: DockerRig) -> None:
    artifact = rig.artifact(SERVE)
    revision = rig.platform.deploy(
        replace(rig.spec(), run=replace(rig.spec().run, command=None)),
        artifact,
        rig.key(artifact),
        {},
        "none",
        rig.hold(),
        rig.stop,
    )
    # The base image's own command is a shell, which ends where nobody types.
    assert rig.dead(revision).fault.value == "0"


def test_limits_labels_and_log_are_the_containers_own(rig: DockerRig) -> None:
    revision = rig.deploy(SERVE, rig.hold(), memory=64 * MIB, cpu="500m", port=9090)
    rig.ready(revision)
    (found,) = json.loads(rig.docker("inspect", rig.container(revision)))
    host = found["HostConfig"]
    assert host["Memory"] == host["MemorySwap"] == 64 * MIB
    assert host["NanoCpus"] == 500_000_000
    assert host["RestartPolicy"]["Name"] in ("", "no")
    assert host["LogConfig"]["Type"] == "local"
    assert int(host["LogConfig"]["Config"]["max-file"]) == 2
    published = found["NetworkSettings"]["Ports"]["9090/tcp"]
    assert [each["HostIp"] for each in published] == ["127.0.0.1"]
    labels = found["Config"]["Labels"]
    expected = {
        "project": rig.place.key,
        "loop": "a-loop",
        "environment": "local",
        "service": "chat",
        "revision": revision.name,
        "run": "run-1",
        "deploy-key": revision.key,
    }
    assert {name: labels[f"dev.loopctl.{name}"] for name in expected} == expected


def test_a_person_sees_the_log_by_the_engines_own_command(rig: DockerRig) -> None:
    revision = rig.deploy("print('for a person')", rig.hold())
    rig.dead(revision)
    assert rig.docker("logs", rig.container(revision)) == "for a person\n"


def test_a_container_that_closes_its_output_lives_on_and_its_end_is_seen(rig: DockerRig) -> None:
    main = "import os, web\nos.close(1); os.close(2)\nweb.serve()\n"
    revision = rig.deploy(main, rig.hold())
    url = rig.ready(revision).url
    assert get(url) == (200, revision.name)
    get(url, "/exit?9")
    assert rig.dead(revision).fault.value == "9"


def test_a_container_that_somebody_removed_is_dead_and_goes_without_a_word(rig: DockerRig) -> None:
    held = rig.hold()
    revision = rig.deploy(SERVE, held, share="all")
    rig.ready(revision)
    rig.docker("rm", "--force", rig.container(revision))
    # Seen in the moment of the removal, or after it.
    summary = rig.dead(revision).fault.summary
    assert "ended by SIGKILL" in summary or "somebody has removed its container" in summary
    assert get(stable_url(rig))[0] == 503
    again = rig.deploy(SERVE, held, share="all")
    rig.ready(again)


def test_containers_call_each_other_by_the_front_doors(rig: DockerRig) -> None:
    held = rig.hold()
    called = rig.deploy(SERVE, held, share="all")
    own = rig.ready(called).url
    inside = [rig.platform.from_within(Endpoint.of(url)) for url in (stable_url(rig), own)]
    assert all(each.ws_url == each.url.replace("http", "ws", 1) for each in inside)
    urls = [each.url for each in inside]
    main = f"import urllib.request\nfor url in {urls}: "
    main += "print(urllib.request.urlopen(url, timeout=5).read().decode())\n"
    caller = rig.deploy(main, held)
    rig.dead(caller)
    printed = [entry.text for entry in rig.log(caller)[0] if entry.stream == "stdout"]
    assert printed == [called.name, called.name]


def test_only_loopback_addresses_are_others_from_within(rig: DockerRig) -> None:
    elsewhere = Endpoint("https://example.com/api", "wss://example.com/api")
    assert rig.platform.from_within(elsewhere) == elsewhere
    local = Endpoint("http://localhost:81/a?b=c", "ws://localhost:81/a?b=c")
    assert rig.platform.from_within(local).url == "http://host.docker.internal:81/a?b=c"


def test_a_file_deleted_where_it_runs_is_told_and_another_image_too(rig: DockerRig) -> None:
    artifact = rig.artifact(SERVE)
    revision = rig.deploy_artifact(artifact, rig.hold())
    rig.ready(revision)
    rig.docker("exec", rig.container(revision), "sh", "-c", "mkdir new; echo 1 > new/file")
    assert rig.platform.serves_content(revision, artifact, rig.stop) is None
    rig.docker("exec", rig.container(revision), "python3", "-c", "import os; os.remove('main.py')")
    told = rig.platform.serves_content(revision, artifact, rig.stop)
    assert told == "/app/main.py is deleted"
    other = replace(artifact, digest="sha256:" + "0" * 64)
    told = rig.platform.serves_content(revision, other, rig.stop)
    assert told == f"its container runs {artifact.digest}, not {other.digest}"
    pushed = replace(other, image_id=artifact.digest, roots=())
    assert rig.platform.serves_content(revision, pushed, rig.stop) is None
    rig.docker("rm", "--force", rig.container(revision))
    told = rig.platform.serves_content(revision, artifact, rig.stop)
    assert told == f"there is no container of {revision.name} any more"


def test_source_that_is_replaced_from_above_or_run_no_more_is_told(rig: DockerRig) -> None:
    artifact = rig.artifact(SERVE)
    revision = rig.deploy_artifact(artifact, rig.hold())
    rig.ready(revision)
    package = "mkdir /app/web; echo > /app/web/__init__.py"
    rig.docker("exec", rig.container(revision), "sh", "-c", package)
    told = rig.platform.serves_content(revision, artifact, rig.stop)
    assert told == "/app/web/__init__.py stands in front of /app/web.py"
    replaced = "cp -a /app /evil; rm -rf /app; ln -s /evil /app"
    rig.docker("exec", "-w", "/", rig.container(revision), "sh", "-c", replaced)
    told = rig.platform.serves_content(revision, artifact, rig.stop)
    assert told == "/app is changed"


FLOOD_S = 3.0


@pytest.mark.slow
def test_a_flood_costs_bounded_memory_and_disk_and_holds_up_nobody(rig: DockerRig) -> None:
    held = rig.hold()
    calm = rig.deploy(SERVE, held, share="all")
    rig.ready(calm)
    url = stable_url(rig)
    flood = f"""
        import os, time
        data = (b"x" * 99 + b"\\n") * 1000
        until = time.monotonic() + {FLOOD_S}
        while time.monotonic() < until:
            os.write(1, data)
    """
    host = rig.host_pid()
    before = resident(host)
    revision = rig.deploy(flood, held)
    latencies: list[float] = []
    largest = 0
    while not isinstance(rig.status(revision), Dead):
        began = time.monotonic()
        assert get(url)[0] == 200
        latencies.append(time.monotonic() - began)
        largest = max(largest, resident(host))
    assert statistics.median(latencies) < 0.1
    assert largest - before < 40 * MIB
    log = rig.place.state / "logs" / "chat" / f"{revision.name}.jsonl"
    assert 10 * MIB < log.stat().st_size < 70 * MIB
    (found,) = json.loads(rig.docker("inspect", rig.container(revision)))
    kept = subprocess.run(
        ["du", "-sb", Path(found["HostnamePath"]).parent / "local-logs"],
        capture_output=True,
        text=True,
        check=False,
    )
    if kept.returncode == 0:  # the folder is the engine's own, and root's
        assert int(kept.stdout.split()[0]) < 40 * MIB


def resident(pid: int) -> int:
    """Bytes of memory that a process holds."""
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


@pytest.mark.slow
def test_five_revisions_are_kept_and_the_containers_of_the_others_go(rig: DockerRig) -> None:
    held = rig.hold()
    names = []
    for number in range(7):
        revision = rig.deploy(SERVE, held, share="all" if number == 0 else "none")
        rig.ready(revision)
        rig.platform.route("chat", {revision.name: 100}, held, rig.stop)
        names.append(rig.container(revision))
    wait_for(lambda: len(rig.containers()) == 5)
    assert {each.name for each in rig.containers()} == set(names[2:])


def test_a_killed_host_and_guardian_leave_containers_that_the_next_run_removes(
    rig: DockerRig,
) -> None:
    held = rig.hold()
    rig.ready(rig.deploy(SERVE, held, share="all"))
    kill_both(rig)
    assert len(rig.containers()) == 1
    again = rig.deploy(SERVE, held, share="all")
    rig.ready(again)
    assert [each.name for each in rig.containers()] == [rig.container(again)]


def test_down_alone_removes_what_a_killed_host_and_guardian_have_left(rig: DockerRig) -> None:
    held = rig.hold()
    rig.ready(rig.deploy(SERVE, held, share="all"))
    kill_both(rig)
    rig.platform.down("chat", held, rig.stop)
    assert rig.containers() == ()


@pytest.mark.slow
def test_a_host_of_another_project_keeps_its_containers(rig: DockerRig) -> None:
    rig.ready(rig.deploy(SERVE, rig.hold(), share="all"))
    with docker_rig() as other:
        other.ready(other.deploy(SERVE, other.hold(), share="all"))
        assert len(rig.containers()) == len(other.containers()) == 1
    assert len(rig.containers()) == 1


def kill_both(rig: DockerRig) -> None:
    host = rig.host_pid()
    guardian = [
        int(entry.name)
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and parent(entry) == host
    ]
    for pid in (*guardian, host):
        os.kill(pid, signal.SIGKILL)
    wait_for(rig.host_has_ended)


def parent(process: Path) -> int:
    try:
        return int((process / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


@pytest.mark.slow
def test_a_run_on_an_environment_that_is_up_replaces_it_without_a_gap(rig: DockerRig) -> None:
    first = rig.hold()
    old = rig.deploy(SERVE, first, share="all")
    rig.ready(old)
    rig.platform.close(keep=True, stop=rig.stop)
    rig.leases.release(first)
    with under_load(stable_url(rig), keeping=2, closing=2) as load:
        held = rig.hold("run-2")
        new = rig.deploy(SERVE, held)
        rig.ready(new)
        rig.platform.route("chat", {new.name: 100}, held, rig.stop)
        newest = rig.deploy(SERVE, held)
        rig.ready(newest)
        rig.platform.route("chat", {newest.name: 100}, held, rig.stop)
        wait_for(lambda: isinstance(rig.status(old), Dead))
    assert load.failed == []
    assert set(load.seen) == {old.name, new.name, newest.name}


def test_what_is_missing_is_told_before_anything_is_done(rig: DockerRig) -> None:
    assert rig.platform.check([rig.spec(memory=64 * MIB, cpu="1")], rig.stop) == []
    greedy = rig.spec(memory=1024**5, cpu="1000")
    told = [problem.message for problem in rig.platform.check([greedy], rig.stop)]
    assert told[0].startswith("run.memory is 1048576Gi, the engine has ")
    assert told[1].startswith("run.cpu is 1000, the engine has ")


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("unix:///nowhere/docker.sock", "no Docker engine answers at unix:///nowhere/docker.sock"),
        ("tcp://192.0.2.1:2375", "the engine is on another machine"),
    ],
)
def test_an_engine_that_is_not_there_is_told(rig: DockerRig, address: str, told: str) -> None:
    platform = DockerPlatform(rig.place, Engine({"DOCKER_HOST": address}))
    (problem,) = platform.check([rig.spec()], Stop(1))
    assert problem.message.startswith(told)
    artifact = rig.artifact(SERVE)
    with pytest.raises(PlatformError, match="no Docker engine answers"):
        platform.deploy(rig.spec(), artifact, rig.key(artifact), {}, "all", rig.hold(), Stop(40))


def test_the_engine_is_the_deployments_and_never_the_hosts_own(
    rig: DockerRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    revision = rig.deploy(SERVE, rig.hold())
    assert isinstance(rig.ready(revision), Ready)
    assert b"DOCKER_HOST" not in Path(f"/proc/{rig.host_pid()}/environ").read_bytes()


def test_a_container_that_somebody_restarts_is_dead_is_told_and_does_not_run_on(
    rig: DockerRig,
) -> None:
    revision = rig.deploy(SERVE, rig.hold(), share="all")
    rig.ready(revision)
    rig.docker("restart", "--time", "0", rig.container(revision))
    fault = rig.dead(revision).fault
    assert "somebody has started its container again" in fault.summary
    assert "SIGKILL" not in fault.summary
    wait_for(lambda: not rig.inspect(revision).running)
    assert any("it is killed" in entry.text for entry in rig.log(revision)[0])


@pytest.mark.slow
def test_a_dead_container_that_somebody_starts_later_does_not_run_on_either(rig: DockerRig) -> None:
    revision = rig.deploy("import time\ntime.sleep(0.5)\n", rig.hold())
    assert rig.dead(revision).fault.value == "0"
    rig.docker("start", rig.container(revision))
    wait_for(lambda: any("it is killed" in entry.text for entry in rig.log(revision)[0]))
    wait_for(lambda: not rig.inspect(revision).running)


def orphan(rig: DockerRig, host: str) -> None:
    """A container as a host of that label would have left it."""
    labels = [f"--label=dev.loopctl.project={rig.place.key}", f"--label=dev.loopctl.host={host}"]
    rig.docker("create", *labels, BASE, "true")


def test_what_a_host_before_the_last_boot_has_left_is_removed_and_no_strangers(
    rig: DockerRig,
) -> None:
    boot, namespace, pid, started = owner_label(ProcessId(1, 2)).split(".")
    orphan(rig, f"{boot}.{namespace}.{pid}.{started}")
    orphan(rig, f"another-boot.{namespace}.{pid}.{started}")
    kept = (f"{boot}.4711.{pid}.{started}", f"{pid}-{started}", f"{boot}.{namespace}.x.y", "")
    for host in kept:
        orphan(rig, host)
    try:
        sweep_orphans(rig.engine, rig.place.key, rig.stop)
        left = [each.labels["dev.loopctl.host"] for each in rig.containers()]
        assert sorted(left) == sorted(kept)
    finally:
        for each in rig.containers():
            rig.docker("rm", each.id)


@pytest.mark.slow
def test_from_another_namespace_of_pids_nobody_takes_a_live_hosts_container(rig: DockerRig) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may make a name space of pids")
    revision = rig.deploy(SERVE, rig.hold(), share="all")
    url = rig.ready(revision).url
    sweep = (
        "import os; from loopctl.engine.connection import Engine\n"
        "from loopctl.platforms.host.leftovers import sweep_orphans\n"
        "from loopctl.process import Stop\n"
        f"sweep_orphans(Engine(os.environ), {rig.place.key!r}, Stop(20))\n"
    )
    subprocess.run(
        ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", sweep],
        env={**os.environ, **rig.engine.environ},
        check=True,
        timeout=30,
    )
    assert get(url) == (200, revision.name)


def test_many_orphans_of_a_slow_engine_hold_up_no_deployment(
    rig: DockerRig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(leftovers, "_SWEEP_S", 1.0)
    asleep = threading.Event()

    def slowly(data: bytes) -> bytes:
        if data.startswith(b"DELETE"):
            asleep.wait(20)
        return data

    for _ in range(9):
        orphan(rig, "another-boot.1.2.3")
    try:
        with proxied(rig.folder, rig.engine, asked=slowly) as slow:
            began = time.monotonic()
            sweep_orphans(slow.engine(), rig.place.key, Stop(30))
            took = time.monotonic() - began
            asleep.set()
        assert took < 3
        assert "left to the next host, the engine is too slow to remove them" in caplog.text
        sweep_orphans(rig.engine, rig.place.key, rig.stop)
        assert rig.containers() == ()
    finally:
        for each in rig.containers():
            rig.docker("rm", each.id)


def test_an_engine_whose_containers_cannot_reach_this_machine_is_told_in_time(
    rig: DockerRig,
) -> None:
    def elsewhere(data: bytes) -> bytes:
        """As beside an engine without root: an address that is none of this machine's."""
        told = re.compile(rb'("(?:Subnet|Gateway)":")([^"]+)')
        return told.sub(lambda found: found[1] + b"9" * len(found[2]), data)

    with proxied(rig.folder, rig.engine, answered=elsewhere) as proxy:
        platform = DockerPlatform(rig.place, proxy.engine())
        (problem,) = platform.check([rig.spec()], rig.stop)
    assert "this machine has no address on the engine's bridge" in problem.message
    assert "without root" in problem.message
    assert problem.hint is not None
