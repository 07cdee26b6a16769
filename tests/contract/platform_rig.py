"""What the contract suite needs to drive a platform adapter for real; processes here.

The rig of containers is in `docker_rig`. What differs by nature is a method of the rig.
"""

from __future__ import annotations

import fcntl
import http.client
import os
import shutil
import signal
import socket
import tempfile
import textwrap
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar, TypeVar
from urllib.parse import urlsplit

from loopctl.evidence.blobs import read_tree, tree_digest
from loopctl.model.artifact import Artifact, ArtifactKind, DeployKey, Revision, ServiceState
from loopctl.model.finding import Fault, Quote
from loopctl.model.logs import Coverage, LogEntry, LogWindow
from loopctl.model.plan import BuildSpec, HealthSpec, RunSpec, SecretSpec, ServiceSpec
from loopctl.platforms.host.client import HostClient
from loopctl.platforms.host.limits import GRACE_VARIABLE, LAPSE_VARIABLE
from loopctl.platforms.host.rendezvous import Rendezvous
from loopctl.platforms.hosted.leases import FileLeases
from loopctl.platforms.hosted.logs import HostLogs
from loopctl.platforms.hosted.receipts import HostReceipts
from loopctl.platforms.local.platform import LocalPlatform
from loopctl.ports.leases import Held, Leases
from loopctl.ports.logs import LogSource, Receipts
from loopctl.ports.platform import Dead, Platform, Ready, Starting
from loopctl.process import Stop, identify, is_alive
from loopctl.redact import Secret

STARTED = datetime(2026, 1, 1, tzinfo=UTC)
MARKER = "LOOPCTL_TEST_MARKER"

#: The `main.py` of a service that is well.
SERVE = "from web import serve\nserve()\n"

SERVER = """
    import os, sys, time
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        def do_GET(self):
            if self.path.startswith("/exit"):
                os._exit(int(self.path.partition("?")[2]))
            if self.path == "/slow":
                time.sleep(0.5)
            body = os.environ["K_REVISION"].encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        def log_message(self, *args):
            pass

    class Server(ThreadingHTTPServer):
        request_queue_size = 128

    def serve(port=None):
        Server((HOST, port or int(os.environ["PORT"])), Handler).serve_forever()
"""


def wait_for(what: Callable[[], bool], seconds: float = 10.0) -> None:
    """Poll until `what` holds; fail when it does not in time."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.01)


@dataclass
class PlatformRig(ABC):
    """A platform on a project of its own, what it logs, and leases on it.

    What differs by nature between platforms is a method or a property here.
    """

    folder: Path
    secrets: Mapping[str, str] = field(default_factory=dict)
    stop: Stop = field(default_factory=lambda: Stop(60))
    cycle: int = 0

    #: The command that runs `main.py`.
    command: ClassVar[tuple[str, ...]]
    #: Where a service must listen to be reached.
    reached_at: ClassVar[str]
    #: Whether a revision that serves alone has an address of its own beside the service's.
    apart: ClassVar[bool]
    #: Seconds until a service that is well is ready.
    soon_s: ClassVar[float] = 3.0
    #: How many requests are looked for in the request log, one after the other.
    receipts_asked: ClassVar[int] = 20

    platform: Platform = field(init=False)
    leases: Leases = field(init=False)
    logs: LogSource = field(init=False)
    receipts: Receipts = field(init=False)

    def __post_init__(self) -> None:
        self.marker = f"{os.getpid()}-{self.folder.name}"
        self.root = self.folder / "project"
        self.root.mkdir(exist_ok=True)
        self.set_up()

    @abstractmethod
    def set_up(self) -> None:
        """Make the adapters."""

    @abstractmethod
    def make_artifact(self, folder: Path) -> Artifact:
        """An artifact of the files in `folder`."""

    @abstractmethod
    def tamper(self, revision: Revision) -> str:
        """Change what a revision runs, as far as anybody can; what is told of it."""

    @abstractmethod
    def check_order(self, old: Revision, new: Revision) -> None:
        """Their names tell which came first, where names do."""

    @abstractmethod
    def exited(self, fault: Fault, code: int) -> bool:
        """Whether a fault tells of that exit code in one line."""

    @abstractmethod
    def last_words(self, fault: Fault) -> list[str]:
        """What of a fault's quotes the service itself has said."""

    @abstractmethod
    def is_quoted(self, quote: Quote, entries: Sequence[LogEntry]) -> bool:
        """Whether a quote stands in the log where it says that it does."""

    @abstractmethod
    def no_program(self, program: str) -> str:
        """A part of what a death by a command that is not there is told with."""

    @abstractmethod
    def let_rest(self, revision: Revision) -> None:
        """Wait until nothing runs of a revision that has lost its traffic."""

    @abstractmethod
    def can_serve_again(self, revision: Revision) -> bool:
        """Whether the revision that served before is kept for a restore."""

    @abstractmethod
    def is_closed(self, url: str) -> bool:
        """Whether nothing of a service is met at an address any more."""

    @abstractmethod
    def check_discarded(self, revision: Revision) -> None:
        """Nothing but its log is left of a candidate, as far as the platform lets go of one."""

    @abstractmethod
    def told_port(self, revision: Revision) -> str | None:
        """The port that a revision was told, where the platform knows it."""

    @abstractmethod
    def end(self) -> None:
        """Down, and nothing left: no process, no container, no socket."""

    @property
    def hidden(self) -> dict[str, Secret]:
        """The values that nobody may see."""
        return {name: Secret(name, value) for name, value in self.secrets.items()}

    def hold(self, run_id: str = "run-1") -> Held:
        """A lease on the service `chat`."""
        return self.leases.acquire([self.platform.target("chat")], run_id, 60, self.stop)

    def spec(self, command: tuple[str, ...] | None = None, **run: object) -> ServiceSpec:
        """The service `chat`."""
        secrets = tuple(SecretSpec(n, Secret(n, v)) for n, v in self.secrets.items())
        given = RunSpec(command=command or self.command, secrets=secrets)
        return ServiceSpec(
            "chat",
            BuildSpec("local"),
            replace(given, **run),  # type: ignore[arg-type]
            HealthSpec(),
            source=self.root,
        )

    def artifact(self, main: str) -> Artifact:
        """An artifact whose `main.py` is this, beside the little server in `web.py`."""
        self.cycle += 1
        folder = self.folder / f"artifact-{self.cycle}"
        folder.mkdir()
        server = f"HOST = {self.reached_at!r}\n{textwrap.dedent(SERVER)}"
        (folder / "web.py").write_text(server)
        (folder / "main.py").write_text(textwrap.dedent(main))
        return self.make_artifact(folder)

    def deploy(
        self,
        main: str,
        held: Held,
        share: str = "none",
        command: tuple[str, ...] | None = None,
        **run: object,
    ) -> Revision:
        """Deploy a service with this `main.py`; `run` are fields of its `RunSpec`."""
        return self.deploy_artifact(self.artifact(main), held, share, command, **run)

    def deploy_artifact(
        self,
        artifact: Artifact,
        held: Held,
        share: str = "none",
        command: tuple[str, ...] | None = None,
        **run: object,
    ) -> Revision:
        """Deploy an artifact under the key of the current cycle."""
        return self.platform.deploy(
            self.spec(command, **run),
            artifact,
            self.key(artifact),
            {MARKER: self.marker},
            "all" if share == "all" else "none",
            held,
            self.stop,
        )

    def key(self, artifact: Artifact) -> DeployKey:
        """The key of an artifact's deployment."""
        return DeployKey("run-1", self.cycle, "chat", artifact.digest)

    def settled(self, revision: Revision, seconds: float = 10.0) -> Ready | Dead:
        """Poll as HEALTH does until the revision is ready or dead."""
        deadline = time.monotonic() + seconds
        while isinstance(status := self.status(revision), Starting):
            assert time.monotonic() < deadline, f"still {status} after {seconds} s"
            time.sleep(0.02)
        return status

    def status(self, revision: Revision) -> Starting | Ready | Dead:
        """The revision's status."""
        return self.platform.status(revision, self.stop)

    def ready(self, revision: Revision) -> Ready:
        """Wait until it is ready."""
        status = self.settled(revision)
        assert isinstance(status, Ready), status
        return status

    def dead(self, revision: Revision) -> Dead:
        """Wait until it is dead."""
        deadline = time.monotonic() + 15
        while not isinstance(status := self.status(revision), Dead):
            assert time.monotonic() < deadline, f"still {status}"
            time.sleep(0.02)
        return status

    def log(self, revision: Revision) -> tuple[list[LogEntry], Coverage]:
        """All that was captured of a revision."""
        entries: list[LogEntry] = []
        window = LogWindow("chat", STARTED, revision=revision.name)
        return entries, self.logs.read(window, entries.append, self.stop)

    def processes(self) -> list[int]:
        """Everything alive that came of this rig's services."""
        mark = f"{MARKER}={self.marker}".encode()
        found = []
        for entry in Path("/proc").iterdir():
            with suppress(OSError):
                if entry.name.isdigit() and mark in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
        return found


class HostedRig(PlatformRig):
    """A platform whose services belong to a host process of this machine."""

    #: What a service calls the machine that the tests run on.
    machine: ClassVar[str]
    apart = True

    def set_up(self) -> None:
        self.place = Rendezvous.of(self.root, "local", self.folder / "runs")
        self.platform = self.make_platform(self.hidden, ["internal-[0-9]{6}"])
        self.leases = FileLeases(self.place)
        self.logs = HostLogs(self.place)
        self.receipts = HostReceipts(self.place)

    @abstractmethod
    def make_platform(self, secrets: Mapping[str, Secret], patterns: Sequence[str]) -> Platform:
        """The adapter."""

    @abstractmethod
    def lose(self, artifact: Artifact) -> str:
        """Let somebody remove it; words of what a deployment of it is refused with."""

    @abstractmethod
    def left_behind(self) -> list[str]:
        """Whatever is still there of the rig's services."""

    def check_order(self, old: Revision, new: Revision) -> None:
        assert int(new.name.split("-")[1]) == int(old.name.split("-")[1]) + 1

    def exited(self, fault: Fault, code: int) -> bool:
        return fault.summary.startswith(f"chat exited with {code} after 0.")

    def last_words(self, fault: Fault) -> list[str]:
        return [quote.quote for quote in fault.quotes]

    def is_quoted(self, quote: Quote, entries: Sequence[LogEntry]) -> bool:
        by_place = {f"chat/{each.revision}#{each.number}": each.text for each in entries}
        return by_place[quote.source] == quote.quote

    def no_program(self, program: str) -> str:
        return f"cannot start {program}: No such file"

    def let_rest(self, revision: Revision) -> None:
        self.dead(revision)

    def can_serve_again(self, revision: Revision) -> bool:
        return isinstance(self.status(revision), Ready)

    def is_closed(self, url: str) -> bool:
        return not listens(url)

    def check_discarded(self, revision: Revision) -> None:
        assert isinstance(self.status(revision), Dead)
        state = self.platform.observe("chat", self.stop)
        assert isinstance(state, ServiceState)
        assert state.revision(revision.name) is None

    def told_port(self, revision: Revision) -> str | None:
        status = self.status(revision)
        assert isinstance(status, Starting)
        assert status.told is not None
        return str(status.told)

    def host_pid(self) -> int:
        """The host's process."""
        return HostClient(self.place).call("hello", {}, self.stop).whole("pid")

    def kill_host(self) -> None:
        """SIGKILL, as the kernel's out-of-memory killer would."""
        pid = self.host_pid()
        host = identify(pid)
        assert host is not None
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not is_alive(host))

    def host_has_ended(self) -> bool:
        """Whether neither a host nor its guardian is left: nobody holds their lock."""
        if not self.place.lock.exists():
            return True
        with self.place.lock.open() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
        return True

    def end(self) -> None:
        """Down, and nothing left: no process, no container, no socket."""
        held = self.leases.peek(self.platform.target("chat"), Stop())
        if held is None:
            held = self.leases.acquire([self.platform.target("chat")], "end", 60, Stop(30))
        self.platform.down("chat", held, Stop(30))
        self.leases.release(held)
        wait_for(self.host_has_ended)
        assert self.processes() == []
        assert self.left_behind() == []


class LocalRig(HostedRig):
    """The local platform."""

    command = ("python", "main.py")
    reached_at = machine = "127.0.0.1"

    def make_platform(self, secrets: Mapping[str, Secret], patterns: Sequence[str]) -> Platform:
        return LocalPlatform(self.place, secrets, patterns)

    def make_artifact(self, folder: Path) -> Artifact:
        digest = tree_digest(read_tree(folder))
        return Artifact("chat", ArtifactKind.FOLDER, digest, str(folder), digest, STARTED)

    def lose(self, artifact: Artifact) -> str:
        shutil.rmtree(artifact.location)
        return "cannot be copied"

    def tamper(self, revision: Revision) -> str:
        running = self.place.state / "revisions" / revision.name
        (running / "web.py").write_text("# another\n")
        (running / "cache.bin").write_text("its own business")
        (running / "main.py").chmod(0o755)
        return "main.py has another mode, web.py has other content"

    def left_behind(self) -> list[str]:
        return [path.name for path in self.place.state.glob("revisions/*")]


def local_rig(
    secrets: Mapping[str, str] | None = None, lapse: str = "900", grace: str = "10"
) -> AbstractContextManager[LocalRig]:
    """A rig of processes, gone without a trace afterwards."""
    return rig_of(LocalRig, secrets or {}, lapse, grace)


Rig = TypeVar("Rig", bound=HostedRig)


@contextmanager
def rig_of(
    kind: Callable[[Path, Mapping[str, str]], Rig],
    secrets: Mapping[str, str],
    lapse: str,
    grace: str,
) -> Iterator[Rig]:
    """A rig in a short folder (a socket's path has 100 bytes), gone without a trace afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="lc-"))
    times = {LAPSE_VARIABLE: lapse, GRACE_VARIABLE: grace}
    with environment(LOOPCTL_RUNTIME_DIR=str(folder), **times):
        rig = kind(folder, secrets)
        try:
            yield rig
        finally:
            rig.end()
    shutil.rmtree(folder)


@contextmanager
def environment(**wanted: str) -> Iterator[None]:
    """Environment variables for a while."""
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def get(url: str, path: str = "/", trace: str | None = None) -> tuple[int, str]:
    """One GET on a connection of its own: status and body."""
    where = urlsplit(url)
    assert where.hostname is not None
    connection = http.client.HTTPConnection(where.hostname, where.port, timeout=5)
    headers = {} if trace is None else {"traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def listens(url: str) -> bool:
    """Whether anybody listens there."""
    where = urlsplit(url)
    with socket.socket() as probe:
        return probe.connect_ex((where.hostname or "", where.port or 0)) == 0


@dataclass
class Load:
    """What the answers to many requests were: bodies in their order, and every failure."""

    seen: list[str] = field(default_factory=list)
    failed: list[object] = field(default_factory=list)


@contextmanager
def under_load(url: str, *, keeping: int, closing: int) -> Iterator[Load]:
    """Ask without a pause, over so many connections that are kept, or closed each time."""
    where = urlsplit(url)
    done = threading.Event()
    load = Load()

    def ask(keep: bool) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", where.port, timeout=5)
        while not done.is_set():
            try:
                connection.request("GET", "/", headers={} if keep else {"Connection": "close"})
                answer = connection.getresponse()
                load.seen.append(answer.read().decode())
                if answer.status != 200:
                    load.failed.append(answer.status)
            except OSError as error:
                load.failed.append(error)
        connection.close()

    ways = [True] * keeping + [False] * closing
    threads = [threading.Thread(target=ask, args=(keep,)) for keep in ways]
    for thread in threads:
        thread.start()
    try:
        yield load
    finally:
        done.set()
        for thread in threads:
            thread.join()


def a_local_rig() -> Iterator[LocalRig]:
    """For a fixture."""
    with local_rig() as made:
        yield made
