"""Projects on the real engine: services in containers, an engine that lies, and what is left.

A project's containers and images bear its key, so what a test leaves is told from everybody's.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import tempfile
import threading
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine_proxy import EngineProxy, Rewrite, proxied
from engine_rig import BASE, real_engine
from rig import Going, Project, Ran, met_by_users, until
from services import suite, tiny_service
from word_loop import SAYS, WANTS_GOOD

from loopctl.engine.connection import Engine
from loopctl.engine.contents import LABEL as READING
from loopctl.platforms.host.rendezvous import Rendezvous

#: Copies all of the source; more steps may follow.
DOCKERFILE = f"FROM {BASE}\nWORKDIR /app\nCOPY . .\n"
_CLI = "/usr/bin/docker"
# The first process of a container hears no SIGTERM that it does not handle.
_ENDS = "import signal\nsignal.signal(signal.SIGTERM, lambda *_: os._exit(0))\n"
_COMMAND = ["python3", "service.py"]


@dataclass
class DockerProject:
    """A project whose only environment is `docker`, and what it has in the engine.

    `before` is its last run that was green, which is what serves.
    """

    project: Project
    engine: Engine
    before: Ran | None = None
    _kept: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    _repositories: list[str] = field(default_factory=list)

    @property
    def key(self) -> str:
        """What marks all that is this project's."""
        return Rendezvous.of(self.project.root, "docker", self.project.runs_dir).key

    def loop(
        self,
        dockerfile: str = DOCKERFILE,
        *,
        word: str = "good",
        tests: str = WANTS_GOOD,
        build: Mapping[str, Any] | None = None,
        registry: str | None = None,
        run: Mapping[str, Any] | None = None,
        service: Mapping[str, Any] | None = None,
        **keys: Any,
    ) -> None:
        """Write the loop `web`, committed: its service says a word, its suite wants `good`.

        `service` is merged over the service, `run` over its `run`.
        """
        spec = tiny_service(self.project, "web", SAYS + _ENDS)
        file = self.project.root / "web" / "service.py"
        # In a container the outside is not the loopback interface.
        file.write_text(file.read_text().replace('"127.0.0.1"', '"0.0.0.0"'))
        spec["health"]["stable_for"] = "0s"
        spec["run"] = {"command": _COMMAND, "memory": "64Mi", **(run or {})}
        if build:
            spec["build"] = dict(build)
        spec |= service or {}
        self.project.write("web/Dockerfile", dockerfile)
        self.say(word)
        environment: dict[str, Any] = {"platform": "docker"}
        if registry is not None:
            environment["registry"] = registry
            self.forget_afterwards(registry)
        self.project.loop(
            "web",
            environments={"docker": environment},
            services={"web": spec},
            suites=[suite(self.project, tests)],
            **keys,
        )
        self.project.commit()

    def say(self, word: str) -> None:
        """Change the source."""
        self.project.write("web/word.txt", f"{word}\n")

    def green(self, **keys: Any) -> Ran:
        """A green run of `loop`."""
        self.loop(**keys)
        return self.ran_green()

    def ran_green(self, **env: str) -> Ran:
        """A run of the loop as it stands, that has to be green."""
        ran = self.project.run("web", env=env)
        assert ran.code == 0, str(ran)
        self.before = ran
        return ran

    def stands(self) -> bool:
        """Whether users still meet what the last green run has left."""
        assert self.before is not None
        try:
            serves = met_by_users(self.before.stable_url)
        except OSError:
            return False
        return bool(serves == self.before.service("web")["revision"])

    def down(self) -> None:
        """Take the environment down."""
        ended = self.project.loopctl("down", "web")
        assert ended.code == 0, str(ended)

    def through(self, asked: Rewrite | None = None) -> EngineProxy:
        """A proxy in front of the engine, for as long as the project is there.

        Its address is what `DOCKER_HOST` is to be: see `env_of`.
        """
        folder = Path(self._kept.enter_context(tempfile.TemporaryDirectory(prefix="lc-p-")))
        rewriting = {} if asked is None else {"asked": asked}
        return self._kept.enter_context(proxied(folder, self.engine, **rewriting))

    def docker(self, *arguments: str) -> str:
        """What a person would type; what it prints."""
        ran = subprocess.run(
            [_CLI, *arguments],
            env={**os.environ, **self.engine.environ},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert ran.returncode == 0, f"docker {arguments}: {ran.stderr}"
        return ran.stdout.strip()

    def containers(self) -> list[str]:
        """The names of its services' containers, and of those that read its images."""
        ours = f"label=dev.loopctl.project={self.key}"
        names = self.docker("ps", "--all", "--filter", ours, "--format", "{{.Names}}").split()
        return sorted({*names, *self._reading()})

    def _reading(self) -> Iterator[str]:
        shown = ("--format", "{{.Names}} {{.Image}}")
        listed = self.docker("ps", "--all", "--filter", f"label={READING}", *shown)
        images = {*self.images(), *self.tags()}
        for line in listed.splitlines():
            name, _, image = line.partition(" ")
            if image in images or any(each.startswith(f"sha256:{image}") for each in images):
                yield name

    def images(self) -> list[str]:
        """The ids of the images that bear the project's label, the newest first."""
        ours = f"label=dev.loopctl.project={self.key}"
        listed = self.docker("images", "--no-trunc", "--quiet", "--filter", ours)
        return list(dict.fromkeys(listed.split()))

    def tags(self, of: str | None = None) -> list[str]:
        """The names of images that begin with `of`, the project's own unless given."""
        begins = of or f"loopctl-{self.key}/"
        listed = self.docker("images", "--format", "{{.Repository}}:{{.Tag}}").split()
        return sorted(name for name in listed if name.startswith(begins))

    def forget_afterwards(self, prefix: str) -> None:
        """Images with a name that begins so are the project's too, and go with it."""
        self._repositories.append(prefix)

    def inspect(self, *names: str) -> list[dict[str, Any]]:
        """How the engine describes these."""
        return list(json.loads(self.docker("inspect", *names)))

    def close(self) -> None:
        """Take all down, and its images away; fails when a container is left after that."""
        # Those of a run through a proxy may be gone: `down` has to work with the real engine.
        self.project.forget_environments()
        try:
            self.project.close()
            left = self.containers()
        finally:
            for name in self.containers():
                self.docker("rm", "--force", "--volumes", name)
            self._remove_images()
            self._kept.close()
        assert not left, f"containers outlived `down`: {left}"

    def _remove_images(self) -> None:
        names = [*self.tags(), *(name for of in self._repositories for name in self.tags(of))]
        for image in dict.fromkeys([*names, *self.images()]):
            with contextlib.suppress(AssertionError):
                self.docker("rmi", "--force", image)
        assert self.images() == [], "images that nobody can remove"


@contextlib.contextmanager
def docker_opened(place: Path) -> Iterator[DockerProject]:
    """A project on the engine, taken down whatever the test does."""
    engine = real_engine()
    project = Project(place)
    temporary = place / "tmp"
    temporary.mkdir()
    project.env |= {"DOCKER_HOST": engine.address, "TMPDIR": str(temporary)}
    made = DockerProject(project, engine)
    try:
        yield made
    finally:
        made.close()
    assert list(temporary.iterdir()) == []


def env_of(proxy: EngineProxy) -> dict[str, str]:
    """What makes a run take the proxy for the engine."""
    return {"DOCKER_HOST": f"unix://{proxy.address}"}


class OnBuild:
    """Lies to the engine about builds: `rewrite` is given the head of a request to build.

    It gives the head back, and a body to send in place of what was sent, None to leave that. Only
    the first `times` builds are lied about.
    """

    def __init__(
        self, rewrite: Callable[[bytes], tuple[bytes, bytes | None]], times: int = 1
    ) -> None:
        self._rewrite = rewrite
        self._times = times
        self.lies = 0
        # The proxy has a thread for each direction of each connection.
        self._here = threading.local()

    def __call__(self, data: bytes) -> bytes:
        if getattr(self._here, "swallows", False):
            return b""
        head, end, rest = data.partition(b"\r\n\r\n")
        if self.lies >= self._times or not re.match(rb"POST /v[\d.]+/build\?", head):
            return data
        self.lies += 1
        head, body = self._rewrite(head)
        if body is None:
            return head + end + rest
        self._here.swallows = True
        return head + end + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


def in_build(going: Going, word: str = "started") -> Path:
    """Wait until a step of the build has printed a word; the build's log."""
    log = going.folder() / "build" / "1" / "web.log"
    until(lambda: log.is_file() and word in log.read_text())
    return log


def commands_with(word: str) -> list[str]:
    """The processes of this machine, containers' too, whose command line has a word of its own."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            command = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if re.search(rf"\b{re.escape(word)}\b", command):
                found.append(command)
    return found


def said_by(url: str) -> str:
    """The word that users are told at a stable URL."""
    with urllib.request.urlopen(f"{url}/through", timeout=10) as answer:
        return str(answer.read().decode().strip())


@dataclass(frozen=True, slots=True)
class Standing:
    """What a green run has left standing: containers, images, processes on this machine."""

    docker: DockerProject
    before: Ran
    containers: list[str]
    images: list[str]
    processes: list[int]

    @staticmethod
    def of(docker: DockerProject) -> Standing:
        assert docker.before is not None
        processes = sorted(docker.project.processes())
        images = sorted(docker.images())
        return Standing(docker, docker.before, docker.containers(), images, processes)

    def holds(self, *, images: int = 0) -> None:
        """Users meet what they met, and nothing is left behind but at most `images` new images."""
        good = self.before.service("web")["revision"]
        assert met_by_users(self.before.stable_url) == good
        assert said_by(self.before.stable_url) == "good"
        assert self.docker.containers() == self.containers
        new = set(self.docker.images()) - set(self.images)
        assert len(new) <= images, new
        until(lambda: sorted(self.docker.project.processes()) == self.processes)

    def told(self, ran: Ran, *, images: int = 0) -> None:
        """The same, and the run says so: on its first line and in its result."""
        self.holds(images=images)
        good = self.before.service("web")["revision"]
        assert ran.first_line.startswith("USERS: "), str(ran)
        assert f"web: {good} 100 %" in ran.first_line, str(ran)
        assert ", verified" in ran.first_line, str(ran)
        (left,) = ran.result["left"]
        assert (left["traffic"], left["verified"]) == ({good: 100}, True)
        assert left["changed_by_run"] is False
