"""A project of a test's own, and the real command line run in it.

Every project has its own git repository, HOME, runtime folder and runs folder. What a test leaves
behind is looked for by a mark in the environment and by the working directory of every process.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
EXAMPLE = REPOSITORY / "examples" / "chat"
LOOPCTL = (sys.executable, "-m", "loopctl")
# Not LOOPCTL_…, which loopctl keeps from the processes of a suite.
MARK = "MARK_OF_THE_E2E_PROJECT"
T = TypeVar("T")

# What no terminal should be given by a service or a test: C0 but tab and newline, DEL, C1, bidi.
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True, slots=True)
class Ran:
    """A command that has ended. `folder` is the run it made, None when it made none."""

    code: int
    out: str
    err: str
    folder: Path | None
    seconds: float

    def __str__(self) -> str:
        return f"exit {self.code} after {self.seconds:.1f} s\n{self.out}\n--- stderr\n{self.err}"

    @property
    def run(self) -> Path:
        assert self.folder is not None, f"it made no run\n{self}"
        return self.folder

    @property
    def result(self) -> dict[str, Any]:
        return dict(json.loads((self.run / "result.json").read_text()))

    @property
    def cycle(self) -> dict[str, Any]:
        return dict(self.result["cycles"][-1])

    @property
    def first_line(self) -> str:
        return self.out.splitlines()[0] if self.out else ""

    def document(self) -> dict[str, Any]:
        """What `--json` printed."""
        return dict(json.loads(self.out))

    @property
    def stable_url(self) -> str:
        """Where users meet the first service: as a green run proposes to ask it."""
        start = "NEXT: curl -i "
        line = next(line for line in self.out.splitlines() if line.startswith(start))
        address = urlsplit(line.removeprefix(start))
        return f"{address.scheme}://{address.netloc}"

    def line(self, label: str) -> str:
        """The first line of the first screen with that label, empty when there is none."""
        return next((text for text in self.out.splitlines() if text.startswith(f"{label}: ")), "")

    def stage(self, name: str) -> dict[str, Any]:
        found = [stage for stage in self.cycle["stages"] if stage["name"] == name]
        assert found, f"no stage {name} in {self.cycle['stages']}"
        return dict(found[-1])

    def stages(self) -> list[str]:
        """Those that were entered, in order."""
        return [s["name"] for s in self.cycle["stages"] if s["outcome"] != "skipped"]

    def service(self, name: str) -> dict[str, Any]:
        return dict(next(s for s in self.cycle["services"] if s["name"] == name))

    def suite(self, name: str) -> dict[str, Any]:
        return dict(next(s for s in self.cycle["suites"] if s["id"] == name))

    def cases(self) -> list[dict[str, Any]]:
        return [case for suite in self.cycle["suites"] for case in suite["cases"]]

    def case(self, ending: str) -> dict[str, Any]:
        found = [case for case in self.cases() if case["id"].endswith(ending)]
        assert len(found) == 1, f"{ending}: {[case['id'] for case in self.cases()]}"
        return found[0]

    def findings(self) -> dict[str, dict[str, Any]]:
        return {finding["signature"]: finding for finding in self.cycle["findings"]}


class Going:
    """A command that is going on, in a process group of its own."""

    def __init__(self, project: Project, arguments: Sequence[str], env: Mapping[str, str]) -> None:
        self._project = project
        self._before = project.run_folders()
        self._began = time.monotonic()
        self._folder: Path | None = None
        self.process = subprocess.Popen(
            [*project.command, *arguments],
            cwd=project.root,
            env={**project.env, **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def folder(self) -> Path:
        """The run it made, as soon as it is there."""
        if self._folder is None:
            self._folder = until(self._newest)
        return self._folder

    def _newest(self) -> Path | None:
        return max(self._project.run_folders() - self._before, default=None)

    def end(self, timeout: float = 60) -> Ran:
        try:
            out, err = self.process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            out, err = self.process.communicate()
            raise AssertionError(f"no end after {timeout} s:\n{out!r}\n{err!r}") from None
        seconds = time.monotonic() - self._began
        folder = self._folder or self._newest()
        return Ran(self.process.returncode, out.decode(), err.decode(), folder, seconds)


class Project:
    """A git repository with loops, and everything loopctl needs to work in it unseen."""

    def __init__(self, place: Path) -> None:
        self.root = place / "project"
        self.runs_dir = self.root / ".loopctl"
        self._home = place / "home"
        # Short, because a unix socket's path has room for 108 bytes.
        self.runtime = Path(tempfile.mkdtemp(prefix="lc-", dir="/tmp"))
        self.mark = uuid.uuid4().hex
        self.command: Sequence[str] = LOOPCTL
        self._loops: dict[str, str] = {}
        self._used: dict[str, Mapping[str, str]] = {}
        for folder in (self.root / "loops", self._home):
            folder.mkdir(parents=True)
        self.env = {
            "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
            "HOME": str(self._home),
            "LOOPCTL_RUNTIME_DIR": str(self.runtime),
            "LANG": "C.UTF-8",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "PYTHONDONTWRITEBYTECODE": "1",
            # The plugins of this project's own tests are nothing to the suites in here.
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            MARK: self.mark,
        }
        self.write(".gitignore", ".loopctl/\n__pycache__/\n")
        self.git("init", "-q", "-b", "main")
        self.commit()

    def write(self, path: str, text: str | bytes) -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return file

    def git(self, *arguments: str) -> str:
        """Run it in the project; what it prints."""
        who = ("-c", "user.name=t", "-c", "user.email=t@example.test")
        command = ["git", *who, *arguments]
        done = subprocess.run(
            command,
            cwd=self.root,
            env=self.env,
            check=True,
            timeout=20,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip()

    def commit(self) -> None:
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "as it is")

    def loop(self, name: str, **keys: Any) -> Path:
        """Write `loops/NAME.yaml`; it is what `close` takes down again."""
        document = {
            "version": 1,
            "name": name,
            "environments": {"local": {"platform": "local"}},
            **keys,
        }
        text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=1000)
        return self.loop_file(name, text)

    def loop_file(self, name: str, text: str) -> Path:
        """Write `loops/NAME.yaml` as it is; it too is taken down by `close`."""
        self._loops[name] = text
        return self.write(f"loops/{name}.yaml", text)

    def start(self, *arguments: str, env: Mapping[str, str] | None = None) -> Going:
        if arguments[0] == "run" and len(arguments) > 1:
            # What the loop file asked of the environment, `down` will ask for too.
            self._used[arguments[1]] = env or {}
        return Going(self, arguments, env or {})

    def loopctl(
        self, *arguments: str, env: Mapping[str, str] | None = None, timeout: float = 90
    ) -> Ran:
        return self.start(*arguments, env=env).end(timeout)

    def run(
        self, loop: str, *arguments: str, env: Mapping[str, str] | None = None, timeout: float = 90
    ) -> Ran:
        """`loopctl run LOOP -q`."""
        return self.loopctl("run", loop, "-q", *arguments, env=env, timeout=timeout)

    def run_folders(self) -> frozenset[Path]:
        folder = self.runs_dir / "runs"
        return frozenset(folder.iterdir() if folder.is_dir() else ())

    def serving(self, loop: str, env: Mapping[str, str] | None = None) -> dict[str, dict[str, int]]:
        """Who serves what share of each service, as `plan` reads it from the platform."""
        outlook = self.loopctl("plan", loop, "--json", env=env).document()
        return {service["name"]: dict(service["serving"]) for service in outlook["services"]}

    def forget_environments(self) -> None:
        """Let `down` of `close` have the project's environment, not that of the last run."""
        self._used.clear()

    def processes(self) -> list[int]:
        """Every process that has this project's mark, or works in its folder."""
        return [pid for pid in _pids() if pid != os.getpid() and self._is_mine(pid)]

    def sockets(self) -> list[Path]:
        return [path for path in self.runtime.rglob("*") if path.is_socket()]

    def close(self) -> None:
        """Take everything down; fails when anything is left after that."""
        try:
            if self.sockets():
                self._take_down()
            left = _settled(self.processes)
            told = [_describe(pid) for pid in left]
        finally:
            for pid in self.processes():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            sockets = self.sockets()
            shutil.rmtree(self.runtime, ignore_errors=True)
        assert not left, f"processes outlived `down`: {told}"
        assert not sockets, f"sockets outlived `down`: {sockets}"

    def _take_down(self) -> None:
        for name, text in self._loops.items():
            self.write(f"loops/{name}.yaml", text)
        for name in self._loops:
            ended = self.loopctl("down", name, env=self._used.get(name))
            assert ended.code == 0, str(ended)

    def _is_mine(self, pid: int) -> bool:
        with contextlib.suppress(OSError):
            if f"{MARK}={self.mark}".encode() in Path(f"/proc/{pid}/environ").read_bytes():
                return True
        with contextlib.suppress(OSError):
            return Path(f"/proc/{pid}/cwd").readlink().is_relative_to(self.root)
        return False


@contextlib.contextmanager
def opened(place: Path) -> Iterator[Project]:
    """A project that is closed whatever the test does."""
    project = Project(place)
    try:
        yield project
    finally:
        project.close()


def met_by_users(url: str) -> str:
    """The revision that answers at a service's stable URL."""
    with urllib.request.urlopen(f"{url}/health", timeout=10) as answer:
        return str(json.load(answer)["revision"])


def until(found: Callable[[], T | None], seconds: float = 30.0) -> T:
    """Poll until there is something true; fails at the deadline."""
    deadline = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.02)
    return value


def _settled(look: Callable[[], list[int]], seconds: float = 8.0) -> list[int]:
    """What is still there when nothing is, or time is up."""
    deadline = time.monotonic() + seconds
    while (left := look()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def _pids() -> Iterator[int]:
    return (int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit())


def _describe(pid: int) -> str:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return f"{pid} (gone)"
    return f"{pid} {command}"
