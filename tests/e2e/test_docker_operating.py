"""Operating what runs in containers: back, down, keep, logs, two at once, and engines that end."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
from collections.abc import Iterator
from pathlib import Path

import pytest
from docker_services import (
    CLI,
    DOCKER,
    KEPT,
    container_loop,
    container_of,
    container_service,
    containers,
    docker,
    docker_opened,
    green,
    images_of,
    running,
    served_before,
)
from engine_proxy import EngineProxy, proxied
from engine_rig import BASE, absent, real_engine
from kill_rig import PATIENT, WAITS, is_running, let_go, of_kind, waiting
from rig import Project, met_by_users, until
from services import ASKS, suite

from loopctl.engine.connection import Engine


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with docker_opened(tmp_path) as project:
        project.env["LOOPCTL_HOST_GRACE_SECONDS"] = "2"
        yield project


RED = ASKS + "    assert False\n"


@pytest.mark.slow
def test_back_to_what_was_verified_though_its_container_was_stopped(project: Project) -> None:
    before = served_before(project)
    good = before.service("web")["revision"]
    bad = ""
    for _ in range(2):
        container_loop(project, RED, phase="confirm")
        ran = project.run("web", "--keep", "--remediate", "off")
        assert ran.code == 1, str(ran)
        bad = ran.service("web")["revision"]
        assert met_by_users(before.stable_url) == bad
    until(lambda: containers(project)[good] == "exited")
    back = project.loopctl("rollback", "web")
    assert back.code == 0, str(back)
    assert back.out == f"web from {bad} 100 % to {good} 100 %\n"
    assert met_by_users(before.stable_url) == good
    assert running(project)[good] == 1
    again = project.loopctl("rollback", "web")
    assert again.out == f"web serves {good} 100 %, verified already\n"
    down = project.loopctl("down", "web")
    assert (down.code, down.out) == (0, "stopped web\n"), str(down)
    assert containers(project) == {}
    with pytest.raises(urllib.error.URLError):
        met_by_users(before.stable_url)
    nothing = project.loopctl("down", "web")
    assert nothing.code == 0, str(nothing)


@pytest.mark.slow
def test_what_nobody_keeps_goes_with_its_host_and_what_is_kept_stays(project: Project) -> None:
    project.env["LOOPCTL_HOST_LAPSE_SECONDS"] = "1"
    container_loop(project)
    kept = project.run("web", "--keep")
    assert kept.code == 0, str(kept)
    time.sleep(3)  # three times as long as it would live
    assert met_by_users(kept.stable_url) == kept.service("web")["revision"]
    green(project)
    until(lambda: not containers(project))
    until(lambda: not project.sockets())


SECRET = "a-secret-that-is-long-and-split"
TELLS = f"""
half = {len(SECRET) // 2}
secret = os.environ["TOKEN"].encode()
def say(*pieces):
    for piece in pieces:
        os.write(1, piece)
        time.sleep(0.05)
say(b"first line\\n", b"whole " + secret + b" whole\\n")
say(b"split ", secret[:half], secret[half:], b" split\\n")
os.write(2, "héllo \\x1b[31mred\\x1b[0m\\n".encode())
os.write(1, b"last line without an end")
time.sleep(0.1)
os.write(1, b"\\n")
"""


@pytest.mark.slow
def test_logs_are_exact_and_tell_no_secret_however_it_was_written(project: Project) -> None:
    secrets = {"secrets": {"TOKEN": {"value": SECRET}}}
    before = served_before(project, prelude=TELLS, run=secrets)
    told = project.loopctl("logs", before.run.name, "web")
    assert told.code == 0, str(told)
    texts = [line.strip() for line in told.out.splitlines()]
    for wanted in ("first line", "last line without an end", "listening"):
        assert sum(line.endswith(wanted) for line in texts) == 1, told.out
    assert sum(line.endswith(" whole") for line in texts) == 1, told.out
    assert sum("split" in line for line in texts) == 1, told.out
    assert "\x1b" not in told.out
    halves = (SECRET, SECRET[: len(SECRET) // 2], SECRET[len(SECRET) // 2 :])
    for path in [*project.runs_dir.rglob("*"), *project.runtime.rglob("*")]:
        if path.is_file():
            assert not any(half.encode() in path.read_bytes() for half in halves), path
    assert not any(half in told.out for half in halves)


@pytest.mark.slow
def test_of_two_runs_one_runs_and_the_other_leaves_without_a_trace(project: Project) -> None:
    before = served_before(project)
    container_loop(project, WAITS, timeout=PATIENT)
    going = waiting(project)
    there = containers(project)
    images = images_of(project)
    second = project.run("web")
    assert second.code == 6, str(second)
    assert going.folder().name in second.out
    assert (containers(project), images_of(project)) == (there, images)
    for command in (("down", "web"), ("rollback", "web")):
        assert project.loopctl(*command).code == 6
    assert met_by_users(before.stable_url) == before.service("web")["revision"]
    watch = project.start("watch", going.folder().name)
    assert watch.process.stderr is not None
    assert os.read(watch.process.stderr.fileno(), 1)
    let_go(project)
    ended, seen = going.end(), watch.end()
    assert (ended.code, seen.code) == (0, 0), f"{ended}\n{seen}"
    assert seen.out == ended.out


@pytest.mark.slow
def test_who_is_robbed_changes_nothing_more_and_the_next_run_clears_up(project: Project) -> None:
    before = served_before(project)
    container_loop(project, WAITS, timeout=PATIENT)
    going = waiting(project)
    robbed = project.loopctl("unlock", "web", "--confirm", "local")
    assert robbed.code == 0, str(robbed)
    let_go(project)
    ended = going.end()
    assert ended.code == 3, str(ended)
    assert ended.result["stop_reason"] == "environment-moved"
    assert "environment.moved" in ended.line("LIKELY CAUSE"), str(ended)
    assert met_by_users(before.stable_url) == before.service("web")["revision"]
    ran = green(project)
    lost = ended.service("web")["revision"]
    until(lambda: lost not in running(project))
    assert met_by_users(before.stable_url) == ran.service("web")["revision"]


@pytest.mark.slow
def test_two_projects_on_one_engine_do_not_see_each_other(tmp_path: Path) -> None:
    with docker_opened(tmp_path / "one") as one, docker_opened(tmp_path / "two") as two:
        for project in (one, two):
            container_loop(project)
        both = [project.start("run", "web", "-q") for project in (one, two)]
        first, second = (going.end() for going in both)
        assert (first.code, second.code) == (0, 0), f"{first}\n{second}"
        assert first.stable_url != second.stable_url
        assert containers(one) == {first.service("web")["revision"]: "running"}
        assert containers(two) == {second.service("web")["revision"]: "running"}
        container_loop(one, prelude="sys.exit(3)\n")
        bad = one.run("web")
        assert bad.code == 5, str(bad)
        down = one.loopctl("down", "web")
        assert down.code == 0, str(down)
        assert containers(one) == {}
        assert containers(two) == {second.service("web")["revision"]: "running"}
        assert met_by_users(second.stable_url) == second.service("web")["revision"]


@pytest.mark.slow
def test_revisions_beyond_five_go_with_their_containers_and_images(project: Project) -> None:
    served_before(project)
    names = []
    for number in range(7):
        container_loop(project, prelude=f"# {number}\n")
        names.append(green(project).service("web")["revision"])
    until(lambda: len(containers(project)) == KEPT)
    assert set(containers(project)) == set(names[-KEPT:])
    until(lambda: set(running(project)) == set(names[-2:]))
    assert images_of(project)["web"] <= KEPT + 1


def pair(project: Project, store: str = "", web: str = "") -> None:
    """`web` needs `store` and asks it, each in a container of its own."""
    services = {
        "store": container_service(project, "store", store),
        "web": container_service(project, "web", _ASKS_STORE + web),
    }
    services["web"]["needs"] = ["store"]
    services["web"]["run"]["env"] = {"STORE_URL": "${services.store.url}"}
    tests = suite(project, "import json\n" + _PASSES_THROUGH)
    project.loop("two", services=services, suites=[tests], environments=DOCKER)
    project.commit()


_ASKS_STORE = """
import urllib.request
def through(self):
    with urllib.request.urlopen(os.environ["STORE_URL"] + "/health", timeout=5) as answer:
        return answer.read()
Handler.answer = through
"""
_PASSES_THROUGH = """
def test_it_reaches_the_store_through_the_front_door():
    assert json.loads(ask("/through"))["revision"].startswith("store-")
    assert json.loads(ask("/health"))["revision"].startswith("web-")
"""
_ASK = (
    "import json, os, urllib.request;"
    "url = os.environ['STORE_URL'] + '/health';"
    "print(json.load(urllib.request.urlopen(url, timeout=5))['revision'])"
)


@pytest.mark.slow
def test_containers_that_need_each_other_meet_and_none_is_promoted_without_the_other(
    project: Project,
) -> None:
    pair(project)
    first = green(project, "two")
    ran = green(project, "two")
    routed = [line["service"] for line in of_kind(ran.run, "traffic.routed")]
    assert routed == ["store", "web"]
    new = {name: ran.service(name)["revision"] for name in ("store", "web")}
    old = {name: first.service(name)["revision"] for name in ("store", "web")}
    assert set(running(project)) == {*new.values(), *old.values()}
    # A candidate is told of the candidate beside it, and goes on to meet it afterwards.
    met = {
        name: docker(project, "exec", container_of(project, each["web"]), "python", "-c", _ASK)
        for name, each in (("new", new), ("old", old))
    }
    assert met == {"new": f"{new['store']}\n", "old": f"{old['store']}\n"}
    told = ("exec", container_of(project, new["web"]), "sh", "-c", "echo $STORE_URL")
    assert docker(project, *told).startswith("http://host.docker.internal:")

    serving = project.serving("two")
    pair(project, web="sys.exit(3)\n")
    bad = project.run("two")
    assert bad.code == 5, str(bad)
    assert bad.findings()["deploy.exit-code"]["service"] == "web"
    assert project.serving("two") == serving == {name: {new[name]: 100} for name in new}
    lost = bad.service("store")["revision"]
    assert lost not in containers(project), "the store was healthy, and is gone with web"


@contextlib.contextmanager
def mortal(project: Project) -> Iterator[EngineProxy]:
    """An engine of the project's that can die; the containers are the real one's."""
    folder = Path(tempfile.mkdtemp(prefix="lc-h-", dir="/tmp"))
    real = project.env["DOCKER_HOST"]
    try:
        with proxied(folder, Engine({"DOCKER_HOST": real})) as proxy:
            project.env["DOCKER_HOST"] = f"unix://{proxy.address}"
            yield proxy
    finally:
        project.env["DOCKER_HOST"] = real
        shutil.rmtree(folder)


@pytest.mark.slow
def test_an_engine_that_dies_under_the_tests_is_told_and_nothing_hangs(project: Project) -> None:
    with mortal(project) as engine:
        before = served_before(project)
        good = before.service("web")["revision"]
        container_loop(project, WAITS, timeout=PATIENT)
        going = waiting(project)
        engine.die()
        died = time.monotonic()
        let_go(project)
        ended = going.end()
        assert time.monotonic() - died < 30
        assert ended.code == 5, str(ended)
        candidate = container_of(project, ended.service("web")["revision"])
        assert ended.first_line == f"MEND: docker rm --force --volumes {candidate}"
        assert "no Docker engine answers" in ended.line("FAILED"), str(ended)
        assert f"web: {good} 100 %" in ended.line("USERS")
        again = project.run("web")
        assert again.code in (4, 5), str(again)
        assert "no Docker engine answers" in again.out, str(again)
        assert again.seconds < 20
    # The host knows the dead one only; what `down` could not remove it does when asked again.
    down = project.loopctl("down", "web")
    assert down.code == 5, str(down)
    assert "is left behind: no Docker engine answers" in down.err
    assert "go on: loopctl down web --env local" in down.err
    assert project.loopctl("down", "web").code == 0
    assert containers(project) == {}


_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class OwnEngine:
    """An engine that may be killed: with a bridge of its own, and no rule of the machine's.

    `folder` holds all that it has.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.address = f"unix://{folder}/sock"
        self._bridge = f"lch{os.getpid()}"
        self._process: subprocess.Popen[bytes] | None = None

    def build(self) -> None:
        """Make its bridge, start it and give it the base image."""
        self._ip("link", "add", self._bridge, "type", "bridge")
        self._ip("addr", "add", f"10.213.{os.getpid() % 250}.1/24", "dev", self._bridge)
        self._ip("link", "set", self._bridge, "up")
        self.start()
        image = self.folder / "base.tar"
        source = real_engine().address
        subprocess.run([CLI, "-H", source, "save", "-o", str(image), BASE], check=True, timeout=60)
        self.cli("load", "--input", str(image))

    def start(self) -> None:
        """Start it, again perhaps, and wait until it answers."""
        places = [f"--{name}-root={self.folder}/{name}" for name in ("data", "exec")]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *("dockerd", f"--host={self.address}", *places),
                    *(f"--pidfile={self.folder}/pid", f"--bridge={self._bridge}"),
                    *("--iptables=false", "--ip6tables=false"),
                ],
                env={"PATH": _PATH},
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        until(lambda: self.cli("version", fails=True))

    def kill(self, number: signal.Signals) -> None:
        """End it, and wait for that."""
        if self._process is None:
            return
        helper = self.folder / "exec" / "containerd" / "containerd.pid"
        containerd = int(helper.read_text()) if helper.exists() else 0
        self._process.send_signal(number)
        self._process.wait(30)
        self._process = None
        # One that is started beside its helper's last moments takes that for its own.
        until(lambda: not (containerd and is_running(containerd)))
        for file in (self.folder / "pid", helper):
            file.unlink(missing_ok=True)

    def end(self) -> None:
        """It goes with all that it has, though it was killed and did not come back."""
        if self._process is not None:
            for left in self.cli("ps", "--all", "--quiet", fails=True).split():
                self.cli("rm", "--force", left, fails=True)
        self.kill(signal.SIGTERM)
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if str(self.folder).encode() in (process / "cmdline").read_bytes():
                    os.kill(int(process.name), signal.SIGKILL)
        self._ip("link", "delete", self._bridge)
        until(self._removed)

    def cli(self, *words: str, fails: bool = False) -> str:
        """What a person would type; empty when it fails and may."""
        ran = subprocess.run(
            [CLI, "-H", self.address, *words],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert fails or ran.returncode == 0, ran.stderr
        return ran.stdout if ran.returncode == 0 else ""

    def _removed(self) -> bool:
        # One that was killed has left its mounts.
        mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for place in reversed([each for each in mounts if each.startswith(f"{self.folder}/")]):
            subprocess.run(
                ["umount", "-l", place], env={"PATH": _PATH}, capture_output=True, check=False
            )
        shutil.rmtree(self.folder, ignore_errors=True)
        return not self.folder.exists()

    def _ip(self, *words: str) -> None:
        subprocess.run(["ip", *words], env={"PATH": _PATH}, check=True, timeout=10)


@contextlib.contextmanager
def own_engine() -> Iterator[OwnEngine]:
    missing = [name for name in ("dockerd", "ip") if shutil.which(name, path=_PATH) is None]
    if missing:
        absent(f"this machine has no {' nor '.join(missing)}")
    if os.geteuid() != 0:
        pytest.skip("only root may start an engine")
    engine = OwnEngine(Path(tempfile.mkdtemp(prefix="lc-e-", dir="/tmp")))
    try:
        engine.build()
        yield engine
    finally:
        engine.end()


ENDS = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])


@pytest.mark.slow
@ENDS
def test_what_ended_with_its_engine_is_told_as_dead_and_replaced_when_it_is_back(
    tmp_path: Path, number: signal.Signals
) -> None:
    with own_engine() as engine, docker_opened(tmp_path, engine.address) as project:
        before = served_before(project)
        good = before.service("web")["revision"]
        engine.kill(number)
        gone = project.run("web")
        assert gone.code in (4, 5), str(gone)
        assert "no Docker engine answers" in gone.out
        assert gone.seconds < 20
        engine.start()
        container_loop(project, prelude="sys.exit(3)\n")
        bad = project.run("web")
        assert bad.code == 5, str(bad)
        assert f"web: {good} 100 %" in bad.first_line
        assert "DEAD" in bad.first_line, str(bad)
        container_loop(project)
        ran = green(project)
        assert met_by_users(before.stable_url) == ran.service("web")["revision"]
        assert running(project) == {ran.service("web")["revision"]: 1}


@pytest.mark.slow
@ENDS
def test_an_engine_that_is_killed_under_the_tests_is_told_and_all_goes_on_when_it_is_back(
    tmp_path: Path, number: signal.Signals
) -> None:
    with own_engine() as engine, docker_opened(tmp_path, engine.address) as project:
        before = served_before(project)
        container_loop(project, WAITS, timeout=PATIENT)
        going = waiting(project)
        engine.kill(number)
        died = time.monotonic()
        let_go(project)
        ended = going.end()
        assert time.monotonic() - died < 40
        assert ended.code in (1, 3, 5), str(ended)
        # Whoever kills an engine leaves its containers running, until it is started again.
        died_with_it = number == signal.SIGTERM
        assert ("DEAD" in ended.line("USERS")) == died_with_it, str(ended)
        engine.start()
        ran = green(project)
        assert met_by_users(before.stable_url) == ran.service("web")["revision"]
        assert running(project) == {ran.service("web")["revision"]: 1}
